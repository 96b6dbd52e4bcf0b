use std::fmt;

use crate::catalog::{CatalogError, Coverage, DataRequest, ReplayCatalog, TimeRange};
use crate::market_data::MarketDataClass;

/// What to replay: entries of a run, and the market data to join them with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayInputs {
    /// The first entry. Entries count from 1, so 0 means the same as 1.
    pub from_seq: u64,
    /// The last entry; `u64::MAX` for the run's last. Below `from_seq` no entry is replayed, but
    /// the market data is, whole.
    pub to_seq: u64,
    /// The market data. Where two records have the same `ts_init`, that of the earlier request in
    /// this list comes first.
    pub data: Vec<DataRequest>,
}

/// A part of a request that the catalog does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingData {
    /// The class.
    pub class: MarketDataClass,
    /// The instrument, or the type of bar.
    pub instrument: String,
    /// What is not covered.
    pub range: TimeRange,
    /// Whether the request was required.
    pub required: bool,
}

impl fmt::Display for MissingData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}, {}", self.class, self.instrument, self.range)
    }
}

/// Why inputs cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The catalog could not say what it has.
    #[error("cannot look up {class} of {instrument} in the catalog")]
    Catalog {
        /// The class asked for.
        class: MarketDataClass,
        /// The instrument asked for.
        instrument: String,
        /// The catalog's error.
        source: CatalogError,
    },
    /// Required market data is missing: all of it is listed.
    #[error(
        "the catalog lacks required market data: {}; add it, or ask for it as not required",
        list(.0)
    )]
    Missing(Vec<MissingData>),
}

fn list(missing: &[MissingData]) -> String {
    missing.iter().map(MissingData::to_string).collect::<Vec<_>>().join("; ")
}

/// Inputs of which the catalog has everything that is required.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedInputs {
    inputs: ReplayInputs,
    /// Of each request.
    coverage: Vec<Coverage>,
}

impl ReplayInputs {
    /// The entries of a range alone, without market data. Both ends belong to it, as in
    /// [`EventStoreReader::scan`](tapline::EventStoreReader::scan): from 0 it begins with entry 1,
    /// and with `to_seq` below `from_seq` it is empty.
    pub const fn entries(from_seq: u64, to_seq: u64) -> Self {
        Self { from_seq, to_seq, data: Vec::new() }
    }

    /// Looks up in the catalog what covers each request. Refuses where something required is
    /// missing, and names all of it.
    pub fn plan(&self, catalog: &dyn ReplayCatalog) -> Result<PlannedInputs, PlanError> {
        let plan = |request: &DataRequest| {
            catalog.plan(request).map_err(|source| PlanError::Catalog {
                class: request.class,
                instrument: request.instrument.clone(),
                source,
            })
        };
        let coverage = self.data.iter().map(plan).collect::<Result<_, _>>()?;
        let planned = PlannedInputs { inputs: self.clone(), coverage };
        let required: Vec<_> = planned.missing().filter(|missing| missing.required).collect();
        if required.is_empty() { Ok(planned) } else { Err(PlanError::Missing(required)) }
    }
}

impl PlannedInputs {
    /// The inputs.
    pub fn inputs(&self) -> &ReplayInputs {
        &self.inputs
    }

    /// What the catalog has of each request, in their order.
    pub fn coverage(&self) -> &[Coverage] {
        &self.coverage
    }

    /// What the catalog does not have, in the order of the requests.
    pub fn missing(&self) -> impl Iterator<Item = MissingData> {
        self.inputs.data.iter().zip(&self.coverage).flat_map(|(request, coverage)| {
            coverage.missing.iter().map(move |range| MissingData {
                class: request.class,
                instrument: request.instrument.clone(),
                range: *range,
                required: request.required,
            })
        })
    }
}
