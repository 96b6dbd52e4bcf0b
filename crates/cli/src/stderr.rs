use std::fmt::Display;
use std::io::Write;

/// Writes a line to stderr. `eprintln!` panics where it cannot: this lets the failed write pass, since that nobody
/// listens, or that the disk with the log is full, is no reason to end a recording.
pub(super) fn tell(line: impl Display) {
    let line = format!("{line}\n");
    // In one write, so that lines of several threads are not mixed.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
