use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::directory::{UNBORN_EXTENSION, sync_name};
use super::{DiskOp, DiskProbe};

/// Makes the file at `path`, in place of any that is there: `fill` writes it under another name, durably, and then it
/// gets its own.
///
/// So a crash before leaves nothing that could be taken for a damaged file. What it does leave,
/// the sweep of the next boot clears away.
pub(crate) fn make_file<T, E>(
    path: &Path,
    probe: Option<&dyn DiskProbe>,
    failed: impl Fn(&Path, io::Error) -> E,
    fill: impl FnOnce(&Path, File) -> Result<T, E>,
) -> Result<T, E> {
    let ask = |path: &Path, op| probe.map_or(Ok(()), |probe| probe.before(path, op));
    let unborn = path.with_extension(UNBORN_EXTENSION);
    ask(&unborn, DiskOp::Create).map_err(|error| failed(&unborn, error))?;
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&unborn);
    let file = file.map_err(|error| failed(&unborn, error))?;
    let made = fill(&unborn, file).inspect_err(|_error| {
        let _ = fs::remove_file(&unborn);
    })?;
    let name = || {
        ask(&unborn, DiskOp::Rename { to: path })?;
        fs::rename(&unborn, path)?;
        // What `fill` wrote is durable; its name is content of the folder.
        ask(path, DiskOp::SyncFolder)?;
        sync_name(path)
    };
    name().map_err(|error| failed(path, error))?;
    Ok(made)
}
