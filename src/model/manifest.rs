use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Hash, IndexKinds, InstanceId, RegisteredComponents, RunId, RunIdentity, RunStatus, UnixNanos,
};

/// What is known about a run besides its entries. Written when the run opens and once more when it
/// is sealed, and not in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunManifest {
    /// The run.
    pub run_id: RunId,
    /// The run whose state this one continued from.
    pub parent_run_id: Option<RunId>,
    /// The node instance that recorded the run.
    pub instance_id: InstanceId,
    /// Hash of the node's binary.
    pub binary_hash: String,
    /// Version of the node's message schemas.
    pub schema_version: u32,
    /// Crate name to version.
    pub crate_versions: BTreeMap<String, String>,
    /// Build and run flags; the last is `retention=full|bounded|snapshot|age|bytes`.
    pub feature_flags: Vec<String>,
    /// Venue adapter name to version.
    pub adapter_versions: BTreeMap<String, String>,
    /// Hash of the node's configuration.
    pub config_hash: String,
    /// Actors, strategies, algorithms, subscriptions and endpoints.
    pub registered_components: RegisteredComponents,
    /// Seed of the node's random source.
    pub seed: Option<u64>,
    /// Names of the index kinds in this file.
    pub index_kinds: IndexKinds,
    /// Node clock when the run opened.
    pub start_ts_init: UnixNanos,
    /// The largest `ts_init` in the run; set at seal, unset for a run without entries.
    pub end_ts_init: Option<UnixNanos>,
    /// The largest durable `seq`; 0 while the run is `Running`, and in a run without entries.
    pub high_watermark: u64,
    /// The run's status.
    pub status: RunStatus,
    /// Root of the last frame, set at seal; unset for a run without entries.
    #[serde(with = "optional_hash")]
    pub frames_root: Option<Hash>,
}

/// The feature flag of a run whose node was told to replay another run.
pub(crate) const REPLAY_FLAG: &str = "replay";

/// The feature flag of a run whose node restores its state from the runs before it.
pub(crate) const RESTORES_FLAG: &str = "restores";

impl RunManifest {
    /// The manifest of a run that is about to open.
    pub fn new(instance_id: InstanceId, run_id: RunId, start_ts_init: UnixNanos) -> Self {
        Self {
            run_id,
            parent_run_id: None,
            instance_id,
            binary_hash: String::new(),
            schema_version: 0,
            crate_versions: BTreeMap::new(),
            feature_flags: Vec::new(),
            adapter_versions: BTreeMap::new(),
            config_hash: String::new(),
            registered_components: RegisteredComponents::default(),
            seed: None,
            index_kinds: IndexKinds::default(),
            start_ts_init,
            end_ts_init: None,
            high_watermark: 0,
            status: RunStatus::Running,
            frames_root: None,
        }
    }

    /// True if the node restored its state when it started.
    pub(crate) fn restores(&self) -> bool {
        self.feature_flags.iter().any(|flag| flag == RESTORES_FLAG)
    }

    /// True if the node replayed another run. Then this run is not part of what happened live.
    pub(crate) fn is_replay(&self) -> bool {
        self.feature_flags.iter().any(|flag| flag == REPLAY_FLAG)
    }

    /// Fills in what ran.
    #[must_use]
    pub fn with_identity(mut self, identity: RunIdentity) -> Self {
        self.binary_hash = identity.binary_hash;
        self.schema_version = identity.schema_version;
        self.crate_versions = identity.crate_versions;
        self.feature_flags = identity.feature_flags;
        self.adapter_versions = identity.adapter_versions;
        self.config_hash = identity.config_hash;
        self.seed = identity.seed;
        self
    }
}

mod optional_hash {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::Hash;

    #[expect(clippy::ref_option, reason = "the signature serde's `with` asks for")]
    pub(super) fn serialize<S: Serializer>(hash: &Option<Hash>, to: S) -> Result<S::Ok, S::Error> {
        hash.map(|hash| hash.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Hash>, D::Error> {
        let hex = Option::<String>::deserialize(from)?;
        hex.map(|hex| hex.parse().map_err(D::Error::custom)).transpose()
    }
}
