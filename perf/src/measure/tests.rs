//! The measurements over a system that can be told to lose something.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};

use super::run;
use crate::instruments::Placement;
use crate::outcome::{Figure, Outcome};
use crate::spec::{Disk, Measure, Settings, Spec, Stop};
use crate::system::{Closed, Lane, Message, PAYLOAD_TYPE, Reader, Stored, System, TOPIC};

/// Keeps the numbers of messages, in a file.
struct Numbers<const FAULT: u8> {
    pushed: Arc<Mutex<Vec<u64>>>,
    dir: std::path::PathBuf,
}

const NONE: u8 = 0;
const SWAPS: u8 = 1;
const FORGETS: u8 = 2;
const LIES: u8 = 3;

struct NumbersLane(Arc<Mutex<Vec<u64>>>, u64);

impl<const FAULT: u8> System for Numbers<FAULT> {
    type Lane = NumbersLane;

    fn describe(_: &Settings) -> String {
        "numbers in a file".to_owned()
    }

    fn open(dir: &Path, settings: &Settings) -> Result<(Self, Vec<NumbersLane>)> {
        let pushed: Arc<Mutex<Vec<u64>>> = Arc::default();
        let lanes = settings.cores.producers.iter().map(|_| NumbersLane(Arc::clone(&pushed), 0));
        Ok((Self { pushed: Arc::clone(&pushed), dir: dir.to_owned() }, lanes.collect()))
    }

    fn close(self) -> Result<Closed> {
        let mut numbers = self.pushed.lock().unwrap().clone();
        let mut entries = numbers.len() as u64;
        match FAULT {
            SWAPS => numbers.swap(500, 501),
            FORGETS => numbers.truncate(999),
            LIES => entries -= 1,
            _ => (),
        }
        fs::write(self.dir.join("numbers"), serde_json::to_string(&numbers)?)?;
        Ok(Closed { entries, commits: None })
    }

    fn reader(dir: &Path, _: &Settings) -> Result<Box<dyn Reader>> {
        let numbers = serde_json::from_str(&fs::read_to_string(dir.join("numbers"))?)?;
        Ok(Box::new(NumbersReader(numbers)))
    }
}

impl Lane for NumbersLane {
    fn push(&mut self, message: &Message<'_>) -> Result<()> {
        self.1 += 1;
        self.0.lock().unwrap().push(message.number);
        Ok(())
    }

    fn durable(&self) -> u64 {
        self.1
    }
}

struct NumbersReader(Vec<u64>);

impl Reader for NumbersReader {
    fn scan(&mut self, each: &mut dyn FnMut(&Stored<'_>)) -> Result<u64> {
        for (seq, number) in (1..).zip(&self.0) {
            let (topic, payload_type) = (TOPIC, PAYLOAD_TYPE);
            each(&Stored { seq, number: *number, topic, payload_type, payload: &[0, 1, 2] });
        }
        Ok(self.0.len() as u64)
    }

    fn verify(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    fn read(&mut self, seq: u64) -> Result<Option<u64>> {
        Ok(self.0.get(seq as usize - 1).copied())
    }

    fn lookup(&mut self, _: &str) -> Result<Option<u64>> {
        Ok(None)
    }
}

fn measured<const FAULT: u8>(
    measure: Measure,
    producers: usize,
    payload_bytes: usize,
) -> Result<Outcome> {
    let dir = tempfile::tempdir().context("a folder")?;
    let cores = Placement { producers: vec![None; producers], writer: None };
    let settings = Settings {
        payload_bytes,
        keys: false,
        cores,
        disk: Disk::Direct,
        batch_bytes: 0,
        ring_lines: 0,
        spin: false,
        rows_per_commit: None,
        keep_bytes: None,
    };
    let dir = dir.path().to_owned();
    fs::create_dir_all(&dir)?;
    let spec =
        Spec { system: "numbers".to_owned(), dir, settings, measure, deadline_s: 600, check: true };
    let outcome = run::<Numbers<FAULT>>(&spec);
    fs::remove_dir_all(&spec.dir)?;
    outcome
}

fn saturated() -> Measure {
    Measure::Saturated { stop: Stop { entries: 1_001, seconds: 60.0 } }
}

fn error<const FAULT: u8>(payload_bytes: usize) -> String {
    format!("{:#}", measured::<FAULT>(saturated(), 1, payload_bytes).unwrap_err())
}

#[test]
fn what_was_pushed_is_found_again() {
    let outcome = measured::<NONE>(saturated(), 2, 3).unwrap();
    assert_eq!(outcome.entries, 1_001);
    assert_eq!(outcome.memory_mb.len(), if cfg!(target_os = "linux") { 10 } else { 0 });
    assert!(outcome.figures[&Figure::DurablePerS] > 0.0);
}

#[test]
fn what_is_lost_swapped_or_changed_is_noticed() {
    assert!(error::<SWAPS>(3).contains("belongs"), "{}", error::<SWAPS>(3));
    assert!(error::<FORGETS>(3).contains("1001 entries were pushed, 999 were read back"));
    assert!(error::<LIES>(3).contains("1001 entries went in, 1000 are durable"));
    assert!(error::<NONE>(4).contains("entry 1 is not what was pushed"));
}

#[test]
fn a_paced_run_sends_what_is_due_and_measures_it() {
    let measure =
        Measure::Paced { rate: 10_000, seconds: 0.1, warmup_seconds: 0.05, idle_seconds: 0.01 };
    let outcome = measured::<NONE>(measure, 2, 3).unwrap();
    assert_eq!(outcome.entries, 1_500);
    assert_eq!(outcome.histograms["capture"].count(), 1_000);
    let missed = |warning: &String| warning.contains("could not be taken");
    assert!(!outcome.warnings.iter().any(missed), "{:?}", outcome.warnings);
    let timeline = &outcome.timelines["capture_from_intended"];
    assert_eq!(timeline.points.iter().flatten().count(), 1);
}

#[test]
fn a_run_that_ends_by_time_has_fewer_entries() {
    let stop = Stop { entries: u64::MAX, seconds: 0.01 };
    let outcome = measured::<NONE>(Measure::Saturated { stop }, 2, 3).unwrap();
    assert!(outcome.entries > 0 && outcome.memory_mb.is_empty());
}
