//! Signals that end a recording, and one that must not end the program.
//!
//! They are blocked in all threads, and one thread waits for them: a handler could not tell which
//! signal came. Threads inherit the mask, so both functions must be called before any thread is
//! started.

use super::error::CliError;
use super::tap::StopFlag;

/// The exit code of a recording that is ended at once, as the shell has it for SIGINT. The run is
/// left unsealed.
const ENDED_AT_ONCE: i32 = 130;

/// Blocks SIGXFSZ, which a write past the limit on file size (`RLIMIT_FSIZE`) sends. The write
/// fails with an error then, which can be reported.
#[cfg(unix)]
pub(super) fn survive_file_size_limit() {
    use nix::sys::signal::{SigSet, Signal};

    // Fails only for an operation other than blocking.
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
}

#[cfg(not(unix))]
pub(super) fn survive_file_size_limit() {}

/// From now on SIGINT, SIGTERM and SIGHUP set `stop`, except those that were ignored when the
/// program was started.
///
/// SIGINT or SIGTERM for the second time ends the program at once, because a disk that hangs could
/// keep the first from ever ending it. Two different signals do not: a closing terminal and a
/// service manager may both send theirs.
#[cfg(unix)]
pub(super) fn stop_when_interrupted(stop: &StopFlag) -> Result<(), CliError> {
    use nix::sys::signal::{SigSet, Signal};

    // Signal n is bit n - 1.
    const SIGNALS: [(Signal, u64); 3] =
        [(Signal::SIGHUP, 0b1), (Signal::SIGINT, 0b10), (Signal::SIGTERM, 1 << 14)];
    let ignored = ignored_signals();
    let mut ending = SigSet::empty();
    for (signal, bit) in SIGNALS {
        if ignored & bit == 0 {
            ending.add(signal);
        }
    }
    // Fails only for an operation other than blocking.
    let _ = ending.thread_block();
    let stop = stop.clone();
    let wait = move || {
        let mut came = Vec::new();
        // Fails only for signals that there are not.
        while let Ok(signal) = ending.wait() {
            if came.contains(&signal) && signal != Signal::SIGHUP {
                std::process::exit(ENDED_AT_ONCE);
            }
            came.push(signal);
            stop.set();
        }
    };
    let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
    thread.map(drop).map_err(CliError::Thread)
}

/// The signals that were ignored when the program was started: SIGHUP under `nohup`, SIGINT in a
/// background job of a script. The mask is from `/proc`, because a system call for it would need
/// unsafe code. Other systems do not tell.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// From now on Ctrl-C sets `stop`. The second one ends the program at once.
#[cfg(not(unix))]
pub(super) fn stop_when_interrupted(stop: &StopFlag) -> Result<(), CliError> {
    use tapline::internals::error_chain;

    let stop = stop.clone();
    let on_interrupt = move || {
        if stop.is_set() {
            std::process::exit(ENDED_AT_ONCE);
        }
        stop.set();
    };
    // Fails only if a handler is already set. This program sets it only here.
    ctrlc::set_handler(on_interrupt).map_err(|error| CliError::Usage(error_chain(&error)))
}
