//! A program that is still running while the test looks at it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::Ran;

/// A program that runs beside the test, and is killed should the test fail.
pub(crate) struct Running {
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Fills `stderr` as long as there is more to come.
    listener: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let stderr = Arc::default();
        let mut pipe = child.stderr.take().expect("stderr is a pipe");
        let heard = Arc::clone(&stderr);
        let listener = std::thread::spawn(move || listen(&mut pipe, &heard));
        Self { child: Some(child), stdin, stderr, listener: Some(listener) }
    }

    /// What it has written to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        let stderr = self.stderr.lock().expect("the listener does not panic");
        String::from_utf8_lossy(&stderr).into_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub(crate) fn feed(&mut self, input: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(input.as_bytes()).expect("the program reads");
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends it a signal, by the name that `kill` has for it.
    pub(crate) fn send(&self, signal: &str) {
        let sent = Command::new("kill").arg(signal).arg(self.id().to_string()).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Stops it (SIGSTOP); it runs none of its threads when this returns.
    pub(crate) fn pause(&self) {
        self.send("-STOP");
        wait_until("all threads are stopped", || {
            let tasks =
                std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("it is there");
            tasks.flatten().all(|task| is_stopped(&task.path()))
        });
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn resume(&self) {
        self.send("-CONT");
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.as_mut().expect("it runs").kill();
    }

    /// Waits for the end of the program, with stdin as it is.
    pub(crate) fn end(&mut self) -> Ran {
        let child = self.child.take().expect("it runs");
        let mut output = child.wait_with_output().expect("the program ends");
        self.listener.take().expect("it is there").join().expect("it does not panic");
        output.stderr = std::mem::take(&mut *self.stderr.lock().expect("nobody panics"));
        Ran::new(output)
    }
}

fn listen(pipe: &mut ChildStderr, heard: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut bytes) {
        heard.lock().expect("nobody panics").extend_from_slice(&bytes[..count]);
    }
}

/// Whether the thread at `task`, or what is left of it, does nothing.
fn is_stopped(task: &Path) -> bool {
    let status = std::fs::read_to_string(task.join("status")).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    state.is_none_or(|state| state.trim().starts_with(['T', 'Z', 'X']))
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until `ready` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ready() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
