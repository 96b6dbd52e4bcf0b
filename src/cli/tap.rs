//! The tap of the program's recording threads, and the threads themselves.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::Sender;
use uuid::Uuid;

use super::error::CliError;
use super::meter::Meter;
use crate::bus::{BusTap, MessageBus, TapRefusal};
use crate::capture::BusCaptureAdapter;
use crate::lifecycle::{EventStoreLifecycle, KernelEventStore};

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
    /// With an open run.
    pub(super) lifecycle: &'a EventStoreLifecycle,
    pub(super) stop: StopFlag,
    pub(super) done: Sender<WorkerReport>,
}

/// What one recording thread did.
pub(super) struct WorkerReport {
    pub(super) meter: Meter,
    pub(super) payload_bytes: u64,
}

impl Recorder<'_> {
    /// Starts a thread named `name` that runs `work` with a tapped bus, and reports when it is done.
    pub(super) fn spawn(
        &self,
        name: &str,
        work: impl FnOnce(&Rc<MessageBus>, &StopFlag) + Send + 'static,
    ) -> Result<(), CliError> {
        let adapter = self.lifecycle.adapter()?.expect("it has a configuration");
        let (stop, done) = (self.stop.clone(), self.done.clone());
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let bus = Rc::new(MessageBus::new());
            let meter = Meter::new(adapter.durability());
            let tap = Rc::new(RefCell::new(Measured { adapter, meter }));
            bus.set_tap(Box::new(MeasuredTap(Rc::clone(&tap))));
            work(&bus, &stop);
            bus.clear_tap();
            drop(bus);
            let Ok(measured) = Rc::try_unwrap(tap) else {
                unreachable!("the bus held the only other reference");
            };
            let Measured { adapter, mut meter } = measured.into_inner();
            let payload_bytes = adapter.payload_bytes();
            // The producer goes first, so that its ring is released while the samples arrive.
            drop(adapter);
            meter.finish();
            // The receiver outlives the threads, unless the program is on its way out.
            let _ = done.send(WorkerReport { meter, payload_bytes });
        });
        spawned.map_err(CliError::Thread)?;
        Ok(())
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
        tap: impl FnOnce(&mut BusCaptureAdapter) -> Result<(), TapRefusal>,
    ) -> Result<(), TapRefusal> {
        let Measured { adapter, meter } = &mut *self.0.borrow_mut();
        let captured_before = adapter.captured();
        let began = Instant::now();
        tap(adapter)?;
        if adapter.captured() > captured_before {
            meter.captured(began, adapter.last_ticket());
        }
        Ok(())
    }
}

impl BusTap for MeasuredTap {
    fn on_publish(&mut self, topic: &str, message: &dyn Any) -> Result<(), TapRefusal> {
        self.measured(|adapter| adapter.on_publish(topic, message))
    }

    fn on_send(&mut self, endpoint: &str, message: &dyn Any) -> Result<(), TapRefusal> {
        self.measured(|adapter| adapter.on_send(endpoint, message))
    }

    fn on_response(&mut self, id: Uuid, message: &dyn Any) -> Result<(), TapRefusal> {
        self.measured(|adapter| adapter.on_response(id, message))
    }
}
