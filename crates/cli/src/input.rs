//! Lines of input: from a file or stdin, plain or compressed with zstd.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use super::error::CliError;

/// An opened source of lines.
pub(super) struct Input {
    /// The source's name in messages.
    name: String,
    reader: Reader,
    line: u64,
    line_bytes_max: u64,
}

enum Reader {
    Ready(BufReader<Box<dyn Read + Send>>),
    /// Stdin that has not been read yet. The first line tells if it is compressed, and may come
    /// long after the run was opened.
    Stdin,
}

/// A longer line is a bad line. It would exceed any record.
const LINE_BYTES_MAX: u64 = 32 << 20;

const BUFFER_BYTES: usize = 256 << 10;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// One line of input.
pub(super) enum InputLine {
    /// Its number and text are available.
    Text,
    /// It is longer than a line may be, and was skipped.
    TooLong,
    /// There are no more lines.
    End,
}

impl Input {
    /// Opens the file `path`, or stdin for `-`. Fails if a file cannot be read. Does not wait for
    /// stdin.
    pub(super) fn open(path: &str) -> Result<Self, CliError> {
        if path == "-" {
            return Ok(Self::new("stdin", Reader::Stdin));
        }
        File::open(path)
            .and_then(|file| Self::reading(path, file, BUFFER_BYTES))
            .map_err(|source| CliError::Input { path: path.to_owned(), source })
    }

    /// Reads lines from `source` through a buffer. Messages call it `name`.
    pub(super) fn reading(
        name: &str,
        source: impl Read + Send + 'static,
        buffer_bytes: usize,
    ) -> io::Result<Self> {
        Ok(Self::new(name, Reader::Ready(unpacked(source, buffer_bytes)?)))
    }

    fn new(name: &str, reader: Reader) -> Self {
        Self { name: name.to_owned(), reader, line: 0, line_bytes_max: LINE_BYTES_MAX }
    }

    /// Like `reading`, with another limit for a line, including its line feed.
    #[cfg(feature = "fuzzing")]
    pub(super) fn with_line_bytes_max(self, line_bytes_max: u64) -> Self {
        Self { line_bytes_max, ..self }
    }

    /// The number of the last line read, from 1.
    pub(super) fn line_number(&self) -> u64 {
        self.line
    }

    /// True if the next line is here. Otherwise the source may take a while.
    pub(super) fn has_line(&self) -> bool {
        match &self.reader {
            Reader::Ready(reader) => reader.buffer().contains(&b'\n'),
            Reader::Stdin => false,
        }
    }

    /// Reads the next line into `text`, without its line feed.
    pub(super) fn next(&mut self, text: &mut Vec<u8>) -> Result<InputLine, CliError> {
        self.try_next(text).map_err(|source| {
            let (path, line) = (self.name.clone(), self.line);
            CliError::InputBrokeOff { path, line, source }
        })
    }

    fn try_next(&mut self, text: &mut Vec<u8>) -> io::Result<InputLine> {
        text.clear();
        if let Reader::Stdin = self.reader {
            self.reader = Reader::Ready(unpacked(io::stdin(), BUFFER_BYTES)?);
        }
        let Reader::Ready(reader) = &mut self.reader else {
            unreachable!("stdin has just been made ready");
        };
        let read = reader.take(self.line_bytes_max).read_until(b'\n', text)?;
        if read == 0 {
            return Ok(InputLine::End);
        }
        if text.last() == Some(&b'\n') {
            text.pop();
        } else if read as u64 == self.line_bytes_max {
            reader.skip_until(b'\n')?;
            self.line += 1;
            return Ok(InputLine::TooLong);
        }
        self.line += 1;
        Ok(InputLine::Text)
    }
}

/// Reads from `source`, through a decoder if it begins like zstd.
fn unpacked(
    mut source: impl Read + Send + 'static,
    buffer_bytes: usize,
) -> io::Result<BufReader<Box<dyn Read + Send>>> {
    // A pipe may deliver its first bytes one by one.
    let mut start = Vec::new();
    (&mut source).take(ZSTD_MAGIC.len() as u64).read_to_end(&mut start)?;
    let is_packed = start == ZSTD_MAGIC;
    let whole = Cursor::new(start).chain(source);
    let reader: Box<dyn Read + Send> = if is_packed {
        Box::new(zstd::stream::read::Decoder::new(whole)?)
    } else {
        Box::new(whole)
    };
    Ok(BufReader::with_capacity(buffer_bytes, reader))
}
