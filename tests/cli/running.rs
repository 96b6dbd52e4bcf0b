//! A program that is still running while the test looks at it.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Ran;

/// A program that runs beside the test, and is killed should the test fail.
pub(crate) struct Running {
    child: Option<Child>,
    stdin: Option<ChildStdin>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        Self { child: Some(child), stdin }
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

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.as_mut().expect("it runs").kill();
    }

    /// Waits for the end of the program, with stdin as it is.
    pub(crate) fn end(&mut self) -> Ran {
        let child = self.child.take().expect("it runs");
        Ran::new(child.wait_with_output().expect("the program ends"))
    }
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
