use std::rc::Rc;

use super::{Environment, OpenError};
use crate::bus::MessageBus;
use crate::capture::BusCaptureAdapter;
use crate::engine::{CloseError, CloseReport, ProducerError, SnapshotAnchorer};
use crate::model::{InstanceId, RegisteredComponents, RunId, UnixNanos};
use crate::replay::StateCache;
use crate::runs::ParentRestore;

/// What a node's kernel calls on an event store, from boot to end. It has one run at a time: boot,
/// open, seal, and perhaps open again. [`EventStoreLifecycle`](super::EventStoreLifecycle)
/// implements it. Tests of a kernel that takes a `Box<dyn KernelEventStore>` can use another
/// implementation.
pub trait KernelEventStore {
    /// Brings `cache` to the last state of the run that the next one continues: the newest sound
    /// run, however it ended, or the run that was configured to be replayed. `Ok(None)` if there is
    /// none. Called before [`open`](Self::open). A panic of the cache goes on to the caller.
    ///
    /// Refused, like [`open`](Self::open), if the run that may hold what happened last cannot be
    /// continued: see [`OnUnreadableRun`](crate::OnUnreadableRun).
    fn restore_parent_cache(
        &mut self,
        instance_id: &InstanceId,
        cache: &mut dyn StateCache,
    ) -> Result<Option<ParentRestore>, OpenError>;

    /// Opens a run of `instance_id`. Before that, seals a run that is still open, and whatever a
    /// crash left behind. `RunStarted` is durable when this returns.
    fn open(
        &mut self,
        instance_id: &InstanceId,
        components: RegisteredComponents,
        environment: &Environment,
    ) -> Result<(), OpenError>;

    /// Taps `bus`, a bus of this thread, with a producer of its own until the run is sealed. Fails
    /// if there is a configuration but no open run, so that nothing goes unrecorded by mistake.
    fn tap(&mut self, bus: &Rc<MessageBus>) -> Result<(), ProducerError>;

    /// A tap for the bus of another thread. That thread has to clear it before the seal. `Ok(None)`
    /// without a configuration.
    fn adapter(&self) -> Result<Option<BusCaptureAdapter>, ProducerError>;

    /// Records snapshot anchors in the open run; `None` if no run is open.
    fn snapshot_anchorer(&self) -> Option<SnapshotAnchorer>;

    /// Ends the open run: clears the taps, makes everything accepted durable, then `RunEnded` with
    /// `ts_init`, and seals. `Ok(None)` if there is nothing to seal, for example on a second call.
    /// A halted run is left to the next boot, and the error has the reason.
    fn seal(&mut self, ts_init: UnixNanos) -> Result<Option<CloseReport>, CloseError>;

    /// The open run.
    fn run_id(&self) -> Option<RunId>;

    /// The run that the open one continues.
    fn parent_run_id(&self) -> Option<RunId>;

    /// True if the node is configured to replay a named run, instead of the last one.
    fn is_event_store_replay_configured(&self) -> bool {
        false
    }

    /// True once the open run is halted. Costs two loads.
    fn is_halted(&self) -> bool;
}

/// Makes the event store while a kernel is built.
pub type KernelEventStoreFactory = Box<
    dyn FnOnce() -> Result<Box<dyn KernelEventStore>, Box<dyn std::error::Error + Send + Sync>>,
>;
