//! Signals that end a recording.

use tapline::internals::error_chain;

use super::error::CliError;
use super::tap::StopFlag;

/// The exit code after a second interrupt, as the shell has it for SIGINT. The run is left
/// unsealed.
const INTERRUPTED_TWICE: i32 = 130;

/// From now on SIGINT, SIGTERM and SIGHUP set `stop`, except those that were ignored when the
/// program was started. Must be called before any thread is started.
pub(super) fn stop_when_interrupted(stop: &StopFlag) -> Result<(), CliError> {
    block_ignored();
    let stop = stop.clone();
    let mut is_asked = false;
    let on_interrupt = move || {
        if is_asked {
            // The second interrupt ends the program at once, because a disk that hangs could keep
            // the first from ever ending it.
            std::process::exit(INTERRUPTED_TWICE);
        }
        is_asked = true;
        stop.set();
    };
    // Fails only if a handler is already set. This program sets it only here.
    ctrlc::set_handler(on_interrupt).map_err(|error| CliError::Usage(error_chain(&error)))
}

/// Blocks the signals that were ignored when the program was started: SIGHUP under `nohup`, SIGINT
/// in a background job of a script. `ctrlc` handles them anyway, and its handler is not told which
/// signal came. A signal that every thread blocks never comes, and threads inherit the mask.
#[cfg(target_os = "linux")]
fn block_ignored() {
    use ctrlc::Signal;

    // Signal n is bit n - 1.
    const SIGNALS: [(Signal, u64); 3] =
        [(Signal::SIGHUP, 0b1), (Signal::SIGINT, 0b10), (Signal::SIGTERM, 1 << 14)];
    let ignored = ignored_signals();
    let mut blocked = Signal::SIGHUP | Signal::SIGINT | Signal::SIGTERM;
    for (signal, bit) in SIGNALS {
        if ignored & bit == 0 {
            blocked.remove(signal);
        }
    }
    // Fails only for an operation other than blocking.
    let _ = blocked.thread_block();
}

/// The mask from `/proc`. A system call for it would need unsafe code.
#[cfg(target_os = "linux")]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// This system does not tell which signals are ignored.
#[cfg(not(target_os = "linux"))]
fn block_ignored() {}
