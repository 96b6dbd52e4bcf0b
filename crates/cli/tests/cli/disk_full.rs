//! A disk that is full: recording ends with the reason, and what was reported durable is there.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tapline::read::{Direction, EventStoreReader};
use tapline::store::{EventStore, RedbBackend, RunOpening};
use tapline::{InstanceId, RunManifest, RunStatus};

use crate::disks::SmallDisk;
use crate::support::{
    PROGRAM, Ran, Report, Sandbox, durable_reported, entries, manifest, program, recover, run,
    tapline,
};

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

/// The size of the log where the disk is smaller than the usual one.
const SMALL_LOG: (&str, &str) = ("TAPLINE_LOG_BYTES", "1048576");

/// `tapline record` under a shell's limit on the size of files, in blocks of 512 or 1024 bytes.
fn record_with_file_limit(input: &Path, runs: &Path, blocks: u32, args: &[&str]) -> Ran {
    let script = format!("ulimit -f {blocks}; exec \"$0\" record --json \"$@\"");
    let mut shell = Command::new("sh");
    shell.env(SMALL_LOG.0, SMALL_LOG.1);
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
    let dir = report.path.ancestors().nth(2).expect("the folder of the runs").display();
    let begins = format!(
        "error: run {} could not be closed: the run is halted: {reason}; what it has is durable up to its watermark, and it is left unsealed; make room on the disk, or raise the limit on file size (`ulimit -f`): ",
        report.path.display()
    );
    let ends = format!(
        "MiB more are enough; then `tapline recover --dir {dir} --instance node-1` or the next recording seals it\n"
    );
    let said = &ran.stderr;
    assert!(said.starts_with(&begins) && said.ends_with(&ends), "{said}");
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
    // All lines are one producer's; the others have nothing to do, and must not keep the end
    // waiting.
    let report = assert_disk_refused(ran, "File too large (os error 27)");
    assert_nothing_reported_is_missing(&runs, &report);
}

#[test]
fn no_room_for_an_empty_run() {
    let sandbox = Sandbox::new();
    let input = large_input(&sandbox);
    let runs = sandbox.runs();
    let ran = record_with_file_limit(&input, &runs, 16, &[]).exits(2);
    let begins = format!(
        "error: cannot open a run in {}; make room on the disk (`df -h`, `df -i` for inodes), or raise the limit on file size (`ulimit -f`), and start again: cannot open {}/",
        runs.display(),
        sandbox.instance().display()
    );
    // Between them stands the file's name, which nobody knows before.
    let ends = ".log: no space left for the run file: File too large (os error 27)\n";
    assert!(ran.stderr.starts_with(&begins) && ran.stderr.ends_with(ends), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    let left = sandbox.instance().read_dir().expect("the folder");
    let left: Vec<_> = left.map(|file| file.expect("readable").file_name()).collect();
    assert_eq!(left, ["instance.lock"], "a run that could not be opened left nothing else");
}

/// Fills the disk up in either disk mode: the recording halts, and with room it is recovered,
/// whole.
fn assert_recovers_once_there_is_room(disk: &SmallDisk, input: &Path) {
    for mode in ["direct", "buffered"] {
        disk.fill();
        let runs = disk.path().join(mode);
        let mut record = program();
        record.env(SMALL_LOG.0, SMALL_LOG.1);
        record.args(["record", "--json", "--durable-every-ms", "1", "--disk-mode", mode]);
        let mut ran = run(record.arg("--dir").arg(&runs).arg("--input").arg(input), b"");
        let reported = durable_reported(&ran.stderr);
        let is_report = |line: &&str| line.starts_with("durable ");
        ran.stderr = ran.stderr.split_inclusive('\n').skip_while(is_report).collect();
        let report = assert_disk_refused(ran, "No space left on device (os error 28)");
        assert!(reported <= report.watermark, "{reported} of {report:?}");

        // Without room it may work, within what the file has already; if not, it does no harm.
        let without_room = recover(&runs).json();
        disk.make_room();
        let with_room = recover(&runs).exits(0).json();
        let recovered = [without_room, with_room].map(|swept| swept["recovered"].clone());
        let recovered: Vec<&Value> =
            recovered.iter().filter_map(Value::as_array).flatten().collect();
        let [recovered] = recovered[..] else { panic!("{recovered:?}") };
        let entries = entries(&report.path);
        assert!(entries.len() as u64 >= report.watermark, "{} of {report:?}", entries.len());
        assert_eq!(recovered["watermark"], entries.len());
        for (entry, number) in entries[1..].iter().zip(1..) {
            assert_eq!(&*entry.payload, payload(number).as_bytes());
        }
        assert_eq!(manifest(&report.path).status, RunStatus::CrashedRecovered);
        tapline(["verify".as_ref(), report.path.as_os_str()]).exits(0);

        let mut record = program();
        record.env(SMALL_LOG.0, SMALL_LOG.1);
        record.args(["record", "--json", "--dir"]).arg(&runs).arg("--input").arg(input);
        let next = run(&mut record, b"").exits(0).report();
        assert_eq!((next.entries, next.watermark), (20_000, 20_002));
        let parent = manifest(&next.path).parent_run_id.map(|run_id| run_id.to_string());
        assert_eq!(parent, Some(report.run_id));
        std::fs::remove_dir_all(&runs).expect("they are ours");
    }
}

#[test]
fn a_full_file_system_in_memory() {
    let sandbox = Sandbox::new();
    let Some(disk) = SmallDisk::in_memory(&sandbox) else { return };
    assert_recovers_once_there_is_room(&disk, &large_input(&sandbox));
}

#[test]
fn a_full_ext4() {
    let sandbox = Sandbox::new();
    let Some(disk) = SmallDisk::ext4(&sandbox) else { return };
    assert_recovers_once_there_is_room(&disk, &large_input(&sandbox));
}
