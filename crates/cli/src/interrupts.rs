//! Signals that end a recording.

use tapline::internals::error_chain;

use super::error::CliError;
use super::tap::StopFlag;

/// Exit code after a second interrupt: as the shell has it for SIGINT. The run is left unsealed.
const INTERRUPTED_TWICE: i32 = 130;

/// From here on SIGINT, SIGTERM and SIGHUP set `stop`, but for those that were ignored when the program was started. To
/// be called before any thread is started.
pub(super) fn stop_when_interrupted(stop: &StopFlag) -> Result<(), CliError> {
    block_ignored();
    let stop = stop.clone();
    let mut is_asked = false;
    let on_interrupt = move || {
        if is_asked {
            // Asked a second time: a disk that hangs would keep the first from ever ending.
            std::process::exit(INTERRUPTED_TWICE);
        }
        is_asked = true;
        stop.set();
    };
    // Fails only where a handler is set already, which this program does nowhere else.
    ctrlc::set_handler(on_interrupt).map_err(|error| CliError::Usage(error_chain(&error)))
}

/// Blocks the signals that whoever started this program had it ignore: SIGHUP under `nohup`, SIGINT in what a script puts
/// into the background. `ctrlc` sets its handler for them all the same, which cannot be told which signal has come. A
/// signal that every thread blocks never comes, and threads inherit what is blocked.
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
    // Fails only where it is asked for something else than to block.
    let _ = blocked.thread_block();
}

/// The mask in `/proc`: to ask the system itself takes unsafe code.
#[cfg(target_os = "linux")]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Here nobody says which they are.
#[cfg(not(target_os = "linux"))]
fn block_ignored() {}
