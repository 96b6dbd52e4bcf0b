use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tapline::{ContentHash, InstanceId};

/// An instance's snapshots: `<dir>/<instance>/snapshots/<hash>.json`, each under the hash of its
/// content, so that a file never changes.
#[derive(Debug, Clone)]
pub struct SnapshotFolder(PathBuf);

/// What could not be done to which file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("cannot {what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{0:?} is not the name of a snapshot in this folder")]
    Name(String),
}

impl SnapshotFolder {
    /// The folder of the instance `instance_id` whose runs are in `base_dir`. Nothing is made yet.
    pub fn new(base_dir: &Path, instance_id: &InstanceId) -> Self {
        Self(base_dir.join(instance_id.as_str()).join("snapshots"))
    }

    /// Reads a snapshot; `None` where it is not there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, SnapshotError> {
        // A name comes out of a run file: it must not lead elsewhere.
        if Path::new(name).file_name().is_none_or(|file| file != name) {
            return Err(SnapshotError::Name(name.to_owned()));
        }
        let path = self.0.join(name);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => bytes.map(Some).map_err(at("read", &path)),
        }
    }

    /// Writes a snapshot and returns its name. When this returns, the file is whole and survives a
    /// power cut; when it does not, no file of that name is there in part.
    pub(super) fn write(&self, content: &[u8]) -> Result<String, SnapshotError> {
        make_folder(&self.0).map_err(at("make", &self.0))?;
        let hash = ContentHash::of(content).to_string();
        let name = format!("{}.json", hash.trim_start_matches("blake3:"));
        let (path, unfinished) = (self.0.join(&name), self.0.join(format!("{name}.tmp")));
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
        written.map_err(at("write", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(at("write", &path))?;
        sync_folder(&self.0).map_err(at("sync", &self.0))?;
        Ok(name)
    }
}

/// Makes a folder and those it is in, as far as they are missing, and their names durable.
fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(folder)?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

/// Makes the names of what is in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn folder() -> (tempfile::TempDir, SnapshotFolder) {
        let base = tempfile::tempdir().unwrap();
        let folder = SnapshotFolder::new(base.path(), &"node-1".parse().unwrap());
        (base, folder)
    }

    fn files(folder: &SnapshotFolder) -> Vec<String> {
        let names = fs::read_dir(&folder.0).unwrap();
        names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_was_written_is_read_again() {
        let (base, folder) = folder();
        let name = folder.write(b"state").unwrap();
        assert_eq!(name, format!("{}.json", blake3::hash(b"state")));
        assert_eq!(folder.write(b"state").unwrap(), name);
        assert_eq!(
            files(&folder),
            std::slice::from_ref(&name),
            "written twice, there once, nothing unfinished"
        );
        assert!(base.path().join("node-1/snapshots").join(&name).is_file());
        assert_eq!(folder.read(&name).unwrap().as_deref(), Some(&b"state"[..]));
        assert_eq!(folder.read("another.json").unwrap(), None);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        let (base, folder) = folder();
        fs::write(base.path().join("secret"), "").unwrap();
        for name in ["../../secret", "/etc/hostname", "a/b", "..", ".", ""] {
            assert!(matches!(folder.read(name), Err(SnapshotError::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let (base, folder) = folder();
        fs::write(base.path().join("node-1"), "in the way").unwrap();
        let error = folder.write(b"state").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("cannot make "), "{text}");
        assert!(text.ends_with("node-1/snapshots"), "{text}");
        assert!(error.source().is_some_and(<dyn Error>::is::<io::Error>));
    }
}
