//! A worker is this program, started once more for work that may end in any way. A damaged file can
//! make a process panic, abort, hang or print without end. This process is not affected.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use serde::de::DeserializeOwned;

/// The longest line that a worker may write. A report of a thousand findings has some hundred
/// kilobytes.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// How much of a worker's stderr is kept.
const LAST_WORDS_BYTES_MAX: u64 = 4 << 10;

/// How long to wait for a worker that was killed. One that hangs in the kernel, on a disk that does
/// not answer, is left behind.
const BURIAL: Duration = Duration::from_secs(1);

/// How often to check the time of a silent worker.
const TICK: Duration = Duration::from_millis(100);

/// Why a worker did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkerError {
    #[error("cannot start a worker process")]
    Start(#[source] io::Error),
    #[error("timed out after {} s; --timeout sets the limit", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("worker {how}{said}")]
    Died { how: String, said: String },
    #[error("worker wrote a line of more than {} MiB", LINE_BYTES_MAX >> 20)]
    Endless,
    #[error("worker wrote something else than its report")]
    Garbage(#[source] serde_json::Error),
    #[error("worker ended without a report")]
    Silent,
}

/// This program, to be started again under the same name. Its file may contain several programs,
/// chosen by name.
pub(super) fn this_program() -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    #[cfg(unix)]
    if let Some(name) = std::env::args_os().next() {
        std::os::unix::process::CommandExt::arg0(&mut command, name);
    }
    Ok(command)
}

/// Runs `command` to its end, or kills it after `limit`. Each line that it writes to stdout has to
/// be a `T` in JSON. Calls `heard` with each, and with `None` from time to time in between.
///
/// The worker's stdin stays open while this process lives and waits for it.
pub(super) fn run<T: DeserializeOwned + Send + 'static>(
    command: &mut Command,
    limit: Duration,
    mut heard: impl FnMut(Option<T>),
) -> Result<(), WorkerError> {
    let deadline = Instant::now() + limit;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut worker = Worker(command.spawn().map_err(WorkerError::Start)?);
    let stdout = worker.0.stdout.take().expect("stdout is a pipe");
    let stderr = worker.0.stderr.take().expect("stderr is a pipe");
    let lines = read_lines(stdout).map_err(WorkerError::Start)?;
    let last_words = read_last_words(stderr).map_err(WorkerError::Start)?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(WorkerError::TimedOut(limit));
        }
        match lines.recv_timeout(left.min(TICK)) {
            Ok(line) => heard(Some(line?)),
            Err(RecvTimeoutError::Timeout) => heard(None),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    match worker.end_by(deadline) {
        Some(status) if status.success() => Ok(()),
        Some(status) => {
            let said = last_words.join().unwrap_or_default();
            Err(WorkerError::Died { how: how_it_ended(status), said })
        }
        None => Err(WorkerError::TimedOut(limit)),
    }
}

/// A process that is killed if nobody waits for it any more.
struct Worker(Child);

impl Worker {
    fn end_by(&mut self, deadline: Instant) -> Option<ExitStatus> {
        let mut pause = Duration::from_micros(100);
        loop {
            match self.0.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(pause),
                ended => return ended.ok().flatten(),
            }
            pause = (pause * 2).min(TICK);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        self.end_by(Instant::now() + BURIAL);
    }
}

/// Reads lines until the end, or until the first malformed line.
fn read_lines<T: DeserializeOwned + Send + 'static>(
    stdout: impl Read + Send + 'static,
) -> io::Result<Receiver<Result<T, WorkerError>>> {
    let (to, lines) = bounded(16);
    thread::Builder::new().name("worker-stdout".to_owned()).spawn(move || {
        let mut stdout = BufReader::new(stdout);
        while let Some(line) = read_line(&mut stdout) {
            let is_last = line.is_err();
            if to.send(line).is_err() || is_last {
                break;
            }
        }
    })?;
    Ok(lines)
}

/// The next line; `None` at the end. An incomplete last line is ignored, because the way the worker
/// ended says more.
fn read_line<T: DeserializeOwned>(from: &mut impl BufRead) -> Option<Result<T, WorkerError>> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).ok()?;
    if line.ends_with(b"\n") {
        return Some(serde_json::from_slice(&line).map_err(WorkerError::Garbage));
    }
    (line.len() as u64 == LINE_BYTES_MAX).then_some(Err(WorkerError::Endless))
}

/// Reads all of stderr, so that the worker never has to wait. Keeps the beginning, as one line.
fn read_last_words(stderr: impl Read + Send + 'static) -> io::Result<JoinHandle<String>> {
    thread::Builder::new().name("worker-stderr".to_owned()).spawn(move || {
        let mut stderr = stderr;
        let mut said = Vec::new();
        // Keep what could be read before an error.
        let _ = (&mut stderr).take(LAST_WORDS_BYTES_MAX).read_to_end(&mut said);
        let _ = io::copy(&mut stderr, &mut io::sink());
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> =
            said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() { String::new() } else { format!(": {}", lines.join(" ")) }
    })
}

fn how_it_ended(status: ExitStatus) -> String {
    /// The exit code of a Rust program whose main thread panicked.
    const PANICKED: i32 = 101;
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("aborted (signal {signal})");
    }
    match status.code() {
        Some(PANICKED) => "panicked".to_owned(),
        Some(code) => format!("ended with exit code {code}"),
        None => status.to_string(),
    }
}

#[cfg(all(test, unix))]
mod tests;
