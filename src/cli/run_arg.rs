use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CliError;
use crate::model::{InstanceId, RunId};
use crate::store::run_path;

/// Where runs are.
#[derive(Args)]
pub(super) struct Place {
    /// Folder of the runs
    #[arg(long, default_value = "./runs")]
    pub(super) dir: PathBuf,
    /// Node instance
    #[arg(long, default_value = "node-1")]
    pub(super) instance: InstanceId,
}

/// Whose runs, where the folder is given otherwise.
#[derive(Args)]
pub(super) struct Instance {
    /// Node instance
    #[arg(long, default_value = "node-1")]
    pub(super) instance: InstanceId,
}

impl Place {
    pub(super) fn folder(&self) -> PathBuf {
        self.dir.join(self.instance.as_str())
    }

    /// The file of a run that is given as a path, or as the id of a run of this instance.
    pub(super) fn resolve(&self, run: &str) -> Result<PathBuf, CliError> {
        let path = Path::new(run);
        if path.exists() {
            return Ok(path.to_owned());
        }
        let by_id = run.parse::<RunId>().map(|run_id| run_path(&self.dir, &self.instance, run_id));
        match by_id {
            Ok(path) if path.exists() => Ok(path),
            _ => Err(CliError::NoSuchRun { text: run.to_owned(), folder: self.folder() }),
        }
    }
}
