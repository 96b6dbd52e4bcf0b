use std::rc::Rc;

use super::{Environment, OpenError};
use crate::bus::MessageBus;
use crate::capture::BusCaptureAdapter;
use crate::engine::{CloseError, CloseReport, ProducerError, SnapshotAnchorer};
use crate::model::{InstanceId, RegisteredComponents, RunId, UnixNanos};
use crate::replay::StateCache;
use crate::runs::ParentRestore;

/// What a node's kernel calls of an event store, from its boot to its end. One at a time: boot, open,
/// seal, and perhaps open again. [`EventStoreLifecycle`](super::EventStoreLifecycle) is the one there is;
/// a kernel that takes a `Box<dyn KernelEventStore>` can be tested without.
pub trait KernelEventStore {
    /// Brings `cache` to the last state of the run that the next one continues: the newest sound run,
    /// however it ended, or the one that was named to be replayed. `Ok(None)` where there is none.
    /// Called before [`open`](Self::open). A panic of the cache goes through.
    ///
    /// A run that cannot be read keeps no node from starting, so that this may be an older state than
    /// the last: [`SweepReport::passed_over`](crate::runs::SweepReport::passed_over) says so.
    fn restore_parent_cache(
        &mut self,
        instance_id: &InstanceId,
        cache: &mut dyn StateCache,
    ) -> Result<Option<ParentRestore>, OpenError>;

    /// Opens a run of `instance_id`. Seals one that is still open first, and before that whatever was left
    /// behind by a crash. `RunStarted` is durable when this returns.
    fn open(
        &mut self,
        instance_id: &InstanceId,
        components: RegisteredComponents,
        environment: &Environment,
    ) -> Result<(), OpenError>;

    /// Taps `bus`, a bus of this thread, until the run is sealed, with a producer of its own. Refused with a
    /// configuration and without an open run, so that nothing goes unrecorded by mistake.
    fn tap(&mut self, bus: &Rc<MessageBus>) -> Result<(), ProducerError>;

    /// A tap for the bus of another thread, which has to clear it before the seal; `Ok(None)` without a
    /// configuration.
    fn adapter(&self) -> Result<Option<BusCaptureAdapter>, ProducerError>;

    /// What records snapshot anchors in the open run; `None` without one.
    fn snapshot_anchorer(&self) -> Option<SnapshotAnchorer>;

    /// Ends the open run: clears the taps, makes everything accepted durable, then `RunEnded` with
    /// `ts_init`, and seals. `Ok(None)` where there is nothing to seal, also the second time. A run that is
    /// halted is left to the next boot, and the error has the reason.
    fn seal(&mut self, ts_init: UnixNanos) -> Result<Option<CloseReport>, CloseError>;

    /// The open run.
    fn run_id(&self) -> Option<RunId>;

    /// The run that the open one continues.
    fn parent_run_id(&self) -> Option<RunId>;

    /// Whether the node is to replay a run that was named, rather than the one it left behind.
    fn is_event_store_replay_configured(&self) -> bool {
        false
    }

    /// Whether the open run is halted. Two loads.
    fn is_halted(&self) -> bool;
}

/// Makes the event store of a kernel that is being built.
pub type KernelEventStoreFactory = Box<
    dyn FnOnce() -> Result<Box<dyn KernelEventStore>, Box<dyn std::error::Error + Send + Sync>>,
>;
