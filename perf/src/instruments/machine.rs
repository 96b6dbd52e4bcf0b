use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// Where figures were measured. What the system does not tell is `None`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    cpu: Option<String>,
    /// Cores this process may use.
    cores: usize,
    kernel: Option<String>,
    file_system: Option<FileSystem>,
    /// Load average of the minute before the measurement.
    load: Option<f64>,
    /// Commit of the source tree, with `+` when it has uncommitted changes.
    commit: Option<String>,
    optimized: bool,
}

/// The file system that run files are written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct FileSystem {
    kind: String,
    device: String,
}

impl Machine {
    /// Describes this machine, with the file system of `dir`, which must exist.
    pub(crate) fn describe(dir: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        Self {
            cpu: read("/proc/cpuinfo").as_deref().and_then(cpu_model),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            kernel: read("/proc/sys/kernel/osrelease").map(|release| release.trim().to_owned()),
            file_system: read("/proc/self/mountinfo")
                .zip(dir.canonicalize().ok())
                .and_then(|(mounts, dir)| file_system(&mounts, &dir)),
            load: read("/proc/loadavg")
                .and_then(|averages| averages.split_whitespace().next()?.parse().ok()),
            commit: commit(),
            optimized: !cfg!(debug_assertions),
        }
    }

    /// What makes figures of this machine doubtful.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.optimized {
            warnings.push("not an optimized build; use --release".to_owned());
        }
        if self.cores < 2 {
            warnings.push("with one core, producers and writer take turns".to_owned());
        }
        if let Some(load) = self.load
            && load > 0.5
        {
            warnings.push(format!("load average {load:.2} before the start: not an idle machine"));
        }
        if let Some(FileSystem { kind, .. }) = &self.file_system
            && matches!(kind.as_str(), "tmpfs" | "ramfs")
        {
            warnings.push(format!("{kind} is memory, not a disk"));
        }
        warnings
    }

    /// Two lines for people.
    pub(crate) fn summary(&self) -> String {
        let unknown = || "unknown".to_owned();
        let cpu = self.cpu.clone().unwrap_or_else(unknown);
        let kernel = self.kernel.clone().unwrap_or_else(unknown);
        let files = self
            .file_system
            .as_ref()
            .map_or_else(unknown, |files| format!("{} on {}", files.kind, files.device));
        let load = self.load.map_or_else(unknown, |load| format!("{load:.2}"));
        let commit = self.commit.clone().unwrap_or_else(unknown);
        let cores = self.cores;
        format!(
            "machine   {cpu}, {cores} cores, kernel {kernel}, files {files}, load {load}\n\
             commit    {commit}"
        )
    }
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Finds the mount that holds `path`: of those above it the deepest, and of several in one place
/// the last, which covers the others. Format: proc(5).
fn file_system(mountinfo: &str, path: &Path) -> Option<FileSystem> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, rest) = line.split_once(" - ")?;
        let point = Path::new(mount.split(' ').nth(4)?);
        let mut rest = rest.split(' ');
        let (kind, device) = (rest.next()?.to_owned(), rest.next()?.to_owned());
        path.starts_with(point).then(|| (point.components().count(), FileSystem { kind, device }))
    });
    mounts.max_by_key(|(depth, _)| *depth).map(|(_, file_system)| file_system)
}

fn commit() -> Option<String> {
    let git = |args: &[&str]| {
        let output =
            Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR")]).args(args).output();
        output.ok().filter(|output| output.status.success())
    };
    let head = String::from_utf8(git(&["rev-parse", "--short", "HEAD"])?.stdout).ok()?;
    let changed = git(&["diff", "--quiet", "HEAD"]).is_none();
    Some(format!("{}{}", head.trim(), if changed { "+" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_and_last_mount_holds_the_path() {
        let mountinfo = "\
            21 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            22 21 0:20 / /data rw shared:1 - xfs /dev/vdb rw\n\
            23 22 0:21 / /data rw - tmpfs none rw\n\
            24 21 0:22 / /database rw - btrfs /dev/vdc rw\n";
        let kind = |path| file_system(mountinfo, Path::new(path)).map(|found| found.kind);
        assert_eq!(kind("/data/runs").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/home").as_deref(), Some("ext4"));
        assert_eq!(kind("/database").as_deref(), Some("btrfs"));
    }
}
