use std::collections::BTreeMap;

use super::Case;
use crate::instruments::Latencies;
use crate::outcome::{Figure, Outcome};
use crate::report::Spread;
use crate::systems::SystemId;

/// What all cases found.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) cases: Vec<CaseResult>,
}

/// What one case found.
#[derive(Debug)]
pub(crate) struct CaseResult {
    pub(crate) case: Case,
    pub(crate) systems: Vec<SystemResult>,
}

/// What one system's repetitions of a case found.
#[derive(Debug)]
pub(crate) struct SystemResult {
    pub(crate) system: SystemId,
    pub(crate) outcomes: Vec<Outcome>,
    /// Why there are no more of them.
    pub(crate) error: Option<String>,
}

impl Results {
    pub(crate) fn case(&self, id: &str) -> Option<&CaseResult> {
        self.cases.iter().find(|result| result.case.id == id)
    }

    /// A figure of a system in a case, over the repetitions.
    pub(crate) fn spread(&self, case: &str, system: SystemId, figure: Figure) -> Option<Spread> {
        self.case(case)?.system(system)?.spread(figure)
    }

    /// The ratio of two figures, over the repetitions they were measured in side by side.
    pub(crate) fn ratio(&self, of: At<'_>, by: At<'_>) -> Option<Spread> {
        let figures = |(case, system, figure): At<'_>| {
            let result = self.case(case)?.system(system)?;
            Some(result.figures(figure).collect::<Vec<_>>())
        };
        let (of, by) = (figures(of)?, figures(by)?);
        Spread::of(of.into_iter().zip(by).map(|(of, by)| of / by))
    }

    /// How many measurements failed.
    pub(crate) fn failures(&self) -> usize {
        let systems = self.cases.iter().flat_map(|case| &case.systems);
        systems.filter(|result| result.error.is_some()).count()
    }
}

/// A figure of a system in a case.
pub(crate) type At<'a> = (&'a str, SystemId, Figure);

impl CaseResult {
    pub(crate) fn system(&self, system: SystemId) -> Option<&SystemResult> {
        self.systems.iter().find(|result| result.system == system)
    }
}

impl SystemResult {
    pub(super) fn new(system: SystemId) -> Self {
        Self { system, outcomes: Vec::new(), error: None }
    }

    /// The figure in each repetition that has it.
    pub(crate) fn figures(&self, figure: Figure) -> impl Iterator<Item = f64> {
        self.outcomes.iter().filter_map(move |outcome| outcome.figures.get(&figure).copied())
    }

    pub(crate) fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.figures(figure))
    }

    /// All repetitions' histograms, added up.
    pub(crate) fn histograms(&self) -> BTreeMap<&str, Latencies> {
        let mut all: BTreeMap<&str, Latencies> = BTreeMap::new();
        for (name, latencies) in self.outcomes.iter().flat_map(|outcome| &outcome.histograms) {
            all.entry(name).or_default().merge(latencies);
        }
        all
    }
}
