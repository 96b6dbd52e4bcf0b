//! What the main thread does while others record.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use hdrhistogram::Histogram;
use tapline::HaltSignal;
use tapline::session::RunSession;

use super::meter::latency_histogram;
use super::spinner::spinner;
use super::stderr::tell;
use super::tap::{StopFlag, WorkerReport};

/// The measurements of all recording threads.
pub(super) struct Measured {
    pub(super) capture_ns: Histogram<u64>,
    /// Captured messages, with those that the log has once and that several taps saw.
    pub(super) captured: u64,
    /// Their payload.
    pub(super) payload_bytes: u64,
}

impl Measured {
    fn add(&mut self, report: &WorkerReport) {
        self.capture_ns.add(&report.capture_ns).expect("all histograms have the same bounds");
        self.captured += report.captured;
        self.payload_bytes += report.payload_bytes;
    }
}

/// How often to check the progress of the run.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits for all recording threads and collects their measurements. Shows the progress of the run.
pub(super) fn supervise(
    session: &RunSession,
    reports: &Receiver<WorkerReport>,
    halt: &HaltSignal,
    stop: &StopFlag,
    durable_every: Option<Duration>,
) -> Measured {
    let mut told = 0;
    let progress = spinner();
    let mut measured = Measured { capture_ns: latency_histogram(), captured: 0, payload_bytes: 0 };
    loop {
        match reports.recv_timeout(durable_every.unwrap_or(LOOK_EVERY)) {
            Ok(report) => measured.add(&report),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let durable = session.watermark();
                progress.set_message(format!("durable up to {durable}"));
                progress.tick();
                if durable_every.is_some() && durable > told {
                    told = durable;
                    tell(format_args!("durable {durable}"));
                }
            }
        }
        if halt.is_halted() {
            stop.set();
        }
    }
    progress.finish_and_clear();
    measured
}
