//! Recordings of real input that something befalls at random instants, one after the other in one
//! instance.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tapline::RunSession;
use tapline::markers::MarkerReader;
use tapline::runs::RUN_ENDED_TYPE;
use tapline::{Entry, RunStatus};

use crate::running::Running;
use crate::support::{
    Ran, Sandbox, durable_reported, entries, manifest, numbered_lines, recover, shared_data,
    tapline,
};

const INPUT: &str = "esh4-mbo-2023-12-25.ndjson.zst";

/// One instance, and what came of the recordings into it so far.
pub(crate) struct Rounds {
    sandbox: Sandbox,
    input: PathBuf,
    messages: Vec<Message>,
    random: Random,
    tally: Tally,
}

/// A message of the input.
struct Message {
    payload: String,
    producer: u64,
}

/// What became of the rounds; each counts once.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Over before there was a run.
    pub(crate) temporary: u64,
    /// Recovered as cut off.
    pub(crate) cut_off: u64,
    /// Recovered with its last entry in place: only the seal was missing.
    pub(crate) unsealed: u64,
    /// Sealed by the recording itself.
    pub(crate) sealed: u64,
    /// Entries in what was recovered.
    pub(crate) entries_kept: usize,
    /// Sidecars beside what was recovered, and markers in them.
    pub(crate) sidecars: u64,
    pub(crate) markers_kept: u64,
}

impl Rounds {
    /// `None`, having said why, where the input is absent.
    pub(crate) fn new() -> Option<Self> {
        let input = shared_data(INPUT)?;
        let messages = read_messages(&input);
        let (sandbox, tally) = (Sandbox::new(), Tally::default());
        Some(Self { sandbox, input, messages, random: Random::new(), tally })
    }

    /// As many rounds as the environment variable says, or else `rounds`. `befall` does to a
    /// recording what it has in mind; then the recording ends by itself or has been killed.
    pub(crate) fn play(
        mut self,
        variable: &str,
        rounds: u64,
        mut befall: impl FnMut(&mut Running, &mut Random),
    ) -> Tally {
        let asked = std::env::var(variable).ok().map(|asked| asked.parse().expect("a number"));
        let rounds = asked.unwrap_or(rounds);
        for round in 0..rounds {
            let producers = if round % 2 == 0 { 1 } else { 4 };
            let markers = if round % 4 < 2 { &[][..] } else { &["--markers"] };
            let runs_before = self.sandbox.run_files().len();
            let mut recording = self.start(producers, markers);
            befall(&mut recording, &mut self.random);
            let ran = recording.end();
            println!("round {round}, {producers} producers {markers:?}");
            self.check(&ran, producers, runs_before);
        }
        let Tally { temporary, cut_off, unsealed, sealed, .. } = self.tally;
        assert_eq!(temporary + cut_off + unsealed + sealed, rounds);
        println!("{:?}", self.tally);
        self.tally
    }

    fn start(&self, producers: u64, markers: &[&str]) -> Running {
        let mut command = self.sandbox.command("record");
        command.args(markers);
        command.arg("--input").arg(&self.input).args(["--durable-every-ms", "1"]);
        Running::start(command.arg("--producers").arg(producers.to_string()))
    }

    /// What the recording left is an exact prefix, with all that was reported; the next one
    /// continues from it.
    fn check(&mut self, ran: &Ran, producers: u64, runs_before: usize) {
        let reported = durable_reported(&ran.stderr);
        let runs = self.sandbox.run_files();
        let made = runs.len() - runs_before;
        // Whatever was reported is in a file.
        assert!(made == 1 || (made == 0 && reported == 0), "{made} files for {reported} reported");

        let swept = recover(&self.sandbox.runs()).exits(0).json();
        assert_eq!(swept["skipped"], json!([]));
        let recovered = swept["recovered"].as_array().expect("an array");
        assert!(recovered.len() <= made, "{swept}");
        let Some(path) = runs.last().filter(|_| made == 1) else {
            assert_ne!(ran.code, Some(0), "it can only have been killed");
            self.tally.temporary += 1;
            return;
        };
        let Some(run) = recovered.first() else {
            // Killed after the seal, or not at all.
            assert_eq!(manifest(path).status, RunStatus::Ended);
            self.assert_begins_input(&entries(path), producers);
            assert_eq!(entries(path).len(), self.messages.len() + 2);
            self.tally.sealed += 1;
            return;
        };
        assert_eq!((ran.code, &run["path"]), (None, &json!(path)), "only what was killed is left");
        self.check_recovered(path, run, reported, producers, &swept["parent_run_id"]);
    }

    fn check_recovered(
        &mut self,
        path: &Path,
        run: &Value,
        reported: u64,
        producers: u64,
        parent: &Value,
    ) {
        let entries = entries(path);
        assert!(entries.len() as u64 >= reported, "{reported} were durable");
        assert_eq!(run["watermark"], entries.len());
        self.assert_begins_input(&entries, producers);
        let has_end = entries.last().is_some_and(|last| last.payload_type == RUN_ENDED_TYPE);
        let status = if has_end { RunStatus::Ended } else { RunStatus::CrashedRecovered };
        assert_eq!(manifest(path).status, status);
        tapline(["verify".as_ref(), path.as_os_str()]).exits(0);
        assert_eq!(parent, &run["run_id"], "however it ended");
        self.tally.cut_off += u64::from(!has_end);
        self.tally.unsealed += u64::from(has_end);
        self.tally.entries_kept += entries.len();
        self.check_sidecar(path, entries.len() as u64, producers);

        // The next recording names it, and ends in order.
        let next = self.sandbox.record(numbered_lines(3), &[]).exits(0).json();
        assert_eq!(&next["parent_run_id"], parent);
    }

    /// Each message is market data too, and seen just before it is captured: of one producer, what
    /// had been seen is as many messages as there are entries before, of which the run's start is
    /// one.
    fn check_sidecar(&mut self, run: &Path, watermark: u64, producers: u64) {
        let sidecar = run.with_extension("markers.redb");
        if !sidecar.exists() {
            // None was asked for, or it was not made yet.
            return;
        }
        let reader = MarkerReader::open_sealed(&sidecar).expect("it was sealed with the run");
        let markers = reader.scan().map(|stored| stored.expect("it can be read").marker);
        let behind: Vec<u64> = markers.filter_map(|marker| marker.event_seq_before()).collect();
        let last = behind.last().copied().unwrap_or(0);
        assert!(last <= watermark, "a marker stands behind entry {last} of {watermark}");
        let fold = reader.fold_before(u64::MAX).expect("it can be read");
        // Nothing was shed: the one that may be missing is what recovery says of the end.
        if producers == 1 && fold.missing == 1 {
            assert_eq!(fold.cursors.values().map(|cursor| cursor.count).sum::<u64>(), last);
        }
        self.tally.sidecars += 1;
        self.tally.markers_kept += behind.len() as u64;
    }

    /// Whether `entries`, without lifecycle entries, are what each producer's messages begin with.
    fn assert_begins_input(&self, entries: &[Entry], producers: u64) {
        let of =
            |own| self.messages.iter().filter(move |theirs| theirs.producer % producers == own);
        let mut next: Vec<_> = (0..producers).map(of).collect();
        let mut heads: Vec<Option<&Message>> = next.iter_mut().map(Iterator::next).collect();
        for entry in entries {
            if entry.payload_type == RunSession::STARTED_TYPE
                || entry.payload_type == RUN_ENDED_TYPE
            {
                continue;
            }
            let is_payload = |head: Option<&Message>| {
                head.is_some_and(|message| message.payload.as_bytes() == &entry.payload[..])
            };
            let from = heads.iter().position(|head| is_payload(*head));
            let from = from.unwrap_or_else(|| panic!("entry {} is not the next of any", entry.seq));
            heads[from] = next[from].next();
        }
    }
}

fn read_messages(input: &Path) -> Vec<Message> {
    let packed = std::fs::read(input).expect("the input");
    let text = String::from_utf8(zstd::decode_all(&*packed).expect("it unpacks")).expect("text");
    let parse = |line: &str| {
        let message: HashMap<&str, &serde_json::value::RawValue> =
            serde_json::from_str(line).expect("a message");
        let producer = message["producer"].get().parse().expect("a number");
        Message { payload: message["payload"].get().to_owned(), producer }
    };
    text.lines().map(parse).collect()
}

/// The same sequence each time (xorshift); what it hits is up to the scheduler.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Sleeps for less than `micros` microseconds.
    pub(crate) fn sleep_below(&mut self, micros: u64) {
        std::thread::sleep(Duration::from_micros(self.below(micros)));
    }
}
