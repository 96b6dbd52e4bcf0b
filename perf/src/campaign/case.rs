use anyhow::Result;
use serde::Serialize;
use tapline::engine::WriterConfig;

use crate::instruments::Placement;
use crate::outcome::Figure;
use crate::spec::{Disk, Measure, Settings};
use crate::systems::SystemId;

/// One measurement that several systems make.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Case {
    /// What it is called in tables and files: `W5-4`.
    pub(crate) id: String,
    /// The workload it belongs to: `W5`.
    pub(crate) workload: String,
    /// What it is, for people.
    pub(crate) title: String,
    pub(crate) systems: Vec<SystemId>,
    pub(crate) settings: Settings,
    pub(crate) measure: Measure,
}

impl Case {
    /// The figures of its table, and of which the table gives the ratio to tapline.
    pub(crate) fn figures(&self) -> &'static [(Figure, bool)] {
        use Figure as F;
        match self.measure {
            Measure::Saturated { .. } => &[
                (F::DurablePerS, true),
                (F::PayloadMbPerS, false),
                (F::PushNs, false),
                (F::CpuSPerMillion, true),
                (F::WriterCpuSPerMillion, false),
                (F::FileByPayload, false),
                (F::DiskByPayload, false),
                (F::PeakMemoryMb, false),
                (F::CommitP50, false),
                (F::CloseS, false),
                (F::HashGbPerS, false),
            ],
            Measure::Paced { .. } => &[
                (F::AchievedPerS, false),
                (F::CaptureP50, true),
                (F::CaptureP99, true),
                (F::CaptureP999, false),
                (F::IntendedP50, false),
                (F::IntendedP999, false),
                (F::HiccupP999, false),
                (F::AckP50, true),
                (F::AckP99, true),
                (F::CommitP50, false),
                (F::TimerNs, false),
            ],
            Measure::Reading { .. } => &[
                (F::ScanPerS, true),
                (F::VerifyPerS, true),
                (F::VerifyGbPerS, false),
                (F::ReaderMb, false),
            ],
            Measure::Points { .. } => &[
                (F::SeqP50, true),
                (F::SeqP99, true),
                (F::KeyP50, true),
                (F::KeyP99, true),
                (F::LookupP50, false),
                (F::ReaderMb, false),
                (F::TimerNs, false),
            ],
            Measure::Recovery { .. } => &[
                (F::FileMb, false),
                (F::RecoverS, false),
                (F::RecoverGbPerS, false),
                (F::VerifyS, false),
                (F::PeakMemoryMb, false),
            ],
            Measure::Record { .. } => &[
                (F::ElapsedS, false),
                (F::DurablePerS, false),
                (F::CaptureP50, false),
                (F::CaptureP99, false),
                (F::CaptureP999, false),
                (F::AckP50, false),
                (F::AckP99, false),
                (F::FileByPayload, false),
            ],
        }
    }

    /// Whether a run is written that can be read back entry by entry.
    pub(super) fn keeps_entries(&self) -> bool {
        let by_itself = matches!(self.measure, Measure::Record { .. } | Measure::Recovery { .. });
        !by_itself && self.settings.disk != Disk::Memory
    }
}

/// As the workloads have it where they say nothing else: every system as it comes, the producers
/// from the first core on, the writer on the last.
pub(crate) fn settings(producers: usize, payload_bytes: usize, keys: bool) -> Result<Settings> {
    let writer = WriterConfig::default();
    Ok(Settings {
        payload_bytes,
        keys,
        cores: Placement::new(producers, None, None)?,
        disk: Disk::Logged,
        batch_bytes: writer.batch_bytes_max,
        ring_lines: writer.ring_lines,
        spin: false,
        rows_per_commit: None,
        keep_bytes: None,
    })
}
