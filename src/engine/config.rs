use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::CorePin;
use super::writer::BatchLimits;
use crate::format::{LINE_BYTES, RecordLimits};
use crate::model::settings::{checked_settings, duration_ms, optional_duration_us};

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("setting {field} is {value}; allowed is {allowed}")]
pub struct ConfigError {
    /// The setting.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What it may be.
    pub allowed: String,
}

/// How the writer waits when there is nothing to do. Producers do not wake it, unless their ring is
/// full: the wait decides how soon an entry is noticed, and what an idle node costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", remote = "Self")]
pub enum WaitStrategy {
    /// Never gives up its core, but to hand a frame to the committer thread and to wait for it. For
    /// a core of its own.
    Spin,
    /// Spins, then yields its core to others, then sleeps for a while at a time.
    Park {
        /// Rounds to spin, after the last entry, before yielding.
        spins: u32,
        /// Rounds to yield before sleeping.
        yields: u32,
        /// How long to sleep at a time while there is traffic, in microseconds. 1 to 1 000 000.
        /// Default 50.
        park_us: u64,
        /// The longest sleep, in microseconds. Without traffic, a sleep is a twentieth of the time
        /// that has passed since the last entry, so an entry that comes after a pause is noticed
        /// within that, or this. Whoever waits for an entry to be durable wakes the writer. 1 to
        /// 1 000 000. Default 10 000: an idle writer costs nearly nothing.
        #[serde(default = "default_idle_park_us")]
        idle_park_us: u64,
    },
}

checked_settings!(WaitStrategy, &[&["kind", "spins", "yields", "park_us", "idle_park_us"]]);

const fn default_idle_park_us() -> u64 {
    WaitStrategy::IDLE_PARK_US
}

impl WaitStrategy {
    /// Default of `idle_park_us`.
    pub const IDLE_PARK_US: u64 = 10_000;
}

impl Default for WaitStrategy {
    /// With a core to spare, spins about a millisecond before it sleeps; on one or two cores it
    /// soon yields, since there it takes the core away from the producers.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (spins, yields) = if cores > 2 { (20_000, 100) } else { (200, 200) };
        Self::Park { spins, yields, park_us: 50, idle_park_us: Self::IDLE_PARK_US }
    }
}

/// Settings of the writer and of the producers' rings.
///
/// Every field has a default, and a missing one deserializes to it. A name that is none is refused.
/// In JSON and TOML, durations are whole numbers of the unit that their name ends with, or texts
/// with a unit, as `"1500us"`. Opening a run validates all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, remote = "Self")]
pub struct WriterConfig {
    /// How long a submitter may wait for a full ring, and a caller for an anchor, before the run
    /// halts. 1 ms to 1 h. Default 250 ms: a disk that has not answered for so long is not one a
    /// live node should keep trading on.
    #[serde(rename = "halt_threshold_ms", with = "duration_ms")]
    pub halt_threshold: Duration,
    /// How long `close` and `Drop` wait for the writer before they halt the run. 1 ms to 1 h.
    /// Default 30 s: several full rings on a slow disk, and the sorting of the index, 65 ns a key.
    /// Of a close that took longer, the run may still be sealed afterwards.
    #[serde(rename = "close_timeout_ms", with = "duration_ms")]
    pub close_timeout: Duration,
    /// Lines (64 bytes each) in each producer's ring. 64 to 16 777 216. Default 32 768 (2 MiB): a
    /// millisecond of a saturated engine's traffic.
    pub ring_lines: usize,
    /// Bytes of one record: header line, payload, keys and ids, in whole lines of 64 bytes, rounded
    /// down. 128 to 67 043 328 (64 MiB less 64 KiB, so that a frame with it stays below 64 MiB, the
    /// largest value that a run file can hold). Default 16 MiB. One that is larger than the
    /// producer's ring travels beside it, which allocates, and has a frame of its own. Each
    /// producer can hold three such records: one under construction, one that waits, and the
    /// writer's.
    pub record_bytes_max: usize,
    /// Distinct topics and payload types one producer can use. 2 to 1 048 576. Default 65 536.
    pub names_max: usize,
    /// Distinct topics and payload types in one run, of all its producers together. 4 to 16 777
    /// 216: the first entry has two of them. Default 1 048 576. The engine keeps each name in
    /// memory twice, and every reader once: with names of 30 bytes that is about 160 MB and 80 MB.
    pub run_names_max: usize,
    /// Bytes of one topic or payload type. 1 to 4 096, and no more than a record, or half of a
    /// ring, can hold. Default 1 024.
    pub name_bytes_max: usize,
    /// Index keys on one entry. 0 to 1 024. Default 16.
    pub keys_per_entry_max: usize,
    /// Bytes of one index key. 1 to 4 096. Default 256.
    pub key_bytes_max: usize,
    /// Producers at one time. One that is dropped keeps its place until the writer has taken what
    /// it pushed. 1 to 65 536. Default 1 024. Inline mode has no rings, and no limit.
    pub producers_max: usize,
    /// Entries in one commit. 1 to 1 048 576. Default 65 536.
    pub batch_entries_max: usize,
    /// Bytes in one commit. 4 KiB to 32 MiB less one page, what redb's cache can take whole.
    /// Default 4 MiB less one page: 8 % more throughput than with half of it.
    pub batch_bytes_max: usize,
    /// How long the first entry of a batch may wait for company. None (default): not at all, what
    /// comes while a commit is under way makes the next batch. Up to 10 s.
    #[serde(
        rename = "max_batch_latency_us",
        with = "optional_duration_us",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_batch_latency: Option<Duration>,
    /// How many message identities are remembered to recognise a message that crosses several taps.
    /// 0 (no deduplication) to 16 777 216. Default 65 536, 6 MiB.
    pub dedup_window: usize,
    /// The core the writer thread is pinned to. Default `auto`: the last of four or more.
    /// [`RunSession::writer_core`](crate::RunSession::writer_core) says which it is.
    pub writer_core: CorePin,
    /// Batches of at least so many bytes are committed on a thread of their own, while the writer
    /// collects and hashes the next one. Smaller ones are not worth waking another thread for;
    /// above `batch_bytes_max` there is no such thread. 0 to 128 MiB. Default 256 KiB.
    pub overlap_bytes_min: usize,
    /// The core the committer thread is pinned to. Default `none`: it mostly waits for the disk.
    pub committer_core: CorePin,
    /// How the writer waits when idle.
    pub wait: WaitStrategy,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            halt_threshold: Self::HALT_THRESHOLD,
            close_timeout: Self::CLOSE_TIMEOUT,
            ring_lines: Self::RING_LINES,
            record_bytes_max: Self::RECORD_BYTES_MAX,
            names_max: Self::NAMES_MAX,
            run_names_max: Self::RUN_NAMES_MAX,
            name_bytes_max: Self::NAME_BYTES_MAX,
            keys_per_entry_max: Self::KEYS_PER_ENTRY_MAX,
            key_bytes_max: Self::KEY_BYTES_MAX,
            producers_max: Self::PRODUCERS_MAX,
            batch_entries_max: Self::BATCH_ENTRIES_MAX,
            batch_bytes_max: Self::BATCH_BYTES_MAX,
            max_batch_latency: None,
            dedup_window: Self::DEDUP_WINDOW,
            writer_core: CorePin::Auto,
            overlap_bytes_min: Self::OVERLAP_BYTES_MIN,
            committer_core: CorePin::None,
            wait: WaitStrategy::default(),
        }
    }
}

checked_settings!(WriterConfig, &[WriterConfig::NAMES]);

/// The largest record there may be. Its frame, with two names, is below 64 MiB.
const RECORD_BYTES_LIMIT: usize = (64 << 20) - (64 << 10);

/// The longest name there may be, in bytes. Its length is written down in two bytes.
const NAME_BYTES_MAX: usize = 4096;

impl WriterConfig {
    /// The settings' names in JSON and TOML.
    pub(crate) const NAMES: &[&str] = &[
        "halt_threshold_ms",
        "close_timeout_ms",
        "ring_lines",
        "record_bytes_max",
        "names_max",
        "run_names_max",
        "name_bytes_max",
        "keys_per_entry_max",
        "key_bytes_max",
        "producers_max",
        "batch_entries_max",
        "batch_bytes_max",
        "max_batch_latency_us",
        "dedup_window",
        "writer_core",
        "overlap_bytes_min",
        "committer_core",
        "wait",
    ];

    /// Default of [`halt_threshold`](Self::halt_threshold).
    pub const HALT_THRESHOLD: Duration = Duration::from_millis(250);
    /// Default of [`close_timeout`](Self::close_timeout).
    pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
    /// Default of [`ring_lines`](Self::ring_lines).
    pub const RING_LINES: usize = 32_768;
    /// Default of [`record_bytes_max`](Self::record_bytes_max).
    pub const RECORD_BYTES_MAX: usize = 16 << 20;
    /// Default of [`names_max`](Self::names_max).
    pub const NAMES_MAX: usize = 65_536;
    /// Default of [`run_names_max`](Self::run_names_max).
    pub const RUN_NAMES_MAX: usize = 1 << 20;
    /// Default of [`name_bytes_max`](Self::name_bytes_max).
    pub const NAME_BYTES_MAX: usize = 1024;
    /// Default of [`keys_per_entry_max`](Self::keys_per_entry_max).
    pub const KEYS_PER_ENTRY_MAX: usize = 16;
    /// Default of [`key_bytes_max`](Self::key_bytes_max).
    pub const KEY_BYTES_MAX: usize = 256;
    /// Default of [`producers_max`](Self::producers_max).
    pub const PRODUCERS_MAX: usize = 1024;
    /// Default of [`batch_entries_max`](Self::batch_entries_max).
    pub const BATCH_ENTRIES_MAX: usize = 65_536;
    /// Default of [`batch_bytes_max`](Self::batch_bytes_max).
    pub const BATCH_BYTES_MAX: usize = (4 << 20) - 4096;
    /// Default of [`dedup_window`](Self::dedup_window).
    pub const DEDUP_WINDOW: usize = 65_536;
    /// Default of [`overlap_bytes_min`](Self::overlap_bytes_min).
    pub const OVERLAP_BYTES_MIN: usize = 256 << 10;

    /// Checks every setting against its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let threshold_ms = 1..=3_600_000;
        check_range("halt_threshold_ms", self.halt_threshold.as_millis(), threshold_ms.clone())?;
        check_range("close_timeout_ms", self.close_timeout.as_millis(), threshold_ms)?;
        check_range("ring_lines", self.ring_lines, 64..=16 << 20)?;
        check_range("batch_bytes_max", self.batch_bytes_max, 4096..=(32 << 20) - 4096)?;
        check_range(
            "record_bytes_max",
            self.record_bytes_max,
            2 * LINE_BYTES..=RECORD_BYTES_LIMIT,
        )?;
        // One message has two.
        check_range("names_max", self.names_max, 2..=1 << 20)?;
        check_range("run_names_max", self.run_names_max, 4..=16 << 20)?;
        check_range("name_bytes_max", self.name_bytes_max, 1..=self.longest_name())?;
        check_range("keys_per_entry_max", self.keys_per_entry_max, 0..=1024)?;
        check_range("key_bytes_max", self.key_bytes_max, 1..=4096)?;
        check_range("producers_max", self.producers_max, 1..=65_536)?;
        check_range("batch_entries_max", self.batch_entries_max, 1..=1 << 20)?;
        if let Some(latency) = self.max_batch_latency {
            check_range("max_batch_latency_us", latency.as_micros(), 0..=10_000_000)?;
        }
        check_range("dedup_window", self.dedup_window, 0..=16 << 20)?;
        check_range("overlap_bytes_min", self.overlap_bytes_min, 0..=128 << 20)?;
        if let WaitStrategy::Park { park_us, idle_park_us, .. } = self.wait {
            check_range("wait.park_us", park_us, 1..=1_000_000)?;
            check_range("wait.idle_park_us", idle_park_us, 1..=1_000_000)?;
        }
        Ok(())
    }

    /// The longest name that a record can hold, and a ring twice, with a line to spare.
    fn longest_name(&self) -> usize {
        let in_ring = ((self.ring_lines - 1) / 2 - 1) * LINE_BYTES;
        NAME_BYTES_MAX.min(self.record_bytes_max - LINE_BYTES).min(in_ring)
    }

    /// For what has to be recorded whatever its size.
    pub(crate) fn limits_of_any_size() -> RecordLimits {
        RecordLimits { record_bytes_max: RECORD_BYTES_LIMIT, keys_max: 0, key_bytes_max: 0 }
    }

    pub(crate) fn record_limits(&self) -> RecordLimits {
        RecordLimits {
            record_bytes_max: self.record_bytes_max / LINE_BYTES * LINE_BYTES,
            keys_max: self.keys_per_entry_max,
            key_bytes_max: self.key_bytes_max,
        }
    }

    pub(super) fn batch_limits(&self) -> BatchLimits {
        BatchLimits { entries_max: self.batch_entries_max, bytes_max: self.batch_bytes_max }
    }
}

/// Checks one setting against its range.
pub(crate) fn check_range<T: PartialOrd + Display>(
    field: &'static str,
    value: T,
    allowed: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let allowed = format!("{} to {}", allowed.start(), allowed.end());
    Err(ConfigError { field, value: value.to_string(), allowed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{FrameBuilder, FrameLimits, RecordBuilder, RecordStamp, RecordTag};
    use crate::model::{EntryDraft, Hash, UnixNanos};

    /// Bytes of a frame with nothing but a record as large as allowed, and the names it brings, as
    /// long as allowed.
    #[test]
    fn the_largest_frame_is_below_64_mib() {
        let config = WriterConfig {
            record_bytes_max: RECORD_BYTES_LIMIT,
            name_bytes_max: NAME_BYTES_MAX,
            ..WriterConfig::default()
        };
        config.validate().expect("as large as allowed");
        let mut builder = RecordBuilder::new(config.record_limits());
        let payload = vec![0; config.record_bytes_max - LINE_BYTES];
        builder.fill(&EntryDraft { payload: &payload, ..EntryDraft::default() });
        let ts_publish = UnixNanos::default();
        let tag = RecordTag { stamp: 0, ts_publish, topic_id: 0, type_id: 0 };
        let record = builder.finish(tag).expect("as large as allowed");
        assert_eq!(record.len() * LINE_BYTES, config.record_bytes_max);

        let limits = FrameLimits { entries_max: 1, bytes_max: config.batch_bytes_max };
        let mut frame = FrameBuilder::new(limits, 1, 0);
        let name = "n".repeat(config.name_bytes_max);
        let (topic_id, type_id) = (frame.push_name(&name), frame.push_name(&name));
        frame.push(record, &[], &RecordStamp { ts_publish, topic_id, type_id });
        // redb's page has some bytes besides.
        assert!(frame.seal(&Hash::ZERO).bytes().len() < (64 << 20) - 4096);
        assert_eq!(config.batch_bytes_max, WriterConfig::BATCH_BYTES_MAX);
    }

    #[test]
    fn a_name_that_is_too_long_is_what_is_told() {
        for name_bytes_max in [4097, 10_000_000, usize::MAX] {
            let config = WriterConfig { name_bytes_max, ..WriterConfig::default() };
            let error = config.validate().expect_err("too long for any record");
            assert_eq!((error.field, error.allowed.as_str()), ("name_bytes_max", "1 to 4096"));
        }
        let small =
            WriterConfig { record_bytes_max: 1024, ring_lines: 64, ..WriterConfig::default() };
        let most = WriterConfig { name_bytes_max: 960, ..small.clone() };
        most.validate().expect("a record has no more");
        let more = WriterConfig { name_bytes_max: 961, ..small.clone() };
        let error = more.validate().expect_err("one more");
        assert_eq!((error.field, error.allowed.as_str()), ("name_bytes_max", "1 to 960"));
        // Two of them, a line ahead of each, and a line for a record beside the ring.
        let large = WriterConfig { record_bytes_max: 4096, name_bytes_max: 1921, ..small };
        let error = large.validate().expect_err("the ring has 64 lines");
        assert_eq!((error.field, error.allowed.as_str()), ("name_bytes_max", "1 to 1920"));
    }

    #[test]
    fn no_record_is_larger_than_its_setting() {
        let with = |record_bytes_max| {
            WriterConfig { record_bytes_max, ..WriterConfig::default() }
                .record_limits()
                .record_bytes_max
        };
        assert_eq!((with(128), with(129), with(191), with(192)), (128, 128, 128, 192));
    }
}
