//! Lines of input: from a file or stdin, plain or compressed with zstd.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use super::error::CliError;

/// An opened source of lines.
pub(super) struct Input {
    /// How the source is named in messages.
    name: String,
    reader: BufReader<Box<dyn Read + Send>>,
    line: u64,
}

/// A line longer than this is a bad line; what it holds would exceed any record.
const LINE_BYTES_MAX: u64 = 32 << 20;

const BUFFER_BYTES: usize = 256 << 10;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// One line of input.
pub(super) enum Line {
    /// Its number and text are in place.
    Text,
    /// It is longer than any line may be, and was skipped.
    TooLong,
    /// There are no more lines.
    End,
}

impl Input {
    /// Opens the file `path`, or stdin for `-`. A file that cannot be read is found out here.
    pub(super) fn open(path: &str) -> Result<Self, CliError> {
        let name = if path == "-" { "stdin" } else { path }.to_owned();
        let reader =
            Self::reader(path).map_err(|source| CliError::Input { path: name.clone(), source })?;
        Ok(Self { name, reader, line: 0 })
    }

    fn reader(path: &str) -> io::Result<BufReader<Box<dyn Read + Send>>> {
        let source: Box<dyn Read + Send> =
            if path == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, source);
        if reader.fill_buf()?.starts_with(&ZSTD_MAGIC) {
            let decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
            return Ok(BufReader::with_capacity(BUFFER_BYTES, Box::new(decoder)));
        }
        Ok(reader)
    }

    /// The number of the line read last, from 1.
    pub(super) fn line_number(&self) -> u64 {
        self.line
    }

    /// Whether the next line has to be read from the source, which may take a while.
    pub(super) fn is_drained(&self) -> bool {
        self.reader.buffer().is_empty()
    }

    /// Reads the next line into `text`, without its end.
    pub(super) fn next(&mut self, text: &mut Vec<u8>) -> Result<Line, CliError> {
        text.clear();
        let read = (&mut self.reader).take(LINE_BYTES_MAX).read_until(b'\n', text);
        let read = read.map_err(|source| CliError::Input { path: self.name.clone(), source })?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.line += 1;
        if text.last() == Some(&b'\n') {
            text.pop();
        } else if read as u64 == LINE_BYTES_MAX {
            self.skip_line()?;
            return Ok(Line::TooLong);
        }
        Ok(Line::Text)
    }

    fn skip_line(&mut self) -> Result<(), CliError> {
        self.reader
            .skip_until(b'\n')
            .map(|_skipped| ())
            .map_err(|source| CliError::Input { path: self.name.clone(), source })
    }
}
