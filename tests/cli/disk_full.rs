//! A disk that is full: recording ends with the reason, and what was reported durable is there.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tapline::read::{Direction, EventStoreReader};
use tapline::store::{EventStore, RedbBackend, RunOpening};
use tapline::{InstanceId, RunManifest, RunStatus};

use crate::support::{PROGRAM, Ran, Report, Sandbox, run};

/// Twenty thousand messages with payloads of about a kilobyte: more than the disks below hold.
fn large_input(sandbox: &Sandbox) -> PathBuf {
    let mut lines = String::new();
    for number in 1..=20_000 {
        let payload = payload(number);
        writeln!(lines, r#"{{"topic":"t","type":"T","ts_init":{number},"payload":{payload}}}"#)
            .expect("writing to a string");
    }
    sandbox.file("large.ndjson", lines.as_bytes())
}

fn payload(number: u64) -> String {
    format!(r#"{{"number":{number},"text":"{}"}}"#, "x".repeat(1000))
}

/// `tapline record` under a shell's limit on the size of files, in blocks of 512 or 1024 bytes.
fn record_with_file_limit(input: &Path, runs: &Path, blocks: u32, args: &[&str]) -> Ran {
    // Ignored, the signal that comes with the limit leaves the error to the program.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" record --json \"$@\"");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(PROGRAM);
    run(shell.arg("--dir").arg(runs).arg("--input").arg(input).args(args), b"")
}

/// The recording must have been ended by the disk, with a message that says so.
#[track_caller]
fn assert_disk_refused(ran: Ran, error: &str) -> Report {
    let ran = ran.exits(2);
    let report = ran.report();
    let reason = format!("the disk refused a write: {error}");
    assert_eq!(report.halted.as_ref().map(|halted| &*halted.reason), Some(&*reason));
    assert_eq!(report.root, None);
    assert_eq!(report.entries, report.watermark - 1, "RunStarted is no captured entry");
    assert!(report.entries < 20_000);
    let message = format!(
        "error: run {} could not be closed: the run is halted: {reason}; what it has is durable up to its watermark, and it is left unsealed\n",
        report.path.display()
    );
    ran.says(&message);
    report
}

/// Opens the run as recovery would, and compares it with what was reported and with the input.
#[track_caller]
fn assert_nothing_reported_is_missing(runs: &Path, report: &Report) {
    let mut store = RedbBackend::new(runs);
    let instance: InstanceId = "node-1".parse().expect("an instance id");
    let run_id: tapline::RunId = report.run_id.parse().expect("a run id");
    let opening = store.open_run(RunManifest::new(instance, run_id, run_id.start()));
    let Ok(RunOpening::CrashedPredecessor(manifest)) = opening else {
        panic!("{opening:?}");
    };
    assert_eq!((manifest.run_id, manifest.status), (run_id, RunStatus::Running));
    let reader = EventStoreReader::new(store.reader().expect("the run is open"));
    let watermark = reader.watermark().expect("a watermark");
    assert!(watermark >= report.watermark, "{watermark} in the file, reported {report:?}");
    let mut next = 1;
    for entry in reader.scan(1, u64::MAX, Direction::Forward) {
        let entry = entry.expect("an undamaged entry");
        assert_eq!(entry.seq, next);
        if next > 1 {
            assert_eq!(&*entry.payload, payload(next - 1).as_bytes(), "entry {next}");
        }
        next += 1;
    }
    assert_eq!(next - 1, watermark);
    store.seal(RunStatus::CrashedRecovered, None).expect("with room, the run can be sealed");
}

#[test]
fn a_limit_on_file_size() {
    let sandbox = Sandbox::new();
    let input = large_input(&sandbox);
    for mode in ["direct", "buffered"] {
        let runs = sandbox.path(mode);
        let ran = record_with_file_limit(&input, &runs, 8192, &["--disk-mode", mode]);
        let report = assert_disk_refused(ran, "File too large (os error 27)");
        assert_nothing_reported_is_missing(&runs, &report);
    }
}

#[test]
fn four_producers_and_a_limit_on_file_size() {
    let sandbox = Sandbox::new();
    let input = large_input(&sandbox);
    let runs = sandbox.runs();
    let ran = record_with_file_limit(&input, &runs, 8192, &["--producers", "4"]);
    // All lines are one producer's; the others have nothing to do, and must not keep the end waiting.
    let report = assert_disk_refused(ran, "File too large (os error 27)");
    assert_nothing_reported_is_missing(&runs, &report);
}

#[test]
fn no_room_for_an_empty_run() {
    let sandbox = Sandbox::new();
    let input = large_input(&sandbox);
    let runs = sandbox.runs();
    let ran = record_with_file_limit(&input, &runs, 16, &[]).exits(2);
    let reason = "no space left for the run file: File too large (os error 27)";
    let message =
        format!("error: cannot open a run in {}: cannot open the run: {reason}\n", runs.display());
    let ran = ran.says(&message);
    assert_eq!(ran.stdout, "");
    let left = sandbox.instance().read_dir().expect("the folder");
    let left: Vec<_> = left.map(|file| file.expect("readable").file_name()).collect();
    assert_eq!(left, ["instance.lock"], "a run that could not be opened left nothing else");
}

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, having said why, where nothing can be mounted.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).expect("a folder to mount on");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=8m", "none"]).arg(&at).output();
        match mounted {
            Ok(output) if output.status.success() => return Some(Self(at)),
            Ok(output) => println!("skipped: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => println!("skipped: cannot run mount: {error}"),
        }
        None
    }

    fn grow(&self) {
        let mut mount = Command::new("mount");
        let grown = mount.args(["-o", "remount,size=64m"]).arg(&self.0).status();
        assert!(grown.expect("mount runs").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        let unmounted = unmounted.is_ok_and(|status| status.success());
        assert!(unmounted || std::thread::panicking(), "{} stays mounted", self.0.display());
    }
}

#[test]
fn a_full_file_system() {
    let sandbox = Sandbox::new();
    let Some(disk) = SmallDisk::mount(sandbox.path("disk")) else { return };
    let input = large_input(&sandbox);
    let runs = disk.0.join("runs");
    let mut record = crate::support::program();
    record.args(["record", "--json", "--dir"]).arg(&runs).arg("--input").arg(input);
    let report =
        assert_disk_refused(run(&mut record, b""), "No space left on device (os error 28)");
    assert!(report.entries > 0);
    disk.grow();
    assert_nothing_reported_is_missing(&runs, &report);
}
