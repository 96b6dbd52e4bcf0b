use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::events::{RUN_STARTED_TOPIC, RUN_STARTED_TYPE, run_ended_payload, run_started_payload};
use super::options::OpenMarkers;
use super::sidecar::Sidecar;
use super::{EventStoreConfig, OpenError};
use crate::engine::{
    CloseError, CloseReport, Drive, EventStoreWriter, Setup, SpawnError, WaitError, WriterConfig,
};
use crate::engine::{Producers, SubmitError};
use crate::format::{RecordBuilder, RecordTag};
use crate::markers::{MarkerScope, MarkerTap};
use crate::model::{
    Clock, EntryDraft, InstanceId, RegisteredComponents, RunId, RunManifest, UnixNanos,
};
use crate::protocol::{HaltReason, HaltSignal};
use crate::runs::{RUN_ENDED_TOPIC, RUN_ENDED_TYPE};
use crate::store::{EventStore, RedbBackend, RunReader, run_path, sidecar_path};

/// One run being recorded: from its manifest and `RunStarted` to `RunEnded` and its seal.
///
/// What [`EventStoreLifecycle`](super::EventStoreLifecycle) is made of; by itself it neither looks after
/// runs that were left behind nor keeps others out of the instance's folder.
///
/// Dropped without [`seal`](Self::seal), the run is left unsealed, for recovery to find.
pub struct RunSession {
    run_id: RunId,
    parent_run_id: Option<RunId>,
    path: PathBuf,
    clock: Clock,
    writer: EventStoreWriter,
    reader: Arc<dyn RunReader>,
    /// Behind the writer: it ends when the writer has.
    sidecar: Option<Sidecar>,
}

/// What is new about a run, besides the configuration.
pub(super) struct NewRun<'a> {
    pub(super) instance_id: InstanceId,
    pub(super) components: RegisteredComponents,
    pub(super) clock: Clock,
    pub(super) halt: HaltSignal,
    pub(super) parent_run_id: Option<RunId>,
    /// The newest run of the instance so far.
    pub(super) newest_run_id: Option<RunId>,
    pub(super) flags: Vec<String>,
    pub(super) is_inline: bool,
    /// What market data is marked, where it is, and what makes the backend of its sidecar.
    pub(super) markers: Option<(MarkerScope, &'a OpenMarkers)>,
}

impl RunSession {
    /// Opens a new run of `instance_id`: its file and manifest, its writer, and its first entry,
    /// `RunStarted`, which is durable when this returns. It has no data-marker sidecar: for that, it takes
    /// [`EventStoreLifecycle`](super::EventStoreLifecycle).
    pub fn open(
        config: &EventStoreConfig,
        instance_id: InstanceId,
        components: RegisteredComponents,
        clock: Clock,
        halt: HaltSignal,
    ) -> Result<Self, OpenError> {
        let new = NewRun {
            instance_id,
            components,
            clock,
            halt,
            parent_run_id: None,
            newest_run_id: None,
            flags: Vec::new(),
            is_inline: false,
            markers: None,
        };
        let store = RedbBackend::with_disk_mode(&config.base_dir, config.disk_mode);
        Self::open_on(Box::new(store), config, new)
    }

    pub(super) fn open_on(
        mut store: Box<dyn EventStore>,
        config: &EventStoreConfig,
        new: NewRun<'_>,
    ) -> Result<Self, OpenError> {
        config.validate()?;
        let NewRun { components, clock, halt, parent_run_id, .. } = new;
        if let Some(reason) = halt.reason() {
            // Before a file is made for a run that cannot begin.
            return Err(OpenError::HaltedDuringBoot(reason));
        }
        let now = clock.now();
        let run_id = RunId::generate_after(new.newest_run_id, now);
        let mut manifest = RunManifest::new(new.instance_id, run_id, run_id.start())
            .with_identity(config.identity.clone());
        manifest.parent_run_id = parent_run_id;
        manifest.feature_flags.extend(new.flags);
        manifest.feature_flags.push(config.retention.feature_flag().to_owned());
        manifest.registered_components = components;
        manifest.index_kinds = config.registered_kinds()?;
        let payload = run_started_payload(&manifest);
        let run_started = EntryDraft {
            topic: RUN_STARTED_TOPIC,
            payload_type: RUN_STARTED_TYPE,
            ts_init: now,
            payload: &payload,
            ..EntryDraft::default()
        };
        // Likewise before the file is made.
        check_fits(&run_started, &config.writer).map_err(|source| refused(source, &halt))?;

        let path = run_path(&config.base_dir, &manifest.instance_id, manifest.run_id);
        store.open_run(manifest)?;
        let reader = store.reader().ok_or(SpawnError::NoOpenRun)?;
        let markers = config.data_markers.as_ref().zip(new.markers);
        let make = |(markers, (scope, opener)): (_, (_, &OpenMarkers))| {
            Sidecar::open(opener(&sidecar_path(&path)), run_id, config, markers, scope)
        };
        let (sidecar, outlet) = markers.and_then(make).unzip();
        let writer = EventStoreWriter::start(Setup {
            store,
            clock: clock.clone(),
            halt,
            config: config.writer.clone(),
            markers: outlet,
            drive: if new.is_inline { Drive::Inline } else { Drive::Thread },
        })?;
        if let Some(sidecar) = &sidecar {
            sidecar.record(Arc::clone(writer.shared()));
        }
        let session = Self { run_id, parent_run_id, path, clock, writer, reader, sidecar };
        session.start(&run_started, config.run_started_timeout)?;
        Ok(session)
    }

    /// Waits until the first entry is durable. Where it does not become so, the run is halted.
    fn start(&self, run_started: &EntryDraft<'_>, timeout: Duration) -> Result<(), OpenError> {
        let mut producer = self.writer.producer()?;
        let halt = self.writer.halt();
        let ticket = producer.submit(run_started).map_err(|error| match halt.reason() {
            Some(reason) => OpenError::HaltedDuringBoot(reason),
            None => refused(error, halt),
        })?;
        producer.durability().wait(ticket, timeout).map_err(|error| match error {
            WaitError::Halted(reason) => OpenError::HaltedDuringBoot(reason),
            WaitError::TimedOut { waited } => {
                halt.fire(HaltReason::BackpressureStall { stalled_for: waited, threshold: waited });
                OpenError::RunStartedTimeout { waited, reason: halt.reason_given() }
            }
            WaitError::Closed | WaitError::ForeignTicket => refused(SubmitError::Closed, halt),
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

    /// The run's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The engine.
    pub fn writer(&self) -> &EventStoreWriter {
        &self.writer
    }

    /// What makes producers for the node's threads.
    pub fn producers(&self) -> Producers {
        self.writer.producers()
    }

    /// What marks the market data that passes a tap, for an adapter of this run; `None` where none is marked.
    pub(super) fn marker_tap(&self) -> Option<MarkerTap> {
        self.sidecar.as_ref().map(Sidecar::tap)
    }

    /// The read side of the run while it is recorded. To be dropped before the seal: as long as it is there, the
    /// run's file stays open, and the next sweep finds it in use.
    pub fn reader(&self) -> Arc<dyn RunReader> {
        Arc::clone(&self.reader)
    }

    /// Makes everything accepted durable, then `RunEnded` as the last entry, and seals the run.
    pub fn seal(self) -> Result<CloseReport, CloseError> {
        let now = self.clock.now();
        self.seal_at(now)
    }

    /// As [`seal`](Self::seal), with the `ts_init` of `RunEnded` given.
    pub fn seal_at(self, ts_init: UnixNanos) -> Result<CloseReport, CloseError> {
        let payload = run_ended_payload(self.run_id);
        let mut report = self.writer.close(&EntryDraft {
            topic: RUN_ENDED_TOPIC,
            payload_type: RUN_ENDED_TYPE,
            ts_init,
            payload: &payload,
            ..EntryDraft::default()
        })?;
        report.markers = self.sidecar.and_then(Sidecar::seal);
        Ok(report)
    }
}

/// Whether the settings let `draft` in at all.
fn check_fits(draft: &EntryDraft<'_>, config: &WriterConfig) -> Result<(), SubmitError> {
    let max = config.name_bytes_max;
    for bytes in [draft.topic.len(), draft.payload_type.len()] {
        if bytes > max {
            return Err(SubmitError::NameLength { bytes, max });
        }
    }
    let mut record = RecordBuilder::new(config.record_limits());
    record.fill(draft);
    let tag = RecordTag { stamp: 0, ts_publish: draft.ts_init, topic_id: 0, type_id: 0 };
    record.finish(tag)?;
    Ok(())
}

/// Halts a run whose first entry was refused.
fn refused(source: SubmitError, halt: &HaltSignal) -> OpenError {
    halt.fire(HaltReason::BackendError(format!("RunStarted was not accepted: {source}")));
    OpenError::RunStartedSubmit { source, reason: halt.reason_given() }
}
