//! Who holds an instance, as its lock file says. Nothing is locked to find out: a lock that this
//! program takes for a moment would keep a recorder from starting.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

/// The line that a holder writes into the lock file. It is removed when the lock is released, but
/// not when the process is killed.
#[derive(Deserialize)]
struct Holder {
    process_id: u32,
    program: String,
}

/// True if a process holds the instance in `folder`. On a system that does not list processes, or
/// from another container, this is a guess.
pub(super) fn is_held(folder: &Path) -> bool {
    holder(folder).is_some_and(|holder| holder.still_runs())
}

fn holder(folder: &Path) -> Option<Holder> {
    const BYTES_MAX: u64 = 4096;
    let path = folder.join("instance.lock");
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

impl Holder {
    fn still_runs(&self) -> bool {
        let processes = Path::new("/proc");
        if !processes.join("self").exists() {
            return true;
        }
        let process = processes.join(self.process_id.to_string());
        // Numbers of processes repeat. Another user's process does not say which program it is.
        let is_another = process.join("exe").read_link().is_ok_and(|exe| {
            let name = exe.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // What the system appends when the file was replaced since.
            name.strip_suffix(" (deleted)").unwrap_or(&name) != self.program
        });
        process.exists() && !is_another
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// True if an instance counts as held by the process `process_id` that ran `program`.
    fn held_by(process_id: u32, program: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let line = format!(r#"{{"process_id":{process_id},"program":"{program}","since":17}}"#);
        std::fs::write(folder.path().join("instance.lock"), line).unwrap();
        is_held(folder.path())
    }

    #[test]
    fn a_process_holds_an_instance_while_it_runs() {
        let program = std::env::current_exe().unwrap();
        let program = program.file_name().unwrap().to_str().unwrap();
        assert!(held_by(std::process::id(), program));
        assert!(!held_by(std::process::id(), "another"), "its number was used again");
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        assert!(!held_by(ended.id(), "true"));
    }

    #[test]
    fn nobody_holds_an_instance_without_a_line_in_its_lock_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_held(folder.path()));
        std::fs::write(folder.path().join("instance.lock"), "").unwrap();
        assert!(!is_held(folder.path()));
    }
}
