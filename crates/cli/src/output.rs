use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

use serde::Serialize;

use super::Outcome;
use super::error::CliError;

/// Stdout, buffered and locked while the command writes.
///
/// A failed write is remembered until [`end`](Self::end), so that a command's findings do not
/// depend on its reader.
pub(super) struct Output {
    to: BufWriter<StdoutLock<'static>>,
    /// Why nothing more is written.
    failed: Option<io::Error>,
}

impl Output {
    pub(super) fn stdout() -> Self {
        Self { to: BufWriter::with_capacity(64 << 10, io::stdout().lock()), failed: None }
    }

    /// Writes `value` as JSON on a line of its own.
    pub(super) fn json_line<T: Serialize>(&mut self, value: &T) {
        self.write(|to| {
            serde_json::to_writer(&mut *to, value)?;
            to.write_all(b"\n")
        });
    }

    pub(super) fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.write(|to| writeln!(to, "{text}"));
    }

    /// Writes out what is buffered.
    pub(super) fn flush(&mut self) {
        self.write(Write::flush);
    }

    /// True while output still goes somewhere.
    pub(super) fn is_open(&self) -> bool {
        self.failed.is_none()
    }

    /// Ends the output of a command. If its reader stopped early, as in `tapline scan … | head`,
    /// the result stays `came_to`. Any other failed write is an error.
    pub(super) fn end(mut self, came_to: Result<Outcome, CliError>) -> Result<Outcome, CliError> {
        self.flush();
        match (came_to, self.failed) {
            (Ok(_), Some(error)) if error.kind() != ErrorKind::BrokenPipe => {
                Err(CliError::Output(error))
            }
            (came_to, _) => came_to,
        }
    }

    fn write(&mut self, write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = write(&mut self.to).err();
        }
    }
}
