//! Runs the program in a folder of its own, and reads what it recorded through the library.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use serde_json::Value;
use tapline::RunSession;
use tapline::read::{Direction, EventStoreReader};
use tapline::runs::RUN_ENDED_TYPE;
use tapline::store::open_sealed_file;
use tapline::{Entry, RunManifest};
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tapline");

/// The program, not yet started.
pub(crate) fn program() -> Command {
    Command::new(PROGRAM)
}

/// Runs the program to its end with nothing on stdin.
pub(crate) fn tapline<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(args: I) -> Ran {
    run(program().args(args), b"")
}

/// Runs a command to its end, feeding it `stdin`.
pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that stops reading early closes the pipe.
            let _ = pipe.write_all(stdin);
        });
        Ran::new(child.wait_with_output().expect("the command ends"))
    })
}

/// What a command that has ended left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// `None` for one that was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Asserts all of stderr.
    #[track_caller]
    pub(crate) fn says(self, stderr: &str) -> Self {
        assert_eq!(self.stderr, stderr);
        self
    }

    /// Asserts that stdout is one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Asserts that stdout has one JSON document a line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect()
    }

    /// Asserts that stdout is the report of `record --json`.
    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// The report of `record --json`, as far as most tests look at it.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) run_id: String,
    pub(crate) path: PathBuf,
    pub(crate) entries: u64,
    pub(crate) watermark: u64,
    pub(crate) bytes_payload: u64,
    pub(crate) bad_lines: u64,
    pub(crate) root: Option<String>,
    pub(crate) halted: Option<Halted>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Halted {
    pub(crate) reason: String,
}

/// A folder for one test, removed with it.
pub(crate) struct Sandbox(TempDir);

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file in the temporary folder");
        path
    }

    /// The folder given to `--dir`; made by the first recording.
    pub(crate) fn runs(&self) -> PathBuf {
        self.path("runs")
    }

    /// The folder of the default instance.
    pub(crate) fn instance(&self) -> PathBuf {
        self.runs().join("node-1")
    }

    /// The run files of the default instance, oldest first.
    pub(crate) fn run_files(&self) -> Vec<PathBuf> {
        self.run_files_of("node-1")
    }

    /// The run files of `instance`, oldest first.
    pub(crate) fn run_files_of(&self, instance: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.runs().join(instance)).into_iter().flatten();
        let paths = files.map(|file| file.expect("readable").path());
        let is_run = |path: &PathBuf| {
            path.extension().is_some_and(|kind| kind == "redb")
                && path.file_stem().is_some_and(|stem| Path::new(stem).extension().is_none())
        };
        let mut runs: Vec<PathBuf> = paths.filter(is_run).collect();
        runs.sort();
        runs
    }

    /// `tapline COMMAND --dir <runs> --json`.
    pub(crate) fn command(&self, command: &str) -> Command {
        let mut program = program();
        program.arg(command).arg("--dir").arg(self.runs()).arg("--json");
        program
    }

    /// Records `input`, given on stdin.
    pub(crate) fn record(&self, input: impl AsRef<[u8]>, args: &[&str]) -> Ran {
        run(self.command("record").args(["--input", "-"]).args(args), input.as_ref())
    }

    /// Records the file at `input`.
    pub(crate) fn record_file(&self, input: &Path, args: &[&str]) -> Ran {
        run(self.command("record").arg("--input").arg(input).args(args), b"")
    }
}

/// `tapline recover RUNS --json`.
pub(crate) fn recover(runs: &Path) -> Ran {
    tapline(["recover".as_ref(), runs.as_os_str(), "--json".as_ref()])
}

/// The last watermark that was reported on stderr (`--durable-every-ms`) before the program ended;
/// 0 for none.
pub(crate) fn durable_reported(stderr: &str) -> u64 {
    // The last line may have been cut off.
    let whole = stderr.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let watermarks = whole.lines().filter_map(|line| line.strip_prefix("durable ")?.parse().ok());
    watermarks.max().unwrap_or(0)
}

/// The path of a file of real input, in a folder beside the repository or in `TAPLINE_SHARED_DATA`;
/// says so and gives `None` where it is absent.
pub(crate) fn shared_data(name: &str) -> Option<PathBuf> {
    let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").into();
    let path =
        Path::new(&std::env::var_os("TAPLINE_SHARED_DATA").unwrap_or_else(beside)).join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: there is no {}", path.display());
    None
}

pub(crate) fn reader(path: &Path) -> EventStoreReader {
    EventStoreReader::new(open_sealed_file(path).expect("a sealed run"))
}

pub(crate) fn manifest(path: &Path) -> RunManifest {
    reader(path).manifest().expect("a manifest")
}

/// All entries of a sealed run, first to last.
pub(crate) fn entries(path: &Path) -> Vec<Entry> {
    let entries = reader(path).scan(1, u64::MAX, Direction::Forward);
    let entries: Vec<Entry> = entries.map(|entry| entry.expect("an undamaged entry")).collect();
    for (entry, seq) in entries.iter().zip(1..) {
        assert_eq!(entry.seq, seq, "no entry is missing or out of place");
    }
    entries
}

/// The captured entries of a run that was closed in order: all but `RunStarted` and `RunEnded`.
pub(crate) fn captured(path: &Path) -> Vec<Entry> {
    let mut entries = entries(path);
    let last = entries.pop().expect("a last entry");
    assert_eq!(entries.remove(0).payload_type, RunSession::STARTED_TYPE);
    assert_eq!(last.payload_type, RUN_ENDED_TYPE);
    entries
}

/// The payloads of the captured entries, as text.
pub(crate) fn payloads(path: &Path) -> Vec<String> {
    let text = |entry: Entry| String::from_utf8(entry.payload.to_vec()).expect("text");
    captured(path).into_iter().map(text).collect()
}

/// `count` lines of input, with the payloads 1 to `count`.
pub(crate) fn numbered_lines(count: u64) -> String {
    use std::fmt::Write;

    let mut lines = String::new();
    for number in 1..=count {
        writeln!(lines, r#"{{"topic":"t","type":"T","ts_init":{number},"payload":{number}}}"#)
            .expect("writing to a string");
    }
    lines
}

/// Bytes as the program shows them, from 1 KiB to 1023 MiB.
pub(crate) fn shown_bytes(bytes: u64) -> String {
    let kib = bytes as f64 / 1024.0;
    if kib < 1023.95 { format!("{kib:.1} KiB") } else { format!("{:.1} MiB", kib / 1024.0) }
}

/// Makes the run at `path` one of another version of the format.
pub(crate) fn set_format_version(path: &Path, version: u64) {
    const META: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let database = redb::Database::open(path).expect("the run file");
    let transaction = database.begin_write().expect("it can be written");
    let mut meta = transaction.open_table(META).expect("each run has it");
    meta.insert("format", version.to_le_bytes().as_slice()).expect("inserted");
    drop(meta);
    transaction.commit().expect("committed");
}

/// Changes one byte of the only place in the file that reads `text`.
pub(crate) fn flip_byte_in(path: &Path, text: &[u8]) {
    let mut bytes = std::fs::read(path).expect("the run file");
    let places: Vec<usize> = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, at)| *at == text)
        .map(|(at, _)| at)
        .collect();
    assert_eq!(places.len(), 1, "{} places read {text:?}", places.len());
    bytes[places[0]] ^= 1;
    std::fs::write(path, bytes).expect("the run file is written");
}
