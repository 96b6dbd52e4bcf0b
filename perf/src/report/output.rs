use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::{Document, hgrm};
use crate::campaign::Results;
use crate::pictures;

/// The folder one run's files go to.
#[derive(Debug)]
pub(crate) struct OutputFolder(PathBuf);

impl OutputFolder {
    /// `dir`, or else a new folder below `parent` that is named after the time.
    pub(crate) fn create(dir: Option<&Path>, parent: &Path) -> Result<Self> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let dir = dir.map_or_else(|| parent.join(time_name(since_1970.as_secs())), Path::to_owned);
        fs::create_dir_all(&dir).with_context(|| {
            format!("cannot make the folder {}; choose another with --out", dir.display())
        })?;
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes `report.txt`, `report.json`, the histograms and the pictures.
    pub(crate) fn write(
        &self,
        text: &str,
        document: &Document<'_>,
        results: &Results,
    ) -> Result<()> {
        write(&self.0.join("report.txt"), text)?;
        write_json(&self.0.join("report.json"), document)?;
        let folder = self.0.join("hgrm");
        for case in &results.cases {
            for system in &case.systems {
                for (name, latencies) in system.histograms() {
                    let name = format!("{}-{}-{name}", case.case.id, system.system);
                    hgrm::write(&folder, &name, &latencies)?;
                }
            }
        }
        pictures::draw_all(&self.0, results)
    }
}

/// Writes one JSON document.
pub(crate) fn write_json(path: &Path, document: &Document<'_>) -> Result<()> {
    let text = serde_json::to_string_pretty(document).context("cannot write a report as JSON")?;
    write(path, &text)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// `20261121-013005`, in UTC.
fn time_name(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's days-to-civil, for days since 1970: years begin in March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_after_the_time() {
        assert_eq!(time_name(0), "19700101-000000");
        assert_eq!(time_name(951_827_696), "20000229-123456");
        assert_eq!(time_name(1_795_224_605), "20261121-013005");
    }
}
