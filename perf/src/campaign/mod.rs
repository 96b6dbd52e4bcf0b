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
    /// How often each system makes each measurement. They take turns: A B A B and so on, so that what
    /// changes on the machine meanwhile touches all.
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
        Ok(Results { cases: cases.into_iter().map(|case| self.run_case(&exe, case)).collect() })
    }

    fn run_case(&self, exe: &Path, case: Case) -> CaseResult {
        let available = case
            .systems
            .iter()
            .filter(|system| **system != SystemId::Nautilus || self.nautilus.is_some());
        let mut systems: Vec<SystemResult> =
            available.map(|system| SystemResult::new(*system)).collect();
        for repetition in 1..=self.repeat {
            for result in systems.iter_mut().filter(|result| result.error.is_none()) {
                let system = result.system;
                let exe = match (&self.nautilus, system) {
                    (Some(nautilus), SystemId::Nautilus) => nautilus,
                    _ => exe,
                };
                let what = format!("{} {repetition}/{} {system}", case.id, self.repeat);
                match self.measure(exe, &case, system) {
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
        CaseResult { case, systems }
    }

    fn measure(&self, exe: &Path, case: &Case, system: SystemId) -> Result<Outcome> {
        let dir = self.scratch.folder()?;
        process::run(
            exe,
            &Spec {
                system: system.name().to_owned(),
                dir: dir.path().to_owned(),
                settings: case.settings.clone(),
                measure: case.measure.clone(),
                check: self.check && SystemId::DURABLE.contains(&system) && case.keeps_entries(),
            },
        )
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
