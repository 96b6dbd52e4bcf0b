use std::collections::BTreeMap;

use serde::Serialize;

use super::{Heading, Spread};
use crate::campaign::{CaseResult, Results, SystemResult};
use crate::compare::Judged;
use crate::instruments::Percentiles;
use crate::outcome::{Figure, Timeline};

/// Everything that was found, as one JSON document.
#[derive(Debug, Serialize)]
pub(crate) struct Document<'a> {
    heading: &'a Heading,
    cases: Vec<CaseDocument<'a>>,
    targets: &'a [Judged],
}

#[derive(Debug, Serialize)]
struct CaseDocument<'a> {
    #[serde(flatten)]
    case: &'a crate::campaign::Case,
    results: Vec<SystemDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct SystemDocument<'a> {
    system: &'a str,
    described: Option<&'a str>,
    error: Option<&'a str>,
    /// Over the repetitions.
    figures: BTreeMap<Figure, Spread>,
    /// Of all repetitions together, in nanoseconds.
    percentiles: BTreeMap<&'a str, Percentiles>,
    repetitions: Vec<Repetition<'a>>,
}

#[derive(Debug, Serialize)]
struct Repetition<'a> {
    entries: u64,
    figures: &'a BTreeMap<Figure, f64>,
    memory_mb: &'a [f64],
    timelines: &'a BTreeMap<String, Timeline>,
    warnings: &'a [String],
}

impl<'a> Document<'a> {
    pub(crate) fn new(heading: &'a Heading, results: &'a Results, targets: &'a [Judged]) -> Self {
        Self { heading, cases: results.cases.iter().map(CaseDocument::new).collect(), targets }
    }
}

impl<'a> CaseDocument<'a> {
    fn new(result: &'a CaseResult) -> Self {
        let results = result.systems.iter().map(SystemDocument::new).collect();
        Self { case: &result.case, results }
    }
}

impl<'a> SystemDocument<'a> {
    fn new(result: &'a SystemResult) -> Self {
        let mut figures: Vec<Figure> =
            result.outcomes.iter().flat_map(|outcome| outcome.figures.keys().copied()).collect();
        figures.sort();
        figures.dedup();
        let spread = |figure: Figure| Some((figure, result.spread(figure)?));
        let histograms = result.histograms().into_iter();
        Self {
            system: result.system.name(),
            described: result.outcomes.first().map(|outcome| outcome.described.as_str()),
            error: result.error.as_deref(),
            figures: figures.into_iter().filter_map(spread).collect(),
            percentiles: histograms.map(|(name, found)| (name, found.percentiles())).collect(),
            repetitions: result
                .outcomes
                .iter()
                .map(|outcome| Repetition {
                    entries: outcome.entries,
                    figures: &outcome.figures,
                    memory_mb: &outcome.memory_mb,
                    timelines: &outcome.timelines,
                    warnings: &outcome.warnings,
                })
                .collect(),
        }
    }
}
