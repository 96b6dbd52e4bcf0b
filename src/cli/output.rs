use std::io::{BufWriter, StdoutLock, Write};

use serde::Serialize;

use super::error::CliError;

/// Stdout, buffered and locked for as long as the command writes.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(super) fn stdout() -> Self {
        Self(BufWriter::with_capacity(64 << 10, std::io::stdout().lock()))
    }

    /// Writes `value` as JSON on a line of its own.
    pub(super) fn json_line<T: Serialize>(&mut self, value: &T) -> Result<(), CliError> {
        serde_json::to_writer(&mut self.0, value)
            .map_err(|error| CliError::Output(error.into()))?;
        self.0.write_all(b"\n").map_err(CliError::Output)
    }

    pub(super) fn line(&mut self, text: std::fmt::Arguments<'_>) -> Result<(), CliError> {
        writeln!(self.0, "{text}").map_err(CliError::Output)
    }

    pub(super) fn flush(mut self) -> Result<(), CliError> {
        self.0.flush().map_err(CliError::Output)
    }
}
