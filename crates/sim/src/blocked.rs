//! Why a start cannot continue the newest run, although it is there.

use std::fs::{self, File};
use std::path::Path;

use fastrand::Rng;
use redb::{Database, TableDefinition};

use crate::volume::Files;

/// What is in the way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blocked {
    /// The program was rolled back to a version that does not know the file's format.
    RolledBack,
    /// Another process has the file open.
    Held,
    /// Part of the file is not there for the moment.
    CutShort,
    /// All of it is not.
    Empty,
}

impl Blocked {
    pub(crate) fn choose(lot: &mut Rng) -> Self {
        match lot.u8(..40) {
            // A start waits a second for such a file.
            0 => Self::Held,
            1..20 => Self::RolledBack,
            20..30 => Self::CutShort,
            _ => Self::Empty,
        }
    }

    /// Puts it in the way of the file at `path`, for as long as the result lives.
    pub(crate) fn apply(self, path: &Path, content: &[u8]) -> Option<File> {
        const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
        match self {
            Self::RolledBack => {
                let database = Database::open(path).expect("it can be repaired");
                let change = database.begin_write().expect("it is sound");
                let mut meta = change.open_table(META).expect("each run has it");
                meta.insert("format", 1_000_u64.to_le_bytes().as_slice()).expect("there is room");
                drop(meta);
                change.commit().expect("there is room");
                None
            }
            Self::Held => {
                let file = File::open(path).expect("it is there");
                file.lock().expect("nobody else has it");
                Some(file)
            }
            Self::CutShort => {
                fs::write(path, &content[..content.len() / 2]).expect("there is room");
                None
            }
            Self::Empty => {
                fs::write(path, b"").expect("there is room");
                None
            }
        }
    }
}

/// The files of one folder, as they would stand in another.
pub(crate) fn moved(files: Files, from: &Path, to: &Path) -> Files {
    let there = |path: &Path| to.join(path.strip_prefix(from).expect("it is in the folder"));
    files.into_iter().map(|(path, content)| (there(&path), content)).collect()
}
