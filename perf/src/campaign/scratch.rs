use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Where systems keep their files while they are measured.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Below `dir`, or else below `target/perf` of the current folder.
    pub(crate) fn below(dir: Option<&Path>) -> Result<Self> {
        let dir = dir.map_or_else(|| Path::new("target").join("perf"), Path::to_owned);
        fs::create_dir_all(&dir)
            .with_context(|| format!("cannot make the folder {}", dir.display()))?;
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Waits until what was deleted is settled on the disk: it is not the next measurement's to pay
    /// for.
    pub(crate) fn settle(&self) -> Result<()> {
        let synced = fs::File::open(&self.0).and_then(|folder| folder.sync_all());
        synced.with_context(|| format!("cannot sync {}", self.0.display()))
    }

    /// An empty folder that goes away with its value.
    pub(crate) fn folder(&self) -> Result<TempDir> {
        tempfile::Builder::new().prefix("run-").tempdir_in(&self.0).with_context(|| {
            format!(
                "cannot make a folder for files in {}; choose another with --dir",
                self.0.display()
            )
        })
    }
}
