//! Small file systems, for tests that fill or break them. What cannot be mounted is said, and the
//! test skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Sandbox;

/// A mounted file system, unmounted when dropped.
pub(crate) struct SmallDisk(PathBuf);

/// Room for what the tests recover and record next.
const DISK_BYTES: u64 = 96 << 20;
/// What is left of it while the ballast is there, about.
const ROOM_BYTES: u64 = 8 << 20;

impl SmallDisk {
    /// In memory.
    pub(crate) fn in_memory(sandbox: &Sandbox) -> Option<Self> {
        let size = format!("size={DISK_BYTES}");
        Self::mount(
            sandbox.path("memory"),
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]),
        )
    }

    /// In memory, with room for so many files and folders.
    pub(crate) fn in_memory_with_inodes(sandbox: &Sandbox, inodes: u64) -> Option<Self> {
        let options = format!("size={DISK_BYTES},nr_inodes={inodes}");
        Self::mount(
            sandbox.path("inodes"),
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]),
        )
    }

    /// ext4 on a loop device, which after an error lets nothing be written any more, as most are
    /// mounted.
    pub(crate) fn ext4(sandbox: &Sandbox) -> Option<Self> {
        let image = sandbox.file("ext4.image", b"");
        let file = std::fs::File::options().write(true).open(&image).expect("it is ours");
        file.set_len(DISK_BYTES).expect("there is room");
        if !succeeds(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image)) {
            return None;
        }
        let options = ["-t", "ext4", "-o", "loop,errors=remount-ro"];
        Self::mount(sandbox.path("ext4"), Command::new("mount").args(options).arg(&image))
    }

    fn mount(at: PathBuf, mount: &mut Command) -> Option<Self> {
        std::fs::create_dir(&at).expect("a folder to mount on");
        succeeds(mount.arg(&at)).then_some(Self(at))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Leaves some megabytes.
    pub(crate) fn fill(&self) {
        // What was removed is free for others only once that is durable.
        let folder = std::fs::File::open(&self.0).expect("it is mounted");
        rustix::fs::syncfs(folder).expect("it takes what there is");
        let free = rustix::fs::statvfs(&self.0).expect("it is mounted");
        let free = free.f_bavail * free.f_frsize;
        let ballast = vec![1; (free - ROOM_BYTES) as usize];
        std::fs::write(self.ballast(), ballast).expect("there is as much room");
    }

    /// Takes back what [`fill`](Self::fill) did.
    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("it is ours");
    }

    /// Has the kernel find an error, by which an ext4 becomes read-only; false, having said why,
    /// where it cannot be asked to.
    #[must_use]
    pub(crate) fn break_down(&self) -> bool {
        let mounts = std::fs::read_to_string("/proc/mounts").expect("it is there");
        let ours = |line: &&str| line.split(' ').nth(1) == self.0.to_str();
        let device = mounts.lines().find(ours).expect("it is mounted").split(' ').next();
        let device = Path::new(device.expect("a device")).file_name().expect("its name");
        let trigger = Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error");
        let asked = std::fs::write(&trigger, b"1");
        if let Err(error) = &asked {
            println!("skipped: {}: {error}", trigger.display());
        }
        asked.is_ok()
    }

    /// As by an administrator who has found out what was wrong.
    pub(crate) fn mount_anew(&self, sandbox: &Sandbox) {
        let image = sandbox.path("ext4.image");
        assert!(succeeds(Command::new("umount").arg(&self.0)));
        let checked = Command::new("e2fsck").args(["-f", "-p"]).arg(&image).output();
        // 1: errors were found, and corrected.
        let checked = checked.expect("it belongs to mkfs.ext4").status.code();
        assert!(matches!(checked, Some(0 | 1)), "{checked:?}");
        assert!(succeeds(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&self.0)));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = succeeds(Command::new("umount").arg(&self.0));
        assert!(unmounted || std::thread::panicking(), "{} stays mounted", self.0.display());
    }
}

/// Says why if not.
fn succeeds(command: &mut Command) -> bool {
    let error = match command.output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    println!("skipped: {command:?}: {error}");
    false
}
