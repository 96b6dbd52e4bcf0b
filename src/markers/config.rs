use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, check_range};
use crate::model::DataMarkerClass;
use crate::model::settings::{checked_settings, duration_ms};

/// Settings of the data-marker sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, remote = "Self")]
pub struct DataMarkerConfig {
    /// The classes to mark. At least one, each at most once. Default: all.
    pub classes: Vec<DataMarkerClass>,
    /// The longest time without a cursor snapshot while data moves. 1 ms to 1 h. Default 1 s.
    #[serde(rename = "safety_flush_interval_ms", with = "duration_ms")]
    pub safety_flush_interval: Duration,
    /// How many marks may wait for the sidecar's thread. When they are that many, further marks are
    /// shed. 1 to 16 777 216. Default 10 000, which take 1.3 MB.
    pub channel_capacity: usize,
    /// How many streams (an instrument and a class) a tap can mark. Data of further streams is
    /// shed. 1 to 1 048 576. Default 65 536.
    pub streams_max: usize,
    /// Instruments whose every record is marked, with its fingerprint. Default: none.
    pub high_fidelity: Vec<String>,
}

impl Default for DataMarkerConfig {
    fn default() -> Self {
        Self {
            classes: DataMarkerClass::ALL.to_vec(),
            safety_flush_interval: Self::SAFETY_FLUSH_INTERVAL,
            channel_capacity: Self::CHANNEL_CAPACITY,
            streams_max: Self::STREAMS_MAX,
            high_fidelity: Vec::new(),
        }
    }
}

checked_settings!(DataMarkerConfig, &[DataMarkerConfig::NAMES]);

impl DataMarkerConfig {
    /// The settings' names in JSON and TOML.
    const NAMES: &[&str] = &[
        "classes",
        "safety_flush_interval_ms",
        "channel_capacity",
        "streams_max",
        "high_fidelity",
    ];

    /// Default of [`safety_flush_interval`](Self::safety_flush_interval).
    pub const SAFETY_FLUSH_INTERVAL: Duration = Duration::from_secs(1);
    /// Default of [`channel_capacity`](Self::channel_capacity).
    pub const CHANNEL_CAPACITY: usize = 10_000;
    /// Default of [`streams_max`](Self::streams_max).
    pub const STREAMS_MAX: usize = 65_536;

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let mut distinct = self.classes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.is_empty() || distinct.len() != self.classes.len() {
            return Err(ConfigError {
                field: "data_markers.classes",
                value: format!("{:?}", self.classes),
                allowed: "at least one class, none twice".to_owned(),
            });
        }
        let interval_ms = self.safety_flush_interval.as_millis();
        check_range("data_markers.safety_flush_interval_ms", interval_ms, 1..=3_600_000)?;
        check_range("data_markers.streams_max", self.streams_max, 1..=1 << 20)?;
        check_range("data_markers.channel_capacity", self.channel_capacity, 1..=16 << 20)
    }
}
