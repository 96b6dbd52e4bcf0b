//! Which runs `verify` checks.

use std::path::{Path, PathBuf};

use tapline::internals::{error_chain, run_files, sidecar_path};

use super::error::CliError;
use super::run_arg::Place;
use super::stderr::tell;

/// What a name stands for.
pub(super) enum Named {
    Run(PathBuf),
    /// No run. What it names instead.
    Nothing {
        path: PathBuf,
        error: String,
    },
}

/// The runs that `names` stand for. Without names, all runs of the instance.
pub(super) fn named_runs(names: &[PathBuf], place: &Place) -> Result<Vec<Named>, CliError> {
    if names.is_empty() { all_runs(place) } else { Ok(runs_of(names, place)) }
}

fn all_runs(place: &Place) -> Result<Vec<Named>, CliError> {
    let folder = place.folder();
    // Only workers open the files.
    let files = run_files(&place.dir, &place.instance)
        .map_err(|source| CliError::List { path: folder.clone(), source })?;
    if files.is_empty() {
        // A mistyped name is not an instance whose runs are all sound.
        let what = if folder.is_dir() { "are no runs in" } else { "is no folder" };
        return Err(CliError::Usage(format!("there {what} {}", folder.display())));
    }
    Ok(files.into_iter().map(|(_, path)| Named::Run(path)).collect())
}

/// The runs in the order of the names. A sidecar stands for its run. Each run is checked once, for
/// names like `runs/node-1/*.redb`.
fn runs_of(names: &[PathBuf], place: &Place) -> Vec<Named> {
    let resolve = |name: &PathBuf| (name.clone(), place.resolve(name));
    let resolved: Vec<_> = names.iter().map(resolve).collect();
    let paths = resolved.iter().filter_map(|(_, path)| path.as_ref().ok());
    let mut seen: Vec<PathBuf> =
        paths.filter(|path| run_of_sidecar(path).is_none()).cloned().collect();
    let mut runs = Vec::new();
    for (name, path) in resolved {
        match path.map(|path| (run_of_sidecar(&path), path)) {
            Err(error) => runs.push(Named::Nothing { path: name, error: error_chain(&error) }),
            Ok((None, path)) => runs.push(Named::Run(path)),
            Ok((Some(run), sidecar)) if !run.exists() => {
                let error = format!("it is the sidecar of {}, which is not there", run.display());
                runs.push(Named::Nothing { path: sidecar, error });
            }
            Ok((Some(run), sidecar)) => {
                let (sidecar, path) = (sidecar.display(), run.display());
                tell(format_args!("{sidecar} is verified with its run, {path}"));
                if !seen.contains(&run) {
                    seen.push(run.clone());
                    runs.push(Named::Run(run));
                }
            }
        }
    }
    runs
}

/// The run whose sidecar is at `path`, by its name.
fn run_of_sidecar(path: &Path) -> Option<PathBuf> {
    let run = path.with_extension("").with_extension("redb");
    // A path without a file name, such as `..`, equals itself here.
    (run != path && sidecar_path(&run) == path).then_some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_is_known_by_its_name() {
        let run_of = |path: &str| run_of_sidecar(Path::new(path));
        assert_eq!(run_of("a/17-0a.markers.redb"), Some(PathBuf::from("a/17-0a.redb")));
        for path in ["a/17-0a.redb", "markers.redb", "a.markers/b.redb", "a.markers", "", "..", "/"]
        {
            assert_eq!(run_of(path), None, "{path}");
        }
    }
}
