use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, WriterConfig, check_range};
use crate::markers::DataMarkerConfig;
use crate::model::settings::{checked_settings, duration_ms};
use crate::model::{IndexKinds, OnUnreadableRun, RetentionMode, RunId, RunIdentity};
use crate::runs::{RecoveryOptions, check_mode};
use crate::store::{DiskMode, LogConfig, RedbBackend};

/// Everything that can be set about the event store. Round-trips through JSON and TOML; a missing
/// optional field takes its default, and a name that is none is refused. Settings of the writer
/// stand at the top level beside these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct EventStoreConfig {
    /// The folder that holds one folder for each instance. Made if it is missing.
    pub base_dir: PathBuf,
    /// What runs.
    #[serde(default)]
    pub identity: RunIdentity,
    /// What is kept of older runs.
    #[serde(default)]
    pub retention: RetentionMode,
    /// The run to replay, instead of the newest sound one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_from_run_id: Option<RunId>,
    /// What a start does if it cannot continue the run that may hold what happened last. Default:
    /// it refuses.
    #[serde(default)]
    pub on_unreadable_run: OnUnreadableRun,
    /// The data-marker sidecar, see [`markers`](crate::markers). `None`: no sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_markers: Option<DataMarkerConfig>,
    /// How long opening a run may wait for its first entry to be durable. 1 ms to 1 h. Default 5 s:
    /// a node should not start on a disk that takes longer for one small commit.
    #[serde(
        default = "default_run_started_timeout",
        rename = "run_started_timeout_ms",
        with = "duration_ms"
    )]
    pub run_started_timeout: Duration,
    /// Index kinds to register besides the built-in ones.
    #[serde(default)]
    pub index_kinds: Vec<String>,
    /// How run files are written.
    #[serde(default)]
    pub disk_mode: DiskMode,
    /// The size of the write-ahead log of each run, in bytes: a multiple of 4 096 from 16 KiB to
    /// 1 GiB, or 0 for none. With a log, a message is acknowledged after one write of a place that
    /// was written before, instead of a transaction of the run file. Default 16 MiB: it is brought
    /// over when it is half full, which at 20 000 messages a second of 256 bytes is every half
    /// second. The first run of an instance writes it once, which takes 10 to 50 ms; the next runs
    /// take it over.
    #[serde(default = "default_log_bytes")]
    pub log_bytes: u64,
    /// How much memory recovery may use to seal a run that a crash left, in bytes. Beside this it
    /// takes about 16 MiB and, for each thread, the largest frame of the run. It is shared out: for redb's pages, for rows of
    /// the index, and for threads, of which there is one for 16 MiB. 16 MiB to 64 GiB. Default
    /// 64 MiB, so that a node in a container with 100 MB comes up again.
    #[serde(default = "default_recovery_memory_bytes")]
    pub recovery_memory_bytes: u64,
    /// Rings, batches and the writer thread; `halt_threshold` is among them.
    #[serde(flatten)]
    pub writer: WriterConfig,
}

checked_settings!(EventStoreConfig, &[EventStoreConfig::NAMES, WriterConfig::NAMES]);

const fn default_run_started_timeout() -> Duration {
    EventStoreConfig::RUN_STARTED_TIMEOUT
}

const fn default_log_bytes() -> u64 {
    EventStoreConfig::LOG_BYTES
}

fn default_recovery_memory_bytes() -> u64 {
    RecoveryOptions::MEMORY_BYTES
}

impl EventStoreConfig {
    /// Default of [`log_bytes`](Self::log_bytes).
    pub const LOG_BYTES: u64 = 16 << 20;

    /// The settings' names in JSON and TOML, without those of the writer.
    const NAMES: &[&str] = &[
        "base_dir",
        "identity",
        "retention",
        "replay_from_run_id",
        "on_unreadable_run",
        "data_markers",
        "run_started_timeout_ms",
        "index_kinds",
        "disk_mode",
        "log_bytes",
        "recovery_memory_bytes",
    ];

    /// Default of [`run_started_timeout`](Self::run_started_timeout).
    pub const RUN_STARTED_TIMEOUT: Duration = Duration::from_secs(5);

    /// The default settings, for runs below `base_dir`.
    pub fn new(base_dir: impl Into<PathBuf>) -> Self {
        Self {
            base_dir: base_dir.into(),
            identity: RunIdentity::default(),
            retention: RetentionMode::default(),
            replay_from_run_id: None,
            on_unreadable_run: OnUnreadableRun::default(),
            data_markers: None,
            run_started_timeout: Self::RUN_STARTED_TIMEOUT,
            index_kinds: Vec::new(),
            disk_mode: DiskMode::default(),
            log_bytes: Self::LOG_BYTES,
            recovery_memory_bytes: RecoveryOptions::MEMORY_BYTES,
            writer: WriterConfig::default(),
        }
    }

    /// Checks every setting against its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.base_dir.as_os_str().is_empty() {
            let (value, allowed) = ("\"\"".to_owned(), "the path of a folder".to_owned());
            return Err(ConfigError { field: "base_dir", value, allowed });
        }
        let timeout_ms = self.run_started_timeout.as_millis();
        check_range("run_started_timeout_ms", timeout_ms, 1..=3_600_000)?;
        check_mode(self.retention)?;
        self.check_log()?;
        let memory_bytes = self.recovery_memory_bytes;
        check_range("recovery_memory_bytes", memory_bytes, RecoveryOptions::MEMORY_RANGE)?;
        if let Some(markers) = &self.data_markers {
            markers.validate()?;
        }
        self.registered_kinds()?;
        self.writer.validate()
    }

    fn check_log(&self) -> Result<(), ConfigError> {
        let bytes = self.log_bytes;
        let is_valid = LogConfig::BYTES.contains(&bytes) && bytes.is_multiple_of(4096);
        if bytes == 0 || is_valid {
            return Ok(());
        }
        let allowed = "0, or a multiple of 4096 from 16384 to 1073741824".to_owned();
        Err(ConfigError { field: "log_bytes", value: bytes.to_string(), allowed })
    }

    /// The store of a run's files, as configured.
    pub(super) fn files(&self) -> RedbBackend {
        let files = RedbBackend::with_disk_mode(&self.base_dir, self.disk_mode)
            .for_commits(self.writer.batch_bytes_max);
        files.logged((self.log_bytes > 0).then(|| LogConfig::new(self.log_bytes)))
    }

    /// How a boot recovers runs.
    pub(crate) fn recovery(&self) -> RecoveryOptions {
        let (disk_mode, memory_bytes) = (self.disk_mode, self.recovery_memory_bytes);
        RecoveryOptions { disk_mode, memory_bytes, threads: None }
    }

    /// The built-in index kinds and those of [`index_kinds`](Self::index_kinds).
    pub fn registered_kinds(&self) -> Result<IndexKinds, ConfigError> {
        let mut kinds = IndexKinds::default();
        for name in &self.index_kinds {
            kinds.register(name).map_err(|error| ConfigError {
                field: "index_kinds",
                value: format!("{name:?}"),
                allowed: error.to_string(),
            })?;
        }
        Ok(kinds)
    }
}
