//! Many measurements in one go: cases, each of several systems, each several times.

mod case;
mod process;
mod results;
mod scratch;

pub(crate) use case::{Case, settings};
pub(crate) use process::SUBCOMMAND;
pub(crate) use results::{At, CaseResult, Results, SystemResult};
pub(crate) use scratch::Scratch;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::outcome::{Figure, Outcome};
use crate::spec::Spec;
use crate::systems::SystemId;

/// How cases are run.
#[derive(Debug)]
pub(crate) struct Campaign {
    /// Where systems keep their files meanwhile.
    pub(crate) scratch: Scratch,
    /// How often each system makes each measurement. They take turns, and so do the cases of a
    /// workload, so that what changes on the machine meanwhile touches all.
    pub(crate) repeat: u32,
    /// Read everything back after each measurement and compare.
    pub(crate) check: bool,
    /// The program that measures nautilus, where it has been built.
    pub(crate) nautilus: Option<PathBuf>,
}

impl Campaign {
    /// Runs all cases. What fails is kept as an error in its place, and the rest goes on.
    pub(crate) fn run(&self, cases: Vec<Case>) -> Result<Results> {
        let exe = std::env::current_exe().context("cannot find this program's own file")?;
        let mut cases: Vec<CaseResult> =
            cases.into_iter().map(|case| CaseResult::new(case, self.nautilus.is_some())).collect();
        for of_workload in cases.chunk_by_mut(|a, b| a.case.workload == b.case.workload) {
            for repetition in 1..=self.repeat {
                for result in &mut *of_workload {
                    self.repeat_case(&exe, result, repetition);
                }
            }
        }
        Ok(Results { cases })
    }

    /// Every system once, in turns from the first to the last and back, so that none always comes
    /// after the same other one.
    fn repeat_case(&self, exe: &Path, result: &mut CaseResult, repetition: u32) {
        let CaseResult { case, systems } = result;
        let mut in_turn: Vec<&mut SystemResult> =
            systems.iter_mut().filter(|result| result.error.is_none()).collect();
        if repetition.is_multiple_of(2) {
            in_turn.reverse();
        }
        for result in in_turn {
            let system = result.system;
            let exe = match (&self.nautilus, system) {
                (Some(nautilus), SystemId::Nautilus) => nautilus,
                _ => exe,
            };
            let what = format!("{} {repetition}/{} {system}", case.id, self.repeat);
            match self.measure(exe, case, system) {
                Ok(outcome) => {
                    eprintln!("{what}: {}", said_shortly(&outcome));
                    result.outcomes.push(outcome);
                }
                Err(error) => {
                    eprintln!("{what}: FAILED: {error:#}");
                    result.error = Some(format!("{error:#}"));
                }
            }
        }
    }

    fn measure(&self, exe: &Path, case: &Case, system: SystemId) -> Result<Outcome> {
        let dir = self.scratch.folder()?;
        let outcome = process::run(
            exe,
            &Spec {
                system: system.name().to_owned(),
                dir: dir.path().to_owned(),
                settings: case.settings.clone(),
                measure: case.measure.clone(),
                deadline_s: Spec::deadline_s(&case.measure),
                check: self.check && SystemId::DURABLE.contains(&system) && case.keeps_entries(),
            },
        );
        dir.close().context("cannot delete the measurement's files")?;
        self.scratch.settle()?;
        outcome
    }
}

/// The figure to show while it goes on.
fn said_shortly(outcome: &Outcome) -> String {
    use Figure as F;
    let shown = [F::DurablePerS, F::CaptureP50, F::ScanPerS, F::SeqP50, F::HashGbPerS];
    let shown = shown.into_iter().find_map(|figure| Some((figure, outcome.figures.get(&figure)?)));
    shown.map_or_else(String::new, |(figure, value)| {
        format!("{} {}", figure.print(*value), figure.label())
    })
}
