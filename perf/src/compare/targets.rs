//! What tapline is to reach, as ratios within one run, and whether it did.

use std::fmt::Write;

use serde::Serialize;

use crate::campaign::{At, Results};
use crate::outcome::Figure as F;
use crate::systems::SystemId::{
    self, BareBlock, BareRing, BareWrite, Fjall, Nautilus, RedbRows, Sqlite, Tapline,
};

/// A target, and what was reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Judged {
    workload: &'static str,
    target: String,
    needed: f64,
    /// The reached value must be at least `needed`, or else at most.
    at_least: bool,
    /// The median over the repetitions; `None` when something it needs was not measured.
    reached: Option<f64>,
    met: Option<bool>,
}

/// A target before it is judged.
struct Target {
    workload: &'static str,
    text: String,
}

fn target(workload: &'static str, text: impl Into<String>) -> Target {
    Target { workload, text: text.into() }
}

impl Target {
    fn at_least(self, needed: f64, reached: Option<f64>) -> Judged {
        self.judged(true, needed, reached)
    }

    fn at_most(self, needed: f64, reached: Option<f64>) -> Judged {
        self.judged(false, needed, reached)
    }

    fn judged(self, at_least: bool, needed: f64, reached: Option<f64>) -> Judged {
        let is_met = |reached| if at_least { reached >= needed } else { reached <= needed };
        let Self { workload, text } = self;
        Judged { workload, target: text, needed, at_least, reached, met: reached.map(is_met) }
    }
}

/// Reads figures for the targets.
struct Judge<'a>(&'a Results);

impl Judge<'_> {
    fn median(&self, case: &str, system: SystemId, figure: F) -> Option<f64> {
        Some(self.0.spread(case, system, figure)?.median)
    }

    fn ratio(&self, of: At<'_>, by: At<'_>) -> Option<f64> {
        Some(self.0.ratio(of, by)?.median)
    }
}

/// Judges by what was measured; of workloads that were not run there is nothing.
pub(crate) fn judge(results: &Results) -> Vec<Judged> {
    let judge = Judge(results);
    let all =
        [throughput(&judge), latency(&judge), scaling(&judge), reading(&judge), memory(&judge)];
    let ran = |judged: &Judged| {
        results.cases.iter().any(|result| result.case.workload == judged.workload)
    };
    all.concat().into_iter().filter(ran).collect()
}

fn throughput(judge: &Judge<'_>) -> Vec<Judged> {
    let durable =
        |case, by| judge.ratio((case, Tapline, F::DurablePerS), (case, by, F::DurablePerS));
    let times = |case, by: SystemId, needed| {
        target(case, format!("durable entries/s, times {by}'s")).at_least(needed, durable(case, by))
    };
    let share = "durable entries/s, share of the bare write's of the same bytes";
    let length = judge.median("W1", Tapline, F::FileByPayload);
    vec![
        times("W1", Nautilus, 40.0),
        times("W1", Fjall, 3.5),
        times("W1", Sqlite, 5.0),
        times("W1", RedbRows, 10.0),
        target("W1", share).at_least(0.65, durable("W1", BareWrite)),
        target("W1", "length of the sealed file by payload").at_most(1.5, length),
        times("W2", Nautilus, 8.0),
    ]
}

fn latency(judge: &Judge<'_>) -> Vec<Judged> {
    let lower = |figure| judge.ratio(("W3", Nautilus, figure), ("W3", Tapline, figure));
    let of = |figure, system, its| judge.ratio(("W3", Tapline, figure), ("W3", system, its));
    let above_hiccups = judge
        .0
        .difference(("W3", Tapline, F::IntendedP999), ("W3", Tapline, F::HiccupP999))
        .map(|spread| spread.median);
    let w3 = |text: &str| target("W3", text);
    vec![
        w3("push p50, times lower than nautilus's").at_least(100.0, lower(F::CaptureP50)),
        w3("push p99, times lower than nautilus's").at_least(50.0, lower(F::CaptureP99)),
        w3("push p50, times a bare ring's (both with the clock)")
            .at_most(2.5, of(F::CaptureP50, BareRing, F::CaptureP50)),
        w3("push p99.9 from due, ns above the hiccups' of the same run")
            .at_most(1_000.0, above_hiccups),
        w3("ack p50, times one bare 4 KiB pwrite + fdatasync")
            .at_most(1.7, of(F::AckP50, BareBlock, F::CommitP50)),
        w3("ack p50, times SQLite's").at_most(0.8, of(F::AckP50, Sqlite, F::AckP50)),
        w3("ack p50, times fjall's").at_most(0.75, of(F::AckP50, Fjall, F::AckP50)),
        w3("ack p99, times SQLite's").at_most(0.5, of(F::AckP99, Sqlite, F::AckP99)),
        // What is accepted while a sync is under way waits for its end: one that does nothing but
        // sync, back to back, acknowledges half a sync later than a sync takes.
        w3("ack p50, times the ack of one that only writes 4 KiB blocks")
            .at_most(1.3, of(F::AckP50, BareBlock, F::AckP50)),
        w3("ack p50, times lower than nautilus's").at_least(10.0, lower(F::AckP50)),
    ]
}

/// Only what leaves the writer a core of its own can be judged.
fn scaling(judge: &Judge<'_>) -> Vec<Judged> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = |producers: usize| {
        let case = format!("W5-{producers}");
        let one = ("W5-1", Tapline, F::DurablePerS);
        let reached = judge.ratio((&case, Tapline, F::DurablePerS), one);
        let unjudged =
            if producers < cores { String::new() } else { format!(" (not judged: {cores} cores)") };
        target("W5", format!("{producers} producers, share of one's durable entries/s{unjudged}"))
            .at_least(0.9, reached.filter(|_| producers < cores))
    };
    [2, 4, 8].map(share).to_vec()
}

fn reading(judge: &Judge<'_>) -> Vec<Judged> {
    let own = |case, figure, scale: f64| Some(judge.median(case, Tapline, figure)? / scale);
    let times = |figure| judge.ratio(("W7", Tapline, figure), ("W7", Nautilus, figure));
    vec![
        target("W7", "scan, M entries/s on one core").at_least(10.0, own("W7", F::ScanPerS, 1e6)),
        target("W7", "verify, GB/s of payload on one core")
            .at_least(4.0, own("W7", F::VerifyGbPerS, 1.0)),
        target("W7", "scan, times nautilus's").at_least(10.0, times(F::ScanPerS)),
        target("W7", "verify, times nautilus's").at_least(10.0, times(F::VerifyPerS)),
        target("W8", "read by seq p50, ns").at_most(2_000.0, own("W8", F::SeqP50, 1.0)),
        target("W8", "read by key p50, ns").at_most(4_000.0, own("W8", F::KeyP50, 1.0)),
    ]
}

/// Flat: what is resident at the end, by what was resident when a fifth had been pushed.
fn memory(judge: &Judge<'_>) -> Vec<Judged> {
    let growth = || {
        let result = judge.0.case(super::MEMORY)?.system(Tapline)?;
        let tenths: &[f64; 10] = result.outcomes.last()?.memory_mb.as_slice().try_into().ok()?;
        Some(tenths[9] / tenths[1])
    };
    let text = "resident memory at the end, times that at a fifth of the run";
    vec![target(super::MEMORY, text).at_most(1.1, growth())]
}

/// The targets as a table for people; empty without any.
pub(crate) fn render_targets(judged: &[Judged]) -> String {
    let mut text = String::new();
    if judged.is_empty() {
        return text;
    }
    text.push_str("\ntargets\n");
    for Judged { workload, target, needed, at_least, reached, met } in judged {
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "not measured",
        };
        let sign = if *at_least { "≥" } else { "≤" };
        let reached = reached.map_or_else(|| "-".to_owned(), |reached| format!("{reached:.3}"));
        let _ = writeln!(
            text,
            "  {workload:<6} {target:<64} {sign} {needed:<6} {reached:>10}  {verdict}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{CaseResult, SystemResult};
    use crate::compare::{Scale, cases};
    use crate::outcome::Outcome;

    fn results(figures: &[(&str, SystemId, F, [f64; 3])]) -> Results {
        let (cases, _) = cases("W1", &Scale::QUICK, None).unwrap();
        let (latency, _) = super::super::cases("W3", &Scale::QUICK, None).unwrap();
        let of_case = |case: &crate::campaign::Case, system: SystemId| {
            let outcome = |repetition: usize| {
                let mut outcome = Outcome::new(system.name(), String::new());
                for (id, _, figure, values) in figures.iter().filter(|given| given.1 == system) {
                    if *id == case.id {
                        outcome.set(*figure, values[repetition]);
                    }
                }
                outcome
            };
            SystemResult { system, outcomes: (0..3).map(outcome).collect(), error: None }
        };
        let cases = cases.into_iter().chain(latency).map(|case| {
            let systems =
                [Tapline, Nautilus, BareWrite, BareBlock].map(|system| of_case(&case, system));
            CaseResult { systems: systems.into(), case }
        });
        Results { cases: cases.collect() }
    }

    fn verdict(judged: &[Judged], workload: &str, target: &str) -> (Option<f64>, Option<bool>) {
        let found =
            judged.iter().find(|judged| judged.workload == workload && judged.target == target);
        let found = found.expect("the target is judged");
        (found.reached, found.met)
    }

    #[test]
    fn ratios_are_taken_between_neighbours_in_time() {
        // The machine slows down by half, twice: each pair has the ratio 50, which the ratio of
        // medians of other pairs would not show.
        let judged = judge(&results(&[
            ("W1", Tapline, F::DurablePerS, [400.0, 200.0, 100.0]),
            ("W1", Nautilus, F::DurablePerS, [8.0, 4.0, 2.0]),
            ("W1", BareWrite, F::DurablePerS, [1000.0, 500.0, 250.0]),
        ]));
        let times = verdict(&judged, "W1", "durable entries/s, times nautilus's");
        assert_eq!(times, (Some(50.0), Some(true)));
        let share = verdict(
            &judged,
            "W1",
            "durable entries/s, share of the bare write's of the same bytes",
        );
        assert_eq!(share, (Some(0.4), Some(false)));
    }

    #[test]
    fn lower_is_better_where_it_is() {
        let judged = judge(&results(&[
            ("W3", Tapline, F::AckP50, [130.0, 130.0, 131.0]),
            ("W3", BareBlock, F::CommitP50, [100.0, 100.0, 100.0]),
            ("W3", Tapline, F::IntendedP999, [2_001.0; 3]),
            ("W3", Tapline, F::HiccupP999, [1_000.0; 3]),
        ]));
        let ack = verdict(&judged, "W3", "ack p50, times one bare 4 KiB pwrite + fdatasync");
        assert_eq!(ack, (Some(1.3), Some(true)));
        let tail =
            verdict(&judged, "W3", "push p99.9 from due, ns above the hiccups' of the same run");
        assert_eq!(tail, (Some(1_001.0), Some(false)));
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let judged = judge(&results(&[("W1", Tapline, F::FileByPayload, [1.4; 3])]));
        assert_eq!(verdict(&judged, "W1", "durable entries/s, times fjall's"), (None, None));
        assert!(judged.iter().all(|judged| matches!(judged.workload, "W1" | "W3")));
        assert!(render_targets(&judged).contains("1.400  met"));
    }
}
