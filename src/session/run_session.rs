use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::boot::Boot;
use super::events::{RUN_STARTED_TOPIC, RUN_STARTED_TYPE, run_ended_payload, run_started_payload};
use super::sidecar::{Extractors, MarkerStatus, Sidecar};
use super::{Environment, EventStoreConfig, LifecycleOptions, OpenError};
use crate::bus::{MessageBus, TapId};
use crate::capture::{BusCaptureAdapter, CaptureCounts, EncoderRegistry};
use crate::engine::{
    CloseError, CloseReport, Drive, EventStoreWriter, ProducerError, Producers, Setup,
    SnapshotAnchorer, SpawnError, SubmitError, WaitError, lone_record,
};
use crate::model::{
    Clock, EntryDraft, RegisteredComponents, RunId, RunManifest, Ticket, UnixNanos, error_chain,
};
use crate::protocol::{HaltReason, HaltSignal};
use crate::read::EventStoreReader;
use crate::replay::{CacheFollower, StateCache};
use crate::runs::{ParentRestore, RUN_ENDED_TOPIC, RUN_ENDED_TYPE};
use crate::store::{RunReader, run_path};

/// One run that is being recorded, from its manifest and `RunStarted` to `RunEnded` and its seal.
///
/// It holds the instance's folder until it is sealed or dropped. It lives on the node's main
/// thread. Other threads get [adapters](Self::adapter), [producers](Self::producers) and
/// [readers](Self::reader).
///
/// Dropped without [`seal`](Self::seal), the run is left unsealed. The next start recovers it and
/// continues from it.
pub struct RunSession {
    /// Dropped first, so that no message reaches the tap of a run that has ended.
    taps: Taps,
    run_id: RunId,
    parent_run_id: Option<RunId>,
    path: PathBuf,
    clock: Clock,
    encoders: Arc<EncoderRegistry>,
    writer: EventStoreWriter,
    reader: Arc<dyn RunReader>,
    /// Dropped after the writer, because it ends when the writer has ended.
    sidecar: Sidecar,
    /// The last entry that the restored cache contains; 0 if no cache was restored.
    restored_seq: u64,
    /// Dropped last: it releases the folder.
    boot: Boot,
}

/// The taps that a session has installed. Dropping this removes them, and no others.
#[derive(Default)]
struct Taps(RefCell<Vec<(Weak<MessageBus>, TapId)>>);

impl Drop for Taps {
    fn drop(&mut self) {
        for (bus, tap) in self.0.get_mut() {
            if let Some(bus) = bus.upgrade() {
                bus.remove_tap(*tap);
            }
        }
    }
}

impl RunSession {
    /// The payload type of the first entry of every run.
    pub const STARTED_TYPE: &str = RUN_STARTED_TYPE;

    /// Opens a new run in a folder that was locked and swept for it.
    pub(super) fn open(
        boot: Boot,
        config: &EventStoreConfig,
        components: RegisteredComponents,
        environment: &Environment,
        options: &LifecycleOptions,
    ) -> Result<Self, OpenError> {
        let timeout = config.run_started_timeout;
        let began = Instant::now();
        config.validate()?;
        boot.check_whole(config)?;
        boot.log_passed_over();
        let encoders = (options.encoder_registry)().map_err(OpenError::Encoders)?;
        let extractors = Extractors::make(config, options);
        let on_halt = Arc::clone(&options.on_halt);
        let halt = HaltSignal::with_callback(move |reason| on_halt(reason));
        let clock = environment.clock();
        let parent_run_id = boot.parent_run_id;
        let now = clock.now();
        let run_id = RunId::generate_after(boot.sweep.newest_run_id, now);
        let mut manifest = RunManifest::new(boot.instance_id.clone(), run_id, run_id.start())
            .with_identity(config.identity.clone());
        manifest.parent_run_id = parent_run_id;
        manifest.feature_flags.extend(boot.flags.iter().cloned());
        manifest.feature_flags.push(config.retention.feature_flag().to_owned());
        manifest.registered_components = components;
        manifest.index_kinds = config.registered_kinds()?;
        let mut store = (options.backend_opener)(config, &manifest).map_err(OpenError::Backend)?;
        let payload = run_started_payload(&manifest);
        let run_started = EntryDraft {
            topic: RUN_STARTED_TOPIC,
            payload_type: RUN_STARTED_TYPE,
            ts_init: now,
            payload: &payload,
            ..EntryDraft::default()
        };
        // This too is checked before the file is made.
        lone_record(&run_started, &config.writer, run_started.ts_init)
            .map_err(|source| refused(source, &halt))?;

        let path = run_path(&config.base_dir, &manifest.instance_id, manifest.run_id);
        let opened = within(timeout, options.is_inline, move || {
            let opened = store.open_run(manifest);
            (store, opened)
        });
        let (store, opened) = opened?.ok_or_else(|| {
            let reason = HaltReason::NoAnswer { waited: timeout, setting: RUN_STARTED_TIMEOUT };
            halt.fire(reason.clone());
            OpenError::RunStartedTimeout { waited: timeout, reason }
        })?;
        opened?;
        let reader = store.reader().ok_or(SpawnError::NoOpenRun)?;
        let (sidecar, outlet) =
            Sidecar::open(extractors, &encoders, config, options, run_id, &path);
        let writer = EventStoreWriter::start(Setup {
            store,
            clock: clock.clone(),
            halt,
            config: config.writer.clone(),
            markers: outlet,
            drive: if options.is_inline { Drive::Inline } else { Drive::Thread },
        })?;
        sidecar.record(writer.shared());
        let session = Self {
            taps: Taps::default(),
            run_id,
            parent_run_id,
            path,
            clock,
            encoders: Arc::new(encoders),
            writer,
            reader,
            sidecar,
            restored_seq: 0,
            boot,
        };
        let left = || timeout.saturating_sub(began.elapsed());
        match session.start(&run_started, left(), timeout) {
            Ok(()) => Ok(session),
            Err(error) => {
                // Who waits for a node to start does not wait longer for a store that hangs.
                session.writer.abandon(left(), RUN_STARTED_TIMEOUT);
                Err(error)
            }
        }
    }

    /// Restores `cache` from the run that `boot` continues, opens the next one, and takes its first
    /// snapshot.
    pub(super) fn restore_and_open(
        mut boot: Boot,
        config: &EventStoreConfig,
        components: RegisteredComponents,
        environment: &Environment,
        options: &LifecycleOptions,
        cache: &mut dyn StateCache,
    ) -> Result<(Self, Option<ParentRestore>), OpenError> {
        boot.check_whole(config)?;
        let restored = boot.restore(config, cache)?;
        let mut session = Self::open(boot, config, components, environment, options)?;
        session.take_first_snapshot(cache)?;
        Ok((session, restored))
    }

    /// Waits until the first entry is durable. If it is not within what is `left` of `timeout`, halts
    /// the run.
    fn start(
        &self,
        run_started: &EntryDraft<'_>,
        left: Duration,
        timeout: Duration,
    ) -> Result<(), OpenError> {
        let mut producer = self.writer.producer()?;
        let halt = self.writer.halt();
        let ticket =
            producer.submit_of_any_size(run_started).map_err(|error| match halt.reason() {
                Some(reason) => OpenError::HaltedDuringBoot(reason),
                None => refused(error, halt),
            })?;
        producer.durability().wait(ticket, left).map_err(|error| match error {
            WaitError::Halted(reason) => OpenError::HaltedDuringBoot(reason),
            WaitError::TimedOut { .. } => {
                halt.fire(HaltReason::NoAnswer { waited: timeout, setting: RUN_STARTED_TIMEOUT });
                OpenError::RunStartedTimeout { waited: timeout, reason: halt.reason_given() }
            }
            WaitError::Closed | WaitError::ForeignTicket | WaitError::Forked => {
                refused(SubmitError::Closed, halt)
            }
        })
    }

    /// The run.
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// The run that this one continues from.
    pub fn parent_run_id(&self) -> Option<RunId> {
        self.parent_run_id
    }

    /// The core that the writer thread is pinned to; `None` if it is not pinned.
    pub fn writer_core(&self) -> Option<usize> {
        self.writer.writer_core()
    }

    /// The run's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The largest durable `seq`.
    pub fn watermark(&self) -> u64 {
        self.writer.watermark()
    }

    /// Blocks until the watermark has reached `seq`, for at most `timeout`. Returns the watermark.
    pub fn wait_for_watermark(&self, seq: u64, timeout: Duration) -> Result<u64, WaitError> {
        self.writer.wait_for_watermark(seq, timeout)
    }

    /// What records snapshot anchors, for whichever thread takes snapshots.
    pub fn snapshot_anchorer(&self) -> SnapshotAnchorer {
        self.writer.snapshot_anchorer()
    }

    /// The run's halt signal.
    pub fn halt(&self) -> &HaltSignal {
        self.writer.halt()
    }

    /// Fails with the reason if the run is halted. For a node's loop: `session.check_halt()?`.
    pub fn check_halt(&self) -> Result<(), HaltReason> {
        self.halt().reason().map_or(Ok(()), Err)
    }

    /// Taps `bus`, a bus of this thread, with a producer of its own until the run is sealed.
    /// Replaces a tap that is there. Returns the counters of the new tap.
    pub fn tap(&self, bus: &Rc<MessageBus>) -> Result<Arc<CaptureCounts>, ProducerError> {
        let adapter = self.adapter()?;
        let counts = adapter.counts();
        bus.set_tap(Box::new(adapter));
        self.taps.0.borrow_mut().extend(bus.tap_id().map(|tap| (Rc::downgrade(bus), tap)));
        Ok(counts)
    }

    /// A tap for the bus of another thread. That thread has to remove it before the seal.
    pub fn adapter(&self) -> Result<BusCaptureAdapter, ProducerError> {
        let producer = self.writer.producer()?;
        let adapter = BusCaptureAdapter::new(Arc::clone(&self.encoders), producer);
        Ok(match self.sidecar.tap() {
            Some(markers) => adapter.marking(markers),
            None => adapter,
        })
    }

    /// Whether market data is marked: whether a sidecar was asked for, could be made, and is being
    /// written. A run never waits or halts for its sidecar, so a node that needs the markers asks
    /// here.
    pub fn markers(&self) -> MarkerStatus {
        self.sidecar.status()
    }

    /// Makes producers, for threads that submit messages without a bus.
    pub fn producers(&self) -> Producers {
        self.writer.producers()
    }

    /// Blocks until the message of `ticket` is durable, for at most `timeout`: what an order waits
    /// for before it is sent.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tapline::{MessageBus, RunSession};
    /// # use std::error::Error;
    /// # fn send(session: &RunSession, bus: &MessageBus, order: &u64) -> Result<(), Box<dyn Error>> {
    /// session.wait_durable(bus.publish("orders", order)?.ticket()?, Duration::from_secs(1))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_durable(&self, ticket: Ticket, timeout: Duration) -> Result<(), WaitError> {
        self.writer.wait_durable(ticket, timeout)
    }

    /// Blocks until everything captured before this call is durable, for at most `timeout`, and
    /// returns the watermark.
    pub fn flush(&self, timeout: Duration) -> Result<u64, WaitError> {
        self.writer.flush(timeout)
    }

    /// Reads the run while it is recorded. Once the run is sealed, it reads the sealed file.
    pub fn reader(&self) -> EventStoreReader {
        EventStoreReader::new(Arc::clone(&self.reader))
    }

    /// Keeps `cache` up with this run. The cache is either the one that
    /// [`restore_and_open`](super::SessionBuilder::restore_and_open) has restored, or one with the
    /// state before the run.
    pub fn follow<C: StateCache>(&self, cache: C) -> CacheFollower<C> {
        CacheFollower::new(cache, self.reader(), self.restored_seq)
    }

    /// Takes the snapshot that makes this run restorable without the runs before it.
    fn take_first_snapshot(&mut self, cache: &mut dyn StateCache) -> Result<(), OpenError> {
        let anchor = self.follow(cache).record_snapshot(&self.writer.snapshot_anchorer())?;
        self.restored_seq = anchor.high_watermark;
        Ok(())
    }

    /// The instance's folder.
    pub(super) fn boot(&self) -> &Boot {
        &self.boot
    }

    /// How long a seal may take.
    pub(super) fn close_timeout(&self) -> Duration {
        self.writer.shared().config.close_timeout
    }

    /// True if the run has no entry but its first, and no snapshot.
    pub(super) fn is_empty(&self) -> bool {
        let has_entries = self.writer.watermark() > 1;
        !has_entries && matches!(self.reader.anchor(), Ok(None))
    }

    /// Removes the taps, makes everything accepted durable, then `RunEnded` as the last entry, and
    /// seals the run. Blocks for up to `close_timeout`. A halted run is left to the next start, and
    /// the error has the reason.
    pub fn seal(self) -> Result<CloseReport, CloseError> {
        let now = self.clock.now();
        self.seal_at(now)
    }

    /// Like [`seal`](Self::seal), with a given `ts_init` for `RunEnded`.
    pub fn seal_at(self, ts_init: UnixNanos) -> Result<CloseReport, CloseError> {
        drop(self.taps);
        let payload = run_ended_payload(self.run_id);
        let mut report = self.writer.close(&EntryDraft {
            topic: RUN_ENDED_TOPIC,
            payload_type: RUN_ENDED_TYPE,
            ts_init,
            payload: &payload,
            ..EntryDraft::default()
        })?;
        report.markers = self.sidecar.seal().map(|sealed| sealed.counts);
        Ok(report)
    }
}

/// What limits the wait for a run that is opened.
const RUN_STARTED_TIMEOUT: &str = "run_started_timeout_ms";

/// Does something that may hang on a thread of its own, and gives up on it after `timeout`
/// (`None`). The thread is left behind then. In a simulation it runs on the calling thread.
fn within<T: Send + 'static>(
    timeout: Duration,
    is_inline: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, SpawnError> {
    if is_inline {
        return Ok(Some(work()));
    }
    let (done, outcome) = mpsc::sync_channel(1);
    let work = move || {
        // The receiver may have given up.
        let _ = done.send(work());
    };
    let thread = std::thread::Builder::new().name("tapline-open".to_owned()).spawn(work);
    let thread = thread.map_err(SpawnError::Thread)?;
    match outcome.recv_timeout(timeout) {
        Ok(outcome) => Ok(Some(outcome)),
        Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
        // It panicked, which is the caller's to see.
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => Ok(None),
        },
    }
}

/// Halts a run whose first entry was refused.
fn refused(source: SubmitError, halt: &HaltSignal) -> OpenError {
    halt.fire(HaltReason::BackendError(format!(
        "RunStarted was not accepted: {}",
        error_chain(&source)
    )));
    OpenError::RunStartedSubmit { source, reason: halt.reason_given() }
}
