use std::path::Path;

use anyhow::Result;

use crate::campaign::{Case, settings};
use crate::spec::{Measure, Stop};
use crate::systems::SystemId;

/// What `compare` runs where it is not told otherwise.
pub(crate) const WORKLOADS: [&str; 10] =
    ["W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "hash"];

/// The long workload that shows whether memory stays flat. Only when asked for.
pub(crate) const MEMORY: &str = "memory";

/// What a boot takes after a crash, by the size of what was left behind. Only when asked for.
pub(crate) const RECOVERY: &str = "recovery";

/// The file of real messages, from the root of the source tree.
const REAL_FILE: &str = "../shared/data/esh4-mbo-2023-12-25.ndjson.zst";

/// Enough for all frames of W8's run: the databases keep their pages, in their cache or the
/// system's.
const READER_KEEPS_BYTES: usize = 1 << 30;

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// How long saturating producers push.
    pub(crate) saturated: Stop,
    /// Seconds that latencies are measured.
    pub(crate) paced_s: f64,
    pub(crate) warmup_s: f64,
    /// Seconds that the idle machine is measured, before and after.
    pub(crate) idle_s: f64,
    /// The run that is scanned and verified.
    pub(crate) reading: Stop,
    /// The run that single entries are read of.
    pub(crate) points: Stop,
    /// How many in each way, and in how many seconds, at most.
    pub(crate) reads: u64,
    pub(crate) reads_s: f64,
    pub(crate) memory_entries: u64,
    /// Sizes of files to recover, in megabytes.
    pub(crate) recovery_mb: &'static [u64],
}

impl Scale {
    /// A few seconds a repetition.
    pub(crate) const FULL: Self = Self {
        saturated: Stop { entries: u64::MAX, seconds: 3.0 },
        paced_s: 10.0,
        warmup_s: 1.0,
        idle_s: 2.0,
        reading: Stop { entries: 1_000_000_000 / 256, seconds: 15.0 },
        points: Stop { entries: 1_000_000, seconds: 10.0 },
        reads: 200_000,
        reads_s: 4.0,
        memory_entries: 50_000_000,
        recovery_mb: &[10, 100, 1_000, 5_000],
    };

    /// All of it once in less than two minutes.
    pub(crate) const QUICK: Self = Self {
        saturated: Stop { entries: u64::MAX, seconds: 0.4 },
        paced_s: 1.0,
        warmup_s: 0.2,
        idle_s: 0.2,
        reading: Stop { entries: 400_000, seconds: 0.5 },
        points: Stop { entries: 100_000, seconds: 0.5 },
        reads: 20_000,
        reads_s: 0.3,
        memory_entries: 2_000_000,
        recovery_mb: &[10, 100],
    };

    /// A thousand entries each: whether it works.
    pub(crate) const TINY: Self = Self {
        saturated: Stop { entries: 1_000, seconds: 10.0 },
        paced_s: 0.05,
        warmup_s: 0.0,
        idle_s: 0.01,
        reading: Stop { entries: 1_000, seconds: 10.0 },
        points: Stop { entries: 1_000, seconds: 10.0 },
        reads: 100,
        reads_s: 10.0,
        memory_entries: 1_000,
        recovery_mb: &[1],
    };
}

/// The cases of `workload`, and why there are none where that is so. `real_file` is what W9
/// records; the sample beside the source tree where it is not given.
pub(crate) fn cases(
    workload: &str,
    scale: &Scale,
    real_file: Option<&Path>,
) -> Result<(Vec<Case>, Option<String>)> {
    let saturated = Measure::Saturated { stop: scale.saturated };
    let paced = |rate| Measure::Paced {
        rate,
        seconds: scale.paced_s,
        warmup_seconds: scale.warmup_s,
        idle_seconds: scale.idle_s,
    };
    let durable = SystemId::DURABLE.to_vec();
    let with = |limits: &[SystemId]| [&durable, limits].concat();
    let disk = [SystemId::BareWrite];
    let saturated_limits = [SystemId::BareRing, SystemId::BareWrite];
    let paced_limits = [SystemId::BareRing, SystemId::BareBlock];
    let case = |id: &str, title: &str, systems: Vec<SystemId>, measure: Measure| {
        let (id, title) = (id.to_owned(), title.to_owned());
        let workload = workload.to_owned();
        Ok(Case { id, workload, title, systems, settings: settings(1, 256, false)?, measure })
    };
    let cases = match workload {
        "W1" => {
            vec![case("W1", "256 B, 1 producer, saturated", with(&saturated_limits), saturated)?]
        }
        "W2" => {
            let title = "256 B with a fresh index key each, 1 producer, saturated";
            let mut case = case("W2", title, with(&disk), saturated)?;
            case.settings.keys = true;
            vec![case]
        }
        "W3" => {
            let title = "127 B, the mean of the real file, at 1 000/s, 1 producer";
            let mut slow = case("W3-slow", title, with(&paced_limits), paced(1_000))?;
            slow.settings = settings(1, 127, false)?;
            vec![
                case("W3", "256 B at 20 000/s, 1 producer", with(&paced_limits), paced(20_000))?,
                slow,
            ]
        }
        "W4" => {
            vec![case("W4", "256 B at 200 000/s, 1 producer", with(&paced_limits), paced(200_000))?]
        }
        "W5" => by_producers(&case, &durable, &saturated)?,
        "W6" => by_payload(&case, &with(&disk), &saturated)?,
        "W7" => {
            let title = "scan and verify a run of 256 B entries, one thread";
            vec![case("W7", title, durable, Measure::Reading { stop: scale.reading })?]
        }
        "W8" => {
            let title = "read single entries of 256 B by seq and by key, warm";
            let Scale { points: stop, reads, reads_s: seconds, .. } = *scale;
            let measure = Measure::Points { stop, reads, seconds };
            let mut kept = case("W8", title, durable, measure.clone())?;
            kept.settings.keys = true;
            kept.settings.keep_bytes = Some(READER_KEEPS_BYTES);
            let title = "the same, with tapline's reader as it comes: most frames are not kept";
            let mut usual = case("W8-usual", title, vec![SystemId::Tapline], measure)?;
            usual.settings.keys = true;
            vec![kept, usual]
        }
        "W9" => {
            let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(REAL_FILE);
            let Ok(input) = real_file.unwrap_or(&beside).canonicalize() else {
                let why = format!("W9 skipped: there is no {REAL_FILE}; name a file with --input");
                return Ok((Vec::new(), Some(why)));
            };
            let title = "the real file through `tapline record`, end to end";
            vec![case("W9", title, vec![SystemId::Tapline], Measure::Record { input })?]
        }
        "hash" => vec![case("hash", "BLAKE3 at full width", vec![SystemId::Blake3], saturated)?],
        MEMORY => {
            let entries = scale.memory_entries;
            let title = format!("{entries} entries of 256 B in one run, 1 producer, saturated");
            let measure = Measure::Saturated { stop: Stop { entries, seconds: 3_600.0 } };
            vec![case(MEMORY, &title, vec![SystemId::Tapline], measure)?]
        }
        RECOVERY => by_file(&case, scale.recovery_mb)?,
        _ => anyhow::bail!(
            "there is no workload {workload}; there are {}, {MEMORY} and {RECOVERY}",
            WORKLOADS.join(", ")
        ),
    };
    Ok((cases, None))
}

type MakeCase<'a> = dyn Fn(&str, &str, Vec<SystemId>, Measure) -> Result<Case> + 'a;

fn by_producers(make: &MakeCase<'_>, systems: &[SystemId], measure: &Measure) -> Result<Vec<Case>> {
    let cases = [1, 2, 4, 8].map(|producers| {
        let (id, title) =
            (format!("W5-{producers}"), format!("256 B, {producers} producer(s), saturated"));
        let mut case = make(&id, &title, systems.to_vec(), measure.clone())?;
        case.settings = settings(producers, 256, false)?;
        Ok(case)
    });
    cases.into_iter().collect()
}

fn by_payload(make: &MakeCase<'_>, systems: &[SystemId], measure: &Measure) -> Result<Vec<Case>> {
    let cases = [64, 1024, 16_384].map(|bytes| {
        let (id, title) = (format!("W6-{bytes}"), format!("{bytes} B, 1 producer, saturated"));
        let mut case = make(&id, &title, systems.to_vec(), measure.clone())?;
        case.settings.payload_bytes = bytes;
        Ok(case)
    });
    cases.into_iter().collect()
}

fn by_file(make: &MakeCase<'_>, sizes_mb: &[u64]) -> Result<Vec<Case>> {
    let case = |size_mb: &u64| {
        let (id, title) =
            (format!("recovery-{size_mb}"), format!("a file of {size_mb} MB, left behind"));
        let measure = Measure::Recovery { bytes_file: size_mb * 1_000_000 };
        make(&id, &title, vec![SystemId::Tapline], measure)
    };
    sizes_mb.iter().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_cases_or_says_why_not() {
        for workload in WORKLOADS.into_iter().chain([MEMORY, RECOVERY]) {
            let (cases, skipped) = cases(workload, &Scale::QUICK, None).unwrap();
            assert_ne!(cases.is_empty(), skipped.is_none(), "{workload}");
            assert!(cases.iter().all(|case| case.workload == workload));
        }
        assert!(cases("W10", &Scale::QUICK, None).is_err());
    }
}
