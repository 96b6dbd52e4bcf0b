use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use tapline::internals::run_files;
use tapline::{InstanceId, RunId};

use super::error::CliError;

/// Where runs are.
#[derive(Clone, Args)]
pub(super) struct Place {
    /// Folder of the runs
    #[arg(long, default_value = "./runs")]
    pub(super) dir: PathBuf,
    /// Node instance
    #[arg(long, default_value = "node-1")]
    pub(super) instance: InstanceId,
}

/// Stands for the newest run.
const LATEST: &str = "latest";

impl Place {
    pub(super) fn folder(&self) -> PathBuf {
        self.dir.join(self.instance.as_str())
    }

    /// The file of a run. `run` is a path, or stands for a run of this instance: its id, the
    /// beginning of its id, or `latest`.
    pub(super) fn resolve(&self, run: &Path) -> Result<PathBuf, CliError> {
        let as_path = run.try_exists();
        if matches!(as_path, Ok(true)) {
            return Ok(run.to_owned());
        }
        if let Some(text) = run.to_str()
            && let Some(path) = self.named(text)?
        {
            return Ok(path);
        }
        match as_path {
            Ok(_) => Err(CliError::NoSuchRun { name: run.to_owned(), folder: self.folder() }),
            Err(source) => Err(CliError::Input { path: run.display().to_string(), source }),
        }
    }

    /// The only run that `text` stands for.
    fn named(&self, text: &str) -> Result<Option<PathBuf>, CliError> {
        let mut runs = self.runs()?;
        if text == LATEST {
            return Ok(runs.pop().map(|(_, path)| path));
        }
        runs.retain(|(run_id, _)| !text.is_empty() && run_id.to_string().starts_with(text));
        if runs.len() > 1 {
            let ids: Vec<String> = runs.iter().map(|(run_id, _)| run_id.to_string()).collect();
            let (beginning, ids) = (text.to_owned(), ids.join(", "));
            return Err(CliError::SeveralRuns { beginning, ids });
        }
        Ok(runs.pop().map(|(_, path)| path))
    }

    /// The runs of the instance, oldest first. A name that is no run id is left out.
    fn runs(&self) -> Result<Vec<(RunId, PathBuf)>, CliError> {
        let files = run_files(&self.dir, &self.instance);
        let files = files.map_err(|source| self.cannot_list(source))?;
        Ok(files.into_iter().filter_map(|(run_id, path)| Some((run_id?, path))).collect())
    }

    pub(super) fn cannot_list(&self, source: io::Error) -> CliError {
        CliError::List { path: self.folder(), source }
    }

    /// Fails if the instance has no folder: a mistyped name is not an instance without runs.
    pub(super) fn check_folder(&self) -> Result<(), CliError> {
        let folder = self.folder();
        if !matches!(folder.try_exists(), Ok(false)) {
            return Ok(());
        }
        Err(CliError::Usage(format!(
            "there is no folder {}; --dir and --instance name it",
            folder.display()
        )))
    }
}
