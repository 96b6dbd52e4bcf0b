//! The pictures, each as SVG and PNG.

mod by_percentile;
mod canvas;
mod chart;
mod over_time;
mod throughput;

use std::path::Path;

use anyhow::Result;

use crate::campaign::{CaseResult, Results};
use crate::spec::Measure;

/// Draws what there is to draw of `results` into the folder `dir`.
pub(crate) fn draw_all(dir: &Path, results: &Results) -> Result<()> {
    let paced = |result: &&CaseResult| matches!(result.case.measure, Measure::Paced { .. });
    for result in results.cases.iter().filter(paced) {
        by_percentile::draw(dir, result)?;
        over_time::draw(dir, result)?;
    }
    throughput::draw(dir, results)
}
