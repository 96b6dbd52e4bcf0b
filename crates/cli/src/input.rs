//! Lines of input: from a file or stdin, plain or packed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::unpack::{Source, unpacked};

/// An opened source of lines.
pub(super) struct Input {
    /// The source's name in messages.
    name: String,
    reader: Reader,
    line: u64,
    line_bytes_max: u64,
}

enum Reader {
    Ready(BufReader<Source>),
    /// A source whose first bytes may come long after the run was opened.
    Later(Later),
}

enum Later {
    Stdin,
    /// A FIFO or a device. Opening a FIFO waits for its writer.
    Path(PathBuf),
}

/// A longer line is a bad line. It would exceed any record.
const LINE_BYTES_MAX: u64 = 32 << 20;

const BUFFER_BYTES: usize = 256 << 10;

/// One line of input.
pub(super) enum InputLine {
    /// Its number and text are available.
    Text,
    /// The last one. It has no line feed, so it may be incomplete.
    Unterminated,
    /// It is longer than a line may be. The text is its beginning; the rest was skipped.
    TooLong,
    /// There are no more lines.
    End,
}

impl Input {
    /// Opens the file `path`, or stdin for `-`. Fails if a file cannot be read. Does not wait for
    /// stdin or a FIFO.
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        if path == "-" {
            return Ok(Self::new("stdin", Reader::Later(Later::Stdin)));
        }
        let name = path.display().to_string();
        Self::open_path(&name, path).map_err(|source| CliError::Input { path: name, source })
    }

    fn open_path(name: &str, path: &Path) -> io::Result<Self> {
        let kind = path.metadata()?.file_type();
        if kind.is_file() || kind.is_dir() {
            return Self::reading(name, File::open(path)?, BUFFER_BYTES);
        }
        Ok(Self::new(name, Reader::Later(Later::Path(path.to_owned()))))
    }

    /// Reads lines from `source` through a buffer. Messages call it `name`.
    pub(super) fn reading(
        name: &str,
        source: impl Read + Send + 'static,
        buffer_bytes: usize,
    ) -> io::Result<Self> {
        let text = BufReader::with_capacity(buffer_bytes, unpacked(source)?);
        Ok(Self::new(name, Reader::Ready(text)))
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
            Reader::Later(_) => false,
        }
    }

    /// Reads the next line into `text`, without its line feed.
    pub(super) fn next(&mut self, text: &mut Vec<u8>) -> Result<InputLine, CliError> {
        self.try_next(text).map_err(|source| match (self.name.clone(), self.line) {
            (path, 0) => CliError::Input { path, source },
            (path, line) => CliError::InputBrokeOff { path, line, source },
        })
    }

    fn try_next(&mut self, text: &mut Vec<u8>) -> io::Result<InputLine> {
        text.clear();
        let line_bytes_max = self.line_bytes_max;
        let reader = self.reader.ready()?;
        let read = reader.take(line_bytes_max).read_until(b'\n', text)?;
        if read == 0 {
            return Ok(InputLine::End);
        }
        let line = if text.last() == Some(&b'\n') {
            text.pop();
            InputLine::Text
        } else if read as u64 == line_bytes_max {
            reader.skip_until(b'\n')?;
            InputLine::TooLong
        } else {
            InputLine::Unterminated
        };
        self.line += 1;
        Ok(line)
    }
}

impl Reader {
    /// The reader of the text. Opens a source that was left for later.
    fn ready(&mut self) -> io::Result<&mut BufReader<Source>> {
        if let Self::Later(later) = self {
            let text = match later {
                Later::Stdin => unpacked(io::stdin())?,
                Later::Path(path) => unpacked(File::open(path)?)?,
            };
            *self = Self::Ready(BufReader::with_capacity(BUFFER_BYTES, text));
        }
        match self {
            Self::Ready(reader) => Ok(reader),
            Self::Later(_) => unreachable!("it has just been made ready"),
        }
    }
}
