//! What a disk holds: what is safe there, and what was written since the last sync and may be lost.
//!
//! A disk writes sectors of 512 bytes, each whole or not at all. Between two syncs it may write
//! them in any order, so a power cut may keep any part of them. A new name is safe once its folder
//! is synced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;

use crate::tape::{Deed, Step};

pub(crate) const SECTOR_BYTES: usize = 512;

/// The files of a volume, by path.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What happens to the part that is not safe.
#[derive(Debug, Clone)]
pub(crate) enum Loss {
    /// The machine stays on and only the process dies: nothing is lost.
    Nothing,
    /// All of it is lost.
    Everything,
    /// Chance decides about each sector.
    Some(Rng),
}

impl Loss {
    fn keeps(&mut self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Everything => false,
            Self::Some(lot) => lot.bool(),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Volume {
    files: Vec<File>,
    /// From the safe names to the numbers of the files in `files`.
    names: BTreeMap<PathBuf, usize>,
    new_names: Vec<NameChange>,
    /// From names in use to files. Includes names that a file has had before.
    spoken_of: BTreeMap<PathBuf, usize>,
}

#[derive(Debug, Clone, Default)]
struct File {
    safe: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, data: Arc<[u8]>, failed: bool },
    SetLen(usize),
}

/// A name that is given, taken back, or both.
#[derive(Debug, Clone)]
struct NameChange {
    from: Option<PathBuf>,
    to: Option<(PathBuf, usize)>,
}

impl Volume {
    /// A volume with these files. All of it is safe.
    pub(crate) fn with(files: Files) -> Self {
        let mut volume = Self::default();
        for (path, safe) in files {
            volume.spoken_of.insert(path.clone(), volume.files.len());
            volume.names.insert(path, volume.files.len());
            volume.files.push(File { safe, since: Vec::new() });
        }
        volume
    }

    /// Applies one step. `lot` decides what a failing disk does.
    pub(crate) fn apply(&mut self, step: &Step, lot: &mut Rng) {
        let Step::Disk { path, deed } = step else { return };
        match deed {
            Deed::Create => {
                let to = (path.clone(), self.files.len());
                self.files.push(File::default());
                self.spoken_of.insert(path.clone(), to.1);
                self.new_names.push(NameChange { from: None, to: Some(to) });
            }
            Deed::Rename { to } => {
                // A sweep, which nobody watches, may have left a spare log: nothing of it is known.
                let file = *self.spoken_of.entry(path.clone()).or_insert_with(|| {
                    self.files.push(File::default());
                    self.files.len() - 1
                });
                let (from, to) = (Some(path.clone()), to.clone());
                self.spoken_of.insert(to.clone(), file);
                self.new_names.push(NameChange { from, to: Some((to, file)) });
            }
            Deed::Remove => {
                self.new_names.push(NameChange { from: Some(path.clone()), to: None });
            }
            Deed::SyncFolder => {
                // The folder above the path. For a folder, its own name.
                let is_safe = |name: &mut NameChange| name.folder() == path.parent();
                for name in self.new_names.extract_if(.., is_safe) {
                    name.enter(&mut self.names);
                }
            }
            Deed::Write { offset, data, failed } => {
                let (offset, data, failed) = (*offset as usize, Arc::clone(data), *failed);
                self.change(path, Change::Write { offset, data, failed });
            }
            Deed::SetLen { len } => self.change(path, Change::SetLen(*len as usize)),
            Deed::Sync { failed } => {
                let file = self.spoken_of[path];
                let loss = if *failed { Loss::Some(lot.fork()) } else { Loss::Nothing };
                self.files[file].lose(loss, lot);
            }
        }
    }

    /// What is left after the machine has lost its power, or the process has died.
    pub(crate) fn after(&self, mut loss: Loss, lot: &mut Rng) -> Files {
        let mut names = self.names.clone();
        // Names are content of one folder. They are written in the order in which they were given.
        for name in &self.new_names {
            if !loss.keeps() {
                break;
            }
            name.enter(&mut names);
        }
        let mut content = |file: usize| {
            let mut file = self.files[file].clone();
            file.lose(loss.clone(), lot);
            file.safe
        };
        names.into_iter().map(|(path, file)| (path, content(file))).collect()
    }

    fn change(&mut self, path: &PathBuf, change: Change) {
        self.files[self.spoken_of[path]].since.push(change);
    }
}

impl NameChange {
    fn folder(&self) -> Option<&Path> {
        self.to.as_ref().map(|(to, _)| to).or(self.from.as_ref())?.parent()
    }

    fn enter(&self, names: &mut BTreeMap<PathBuf, usize>) {
        if let Some(from) = &self.from {
            names.remove(from);
        }
        if let Some((to, file)) = &self.to {
            names.insert(to.clone(), *file);
        }
    }
}

impl File {
    /// Loses what is not safe, or makes it safe.
    fn lose(&mut self, mut loss: Loss, lot: &mut Rng) {
        for change in std::mem::take(&mut self.since) {
            match change {
                Change::SetLen(len) if loss.keeps() => self.safe.resize(len, 0),
                Change::SetLen(_) => {}
                Change::Write { offset, data, failed } => {
                    for (n, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                        if loss.keeps() && !(failed && lot.bool()) {
                            self.put(offset + n * SECTOR_BYTES, sector);
                        }
                    }
                }
            }
        }
    }

    fn put(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if self.safe.len() < end {
            self.safe.resize(end, 0);
        }
        self.safe[offset..end].copy_from_slice(data);
    }
}
