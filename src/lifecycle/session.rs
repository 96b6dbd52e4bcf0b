use std::path::PathBuf;
use std::sync::Arc;

use super::EventStoreConfig;
use super::events::{
    RUN_ENDED_TOPIC, RUN_ENDED_TYPE, RUN_STARTED_TOPIC, RUN_STARTED_TYPE, run_ended_payload,
    run_started_payload,
};
use crate::model::{Clock, EntryDraft, InstanceId, RegisteredComponents, RunId, RunManifest};
use crate::protocol::{HaltReason, HaltSignal};
use crate::ring::{Producers, SubmitError};
use crate::store::{EventStore, OpenRunError, RedbBackend, RunReader, run_path};
use crate::writer::{
    CloseError, CloseReport, ConfigError, EventStoreWriter, ProducerError, SpawnError, WaitError,
};

/// One run being recorded: from its manifest and `RunStarted` to `RunEnded` and its seal.
///
/// Dropped without [`seal`](Self::seal), the run is left unsealed, for recovery to find.
pub struct RunSession {
    run_id: RunId,
    path: PathBuf,
    clock: Clock,
    writer: EventStoreWriter,
    reader: Arc<dyn RunReader>,
}

/// Why a run could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is outside its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store could not open the run.
    #[error(transparent)]
    Store(#[from] OpenRunError),
    /// The writer could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The writer took no producer.
    #[error("the first entry was not taken: {0}")]
    Producer(#[from] ProducerError),
    /// `RunStarted` was refused.
    #[error("RunStarted was not accepted: {0}")]
    RunStartedSubmit(#[source] SubmitError),
    /// `RunStarted` was not durable in time.
    #[error("RunStarted was not durable within {waited:?} (setting run_started_timeout_ms)")]
    RunStartedTimeout {
        /// The setting `run_started_timeout`.
        waited: std::time::Duration,
    },
    /// The run halted before it was open.
    #[error("the run halted while it was opened: {0}")]
    HaltedDuringBoot(HaltReason),
}

impl RunSession {
    /// Opens a new run of `instance_id`: its file and manifest, its writer, and its first entry,
    /// `RunStarted`, which is durable when this returns.
    pub fn open(
        config: &EventStoreConfig,
        instance_id: InstanceId,
        components: RegisteredComponents,
        clock: Clock,
        halt: HaltSignal,
    ) -> Result<Self, OpenError> {
        config.validate()?;
        if let Some(reason) = halt.reason() {
            // Before a file is made for a run that cannot begin.
            return Err(OpenError::HaltedDuringBoot(reason));
        }
        let start = clock.now();
        let mut manifest = RunManifest::new(instance_id, RunId::generate(start), start)
            .with_identity(config.identity.clone());
        manifest.feature_flags.push(config.retention.feature_flag().to_owned());
        manifest.registered_components = components;
        manifest.index_kinds = config.registered_kinds()?;

        let mut store = RedbBackend::with_disk_mode(&config.base_dir, config.disk_mode);
        let path = run_path(&config.base_dir, &manifest.instance_id, manifest.run_id);
        store.open_run(manifest.clone())?;
        let reader = store.reader().ok_or(SpawnError::NoOpenRun)?;
        let writer =
            EventStoreWriter::spawn(Box::new(store), clock.clone(), halt, config.writer.clone())?;
        let session = Self { run_id: manifest.run_id, path, clock, writer, reader };
        session.start(&manifest, config.run_started_timeout)?;
        Ok(session)
    }

    fn start(&self, manifest: &RunManifest, timeout: std::time::Duration) -> Result<(), OpenError> {
        let payload = run_started_payload(manifest);
        let mut producer = self.writer.producer()?;
        let draft = EntryDraft {
            topic: RUN_STARTED_TOPIC,
            payload_type: RUN_STARTED_TYPE,
            ts_init: manifest.start_ts_init,
            payload: &payload,
            ..EntryDraft::default()
        };
        let ticket =
            producer.submit(&draft).map_err(|error| match self.writer.halt().reason() {
                Some(reason) => OpenError::HaltedDuringBoot(reason),
                None => OpenError::RunStartedSubmit(error),
            })?;
        producer.durability().wait(ticket, timeout).map_err(|error| match error {
            WaitError::Halted(reason) => OpenError::HaltedDuringBoot(reason),
            WaitError::TimedOut { waited } => OpenError::RunStartedTimeout { waited },
            WaitError::Closed => OpenError::RunStartedSubmit(SubmitError::Closed),
        })
    }

    /// The run.
    pub fn run_id(&self) -> RunId {
        self.run_id
    }

    /// The run's file.
    pub fn path(&self) -> &std::path::Path {
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

    /// The read side of the run while it is recorded.
    pub fn reader(&self) -> Arc<dyn RunReader> {
        Arc::clone(&self.reader)
    }

    /// Makes everything accepted durable, then `RunEnded` as the last entry, and seals the run.
    pub fn seal(self) -> Result<CloseReport, CloseError> {
        let payload = run_ended_payload(self.run_id);
        // Only without a reader does the file close with the writer.
        drop(self.reader);
        self.writer.close(&EntryDraft {
            topic: RUN_ENDED_TOPIC,
            payload_type: RUN_ENDED_TYPE,
            ts_init: self.clock.now(),
            payload: &payload,
            ..EntryDraft::default()
        })
    }
}
