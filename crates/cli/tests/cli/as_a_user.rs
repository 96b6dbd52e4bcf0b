//! The program as somebody whom permissions keep from something, which is nobody who is root, as
//! tests often are.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::support::{PROGRAM, Sandbox, program};

/// The user and the group that own nothing.
const NOBODY: u32 = 65_534;

/// Makes the runs in `sandbox` somebody else's, and gives the program as that user, from a place
/// where they may start it.
pub(crate) fn as_a_user(sandbox: &Sandbox) -> Command {
    as_user(sandbox, NOBODY)
}

/// The same, as the user with the id `user`, of whom nobody else has processes.
pub(crate) fn as_user(sandbox: &Sandbox, user: u32) -> Command {
    if std::fs::metadata("/proc/self").expect("it is there").uid() != 0 {
        return program();
    }
    let own = |path: &Path| chown(path, Some(user), Some(user)).expect("root may");
    let open_to_all = |path: &Path| {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("it is ours");
    };
    let copy = sandbox.path("tapline");
    // Not by this process: what it starts on another thread meanwhile would have the copy open for
    // writing, and a file that somebody writes cannot be run.
    let copied = Command::new("cp").arg(PROGRAM).arg(&copy).status().expect("`cp` is there");
    assert!(copied.success());
    open_to_all(&copy);
    open_to_all(copy.parent().expect("a folder"));
    own(&sandbox.runs());
    own(&sandbox.instance());
    for file in std::fs::read_dir(sandbox.instance()).expect("readable") {
        own(&file.expect("readable").path());
    }
    let mut command = Command::new(copy);
    command.uid(user).gid(user);
    command
}
