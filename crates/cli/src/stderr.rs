use std::fmt::Display;
use std::io::Write;

/// Writes a line to stderr. Ignores a failed write, where `eprintln!` would panic: a closed stderr,
/// or a full disk under the log, is no reason to end a recording.
pub(super) fn tell(line: impl Display) {
    let line = format!("{line}\n");
    // In one write, so that lines of several threads do not mix.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
