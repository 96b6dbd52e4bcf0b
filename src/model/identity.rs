use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ComponentMap;
use super::settings::checked_settings;

/// What ran: the binary, its parts and its configuration. Copied into the run's manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct RunIdentity {
    /// Hash of the node's binary.
    pub binary_hash: String,
    /// Version of the node's message schemas.
    pub schema_version: u32,
    /// Crate name to version.
    #[serde(default)]
    pub crate_versions: BTreeMap<String, String>,
    /// Build and run flags; `retention=…` is appended when a run opens.
    #[serde(default)]
    pub feature_flags: Vec<String>,
    /// Venue adapter name to version.
    #[serde(default)]
    pub adapter_versions: BTreeMap<String, String>,
    /// Hash of the node's configuration.
    pub config_hash: String,
    /// Seed of the node's random source, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

checked_settings!(
    RunIdentity,
    &[&[
        "binary_hash",
        "schema_version",
        "crate_versions",
        "feature_flags",
        "adapter_versions",
        "config_hash",
        "seed",
    ]]
);

/// What was registered with the node when the run began: id to config hash, in the order of
/// registration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredComponents {
    /// Actors.
    #[serde(default)]
    pub actors: ComponentMap,
    /// Strategies.
    #[serde(default)]
    pub strategies: ComponentMap,
    /// Execution algorithms.
    #[serde(default)]
    pub algorithms: ComponentMap,
    /// Topic patterns subscribed to.
    #[serde(default)]
    pub subscriptions: Vec<String>,
    /// Endpoints with a handler.
    #[serde(default)]
    pub endpoints: Vec<String>,
}
