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
        self.side_by_side(of, by, |of, by| of / by)
    }

    /// The difference of two figures, likewise.
    pub(crate) fn difference(&self, of: At<'_>, by: At<'_>) -> Option<Spread> {
        self.side_by_side(of, by, |of, by| of - by)
    }

    fn side_by_side(
        &self,
        of: At<'_>,
        by: At<'_>,
        compare: impl Fn(f64, f64) -> f64,
    ) -> Option<Spread> {
        let outcomes = |(case, system, _): At<'_>| Some(&self.case(case)?.system(system)?.outcomes);
        let pairs = outcomes(of)?.iter().zip(outcomes(by)?);
        Spread::of(pairs.filter_map(|(first, second)| {
            Some(compare(*first.figures.get(&of.2)?, *second.figures.get(&by.2)?))
        }))
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
    pub(super) fn new(case: Case, has_nautilus: bool) -> Self {
        let available =
            case.systems.iter().filter(|system| **system != SystemId::Nautilus || has_nautilus);
        let systems = available.map(|system| SystemResult::new(*system)).collect();
        Self { case, systems }
    }

    pub(crate) fn system(&self, system: SystemId) -> Option<&SystemResult> {
        self.systems.iter().find(|result| result.system == system)
    }
}

impl SystemResult {
    fn new(system: SystemId) -> Self {
        Self { system, outcomes: Vec::new(), error: None }
    }

    /// The figure, over the repetitions that have it.
    pub(crate) fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.outcomes.iter().filter_map(|outcome| outcome.figures.get(&figure).copied()))
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
