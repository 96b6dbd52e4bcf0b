//! The house keeps its order: a folder of `src` imports only folders below it.

use std::fs;
use std::path::{Path, PathBuf};

/// From the top down, as `docs/architecture.md` lists them. `model` and `sync` may be used by all.
const FOLDERS: [&str; 13] = [
    "lifecycle",
    "runs",
    "capture",
    "replay",
    "markers",
    "engine",
    "read",
    "store",
    "bus",
    "format",
    "protocol",
    "model",
    "sync",
];

#[test]
fn folders_import_only_what_is_below() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut upward = Vec::new();
    for (level, folder) in FOLDERS.iter().enumerate() {
        for file in rust_files(&src.join(folder)) {
            let text = fs::read_to_string(&file).expect("readable");
            let above = &FOLDERS[..level];
            // Tests may use what is above.
            let is_test = file.to_string_lossy().contains("test");
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let imports = |name: &&&str| line.contains(&format!("crate::{name}::"));
                if let Some(name) = above.iter().find(imports)
                    && !is_test
                {
                    upward.push(format!("{} imports {name}: {}", file.display(), line.trim()));
                }
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn every_folder_has_its_place() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(src).expect("readable").map(|entry| entry.expect("readable")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(entry.path().is_file() || FOLDERS.contains(&&*name), "{name} is not listed");
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable")) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
