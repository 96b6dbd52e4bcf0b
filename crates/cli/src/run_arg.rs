use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use tapline::internals::run_path;
use tapline::{InstanceId, RunId};

use super::error::CliError;

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

/// The instance, if the folder is given in another way.
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

    /// The file of a run. `run` is a path, or the id of a run of this instance.
    pub(super) fn resolve(&self, run: &str) -> Result<PathBuf, CliError> {
        let path = Path::new(run);
        let as_path = path.try_exists();
        if matches!(as_path, Ok(true)) {
            return Ok(path.to_owned());
        }
        if let Ok(run_id) = run.parse::<RunId>() {
            let path = run_path(&self.dir, &self.instance, run_id);
            if path.try_exists().map_err(|source| cannot_see(&path, source))? {
                return Ok(path);
            }
        }
        match as_path {
            Ok(_) => Err(CliError::NoSuchRun { text: run.to_owned(), folder: self.folder() }),
            Err(source) => Err(cannot_see(path, source)),
        }
    }
}

/// It is unknown if the file is there: for example, its folder may not be read.
fn cannot_see(path: &Path, source: io::Error) -> CliError {
    CliError::Input { path: path.display().to_string(), source }
}
