//! What recorded a run: the hash of this program's file, and the hash of its settings.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use tapline::RunIdentity;
use tapline::session::EventStoreConfig;

/// The identity of this program with the settings `config`, which may give parts of it. A hash is
/// `blake3:` and 64 hexadecimal digits. The folder of the runs is no part of the settings: they are
/// the same elsewhere.
pub(super) fn identity(config: &EventStoreConfig) -> RunIdentity {
    let settings = EventStoreConfig { base_dir: PathBuf::new(), ..config.clone() };
    let settings = serde_json::to_vec(&settings).expect("settings are plain data");
    let mut identity = config.identity.clone();
    if identity.binary_hash.is_empty() {
        // Recording goes on without it, on a system that does not say which file this is.
        identity.binary_hash = hash_of_this_program().unwrap_or_default();
    }
    if identity.config_hash.is_empty() {
        identity.config_hash = text(blake3::hash(&settings));
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    identity.crate_versions.insert("tapline-cli".to_owned(), version);
    identity
}

fn hash_of_this_program() -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(this_program()?)?)?;
    Ok(text(hasher.finalize()))
}

/// On Linux the file that runs, even if another one has taken its name since.
fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

fn text(hash: blake3::Hash) -> String {
    format!("blake3:{hash}")
}
