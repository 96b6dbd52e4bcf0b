//! The tap of the program's recording threads, and the threads themselves.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::Sender;
use hdrhistogram::Histogram;
use tapline::Captured;
use tapline::bus::{BusTap, MessageBus, TapRefusal};
use tapline::capture::BusCaptureAdapter;
use tapline::internals::panic_text;
use tapline::session::RunSession;
use uuid::Uuid;

use super::error::CliError;
use super::meter::{Meter, Sample};

/// Set once, to end recording early.
#[derive(Clone, Default)]
pub(super) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    pub(super) fn set(&self) {
        // Relaxed: the flag stands alone.
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Starts recording threads, each with a bus and a tap of its own.
pub(super) struct Recorder<'a> {
    pub(super) session: &'a RunSession,
    pub(super) stop: StopFlag,
    pub(super) done: Sender<WorkerReport>,
    /// The errors that ended recording early.
    pub(super) failed: Sender<CliError>,
    /// Messages whose acknowledgement is measured.
    pub(super) samples: Sender<Sample>,
}

/// The result of one recording thread.
pub(super) struct WorkerReport {
    pub(super) capture_ns: Histogram<u64>,
    pub(super) captured: u64,
    /// Of all captured messages.
    pub(super) payload_bytes: u64,
}

impl Recorder<'_> {
    /// Starts a thread named `name` that runs `work` with a tapped bus, and reports when it is
    /// done. If it panics, recording stops.
    pub(super) fn spawn(
        &self,
        name: &str,
        work: impl FnOnce(&Rc<MessageBus>, &StopFlag) + Send + 'static,
    ) -> Result<(), CliError> {
        let adapter = self.session.adapter()?;
        let meter = Meter::new(adapter.durability(), self.samples.clone());
        let (stop, done, failed) = (self.stop.clone(), self.done.clone(), self.failed.clone());
        let thread = name.to_owned();
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let recorded = to_its_end(&thread, || record(adapter, meter, |bus| work(bus, &stop)));
            // The receivers outlive the threads, unless the program is ending.
            match recorded {
                Ok(report) => {
                    let _ = done.send(report);
                }
                Err(died) => {
                    let _ = failed.send(died);
                    stop.set();
                }
            }
        });
        spawned.map_err(CliError::Thread)?;
        Ok(())
    }
}

/// Runs `work` of a recording thread. Turns a panic into an error, because otherwise nobody would
/// learn of it.
pub(super) fn to_its_end<T>(thread: &str, work: impl FnOnce() -> T) -> Result<T, CliError> {
    // What `work` leaves half done is dropped with it, or is a queue of complete messages.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| CliError::ThreadDied {
        name: thread.to_owned(),
        said: panic_text(&*panic).unwrap_or("without a message").to_owned(),
    })
}

/// A recording thread: runs `work` on a bus with a tap that measures.
fn record(
    adapter: BusCaptureAdapter,
    meter: Meter,
    work: impl FnOnce(&Rc<MessageBus>),
) -> WorkerReport {
    let bus = Rc::new(MessageBus::new());
    let tap = Rc::new(RefCell::new(Measured { adapter, meter }));
    bus.set_tap(Box::new(MeasuredTap(Rc::clone(&tap))));
    work(&bus);
    bus.clear_tap();
    let Measured { adapter, meter } = &*tap.borrow();
    WorkerReport {
        capture_ns: meter.capture_ns.clone(),
        captured: adapter.counts().captured(),
        payload_bytes: adapter.counts().payload_bytes(),
    }
}

struct Measured {
    adapter: BusCaptureAdapter,
    meter: Meter,
}

/// The capture adapter with a stopwatch.
struct MeasuredTap(Rc<RefCell<Measured>>);

impl MeasuredTap {
    fn measured(
        &self,
        tap: impl FnOnce(&mut BusCaptureAdapter) -> Result<Captured, TapRefusal>,
    ) -> Result<Captured, TapRefusal> {
        let Measured { adapter, meter } = &mut *self.0.borrow_mut();
        let began = Instant::now();
        let captured = tap(adapter)?;
        if let Captured::Logged(ticket) = captured {
            meter.captured(began, ticket);
        }
        Ok(captured)
    }
}

impl BusTap for MeasuredTap {
    fn on_publish(&mut self, topic: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.measured(|adapter| adapter.on_publish(topic, message))
    }

    fn on_send(&mut self, endpoint: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.measured(|adapter| adapter.on_send(endpoint, message))
    }

    fn on_response(&mut self, id: Uuid, message: &dyn Any) -> Result<Captured, TapRefusal> {
        self.measured(|adapter| adapter.on_response(id, message))
    }
}

#[cfg(test)]
mod tests;
