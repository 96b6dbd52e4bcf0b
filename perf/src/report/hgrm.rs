//! Writes a histogram in the text format that `HdrHistogram`'s plotters read.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::instruments::Latencies;

/// Lines for each halving of the distance to 100 %.
const TICKS_PER_HALVING: u32 = 5;

/// Writes `<dir>/<name>.hgrm`; values are nanoseconds.
pub(crate) fn write(dir: &Path, name: &str, latencies: &Latencies) -> Result<()> {
    let path = dir.join(format!("{name}.hgrm"));
    let mut text = Vec::new();
    render(latencies, &mut text)?;
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(&path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn render(latencies: &Latencies, to: &mut impl Write) -> Result<()> {
    let histogram = latencies.inner();
    writeln!(
        to,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALVING) {
        total += step.count_since_last_iteration();
        let quantile = step.quantile_iterated_to();
        write!(to, "{:12.3} {quantile:14.12} {total:10}", step.value_iterated_to() as f64)?;
        if quantile < 1.0 {
            write!(to, " {:14.2}", 1.0 / (1.0 - quantile))?;
        }
        writeln!(to)?;
    }
    let (mean, deviation) = (histogram.mean(), histogram.stdev());
    writeln!(to, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]")?;
    let (max, count) = (histogram.max() as f64, histogram.len());
    writeln!(to, "#[Max     = {max:12.3}, Total count    = {count:12}]")?;
    let (buckets, sub_buckets) = (histogram.buckets(), 2048);
    writeln!(to, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_all_counts_and_no_inverse() {
        let mut latencies = Latencies::new();
        (1..=1000).for_each(|nanos| latencies.record(nanos));
        let mut text = Vec::new();
        render(&latencies, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
        let fields: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(fields, ["1000.000", "1.000000000000", "1000"]);
        assert!(text.contains("Total count    =         1000]"));
    }
}
