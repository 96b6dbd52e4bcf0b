//! Whatever is changed in a sealed run is found, or was in bytes that nobody can read; and nothing
//! that is changed crashes the program or lets it hang.
//!
//! By default a small sample. The full one, 5 000 bits, 500 lengths and every page, takes some
//! minutes:
//!
//! ```text
//! TAPLINE_TAMPER=full cargo test --release --test cli tamper -- --nocapture
//! ```
//!
//! `TAPLINE_TAMPER_SEED=n` draws another sample.

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tapline::internals::format::{KeyBlockId, KeyTier};
use tapline::read::{Direction, EventStoreReader};
use tapline::store::open_sealed_file;
use tapline::{Entry, Hash, IndexKind, RunManifest, SnapshotAnchor};

use crate::support::{Report, Sandbox, program, run, shared_data};

const PAGE_BYTES: usize = 4096;
const LINES: usize = 4_000;

/// The bit of redb's header that says that the file is open: with it, a sealed run looks like one
/// that was left behind by a crash.
const LEFT_OPEN_BIT: u64 = 9 * 8 + 1;

/// What is done to a run.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// One bit is flipped.
    Flip { bit: u64 },
    /// The file ends here.
    Cut { bytes: u64 },
    /// A page is zeroed.
    Zero { page: u64 },
    /// Two pages lie where the other one belongs, each as sound as before.
    Swap { pages: [u64; 2] },
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The scan found it.
    Found,
    /// The file could not be opened as a run.
    FoundUnreadable,
    /// redb panicked over it.
    FoundByPanic,
    /// The worker was killed by a signal.
    FoundByAbort,
    /// The worker did not end.
    FoundByTimeout,
    /// The file is taken for one that was left open.
    LeftOpen,
    /// It changed nothing that can be read.
    Unused,
}

/// Everything that can be read of a run, in each way there is to read it.
#[derive(PartialEq)]
struct Content {
    manifest: RunManifest,
    root: Option<Hash>,
    anchor: Option<SnapshotAnchor>,
    forward: Vec<Entry>,
    reverse: Vec<Entry>,
    by_seq: Vec<Option<Entry>>,
    by_key: Vec<(String, Option<u64>)>,
    frames: Vec<(u64, Vec<u8>)>,
    names: Vec<(u32, String)>,
    index: Vec<(KeyBlockId, Vec<u8>)>,
}

impl Content {
    /// Reads it; an error is one more thing that can be told from the original.
    fn read(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let source = open_sealed_file(path)?;
        let reader = EventStoreReader::new(source.clone());
        let manifest = reader.manifest()?;
        let scan = |direction| reader.scan(1, u64::MAX, direction).collect::<Result<Vec<_>, _>>();
        let forward = scan(Direction::Forward)?;
        let seqs = 0..=manifest.high_watermark + 1;
        let key = |entry: &Entry| entry.keys.first().map(|(_, key)| key.clone());
        let mut keys: Vec<String> = forward.iter().filter_map(key).collect();
        keys.sort();
        keys.dedup();
        let look_up = |key: String| {
            let seq = reader.lookup(IndexKind::VENUE_ORDER_ID, &key)?;
            Ok::<_, Box<dyn std::error::Error>>((key, seq))
        };
        let (mut frames, mut from) = (Vec::new(), 0);
        while let Some((seq, frame)) = source.frame_at_or_after(from)? {
            frames.push((seq, frame.to_vec()));
            from = seq + 1;
        }
        let (mut index, mut from) = (Vec::new(), Some(KeyBlockId::start_of(KeyTier::FIRST)));
        while let Some(at) = from
            && let Some((id, block)) = source.key_block_at_or_after(at)?
        {
            index.push((id, block.to_vec()));
            from = id.next();
        }
        Ok(Self {
            root: source.root()?,
            anchor: reader.anchor()?,
            reverse: scan(Direction::Reverse)?,
            by_seq: seqs.map(|seq| reader.read(seq)).collect::<Result<_, _>>()?,
            by_key: keys.into_iter().map(look_up).collect::<Result<_, _>>()?,
            names: source.names(0)?,
            manifest,
            forward,
            frames,
            index,
        })
    }
}

/// A sealed run, and copies of it to be changed.
struct Original {
    root: String,
    bytes: Vec<u8>,
    content: Content,
}

impl Original {
    fn record(sandbox: &Sandbox) -> Self {
        let report = record(sandbox);
        Self {
            root: report.root.expect("a sealed run has a root"),
            bytes: std::fs::read(&report.path).expect("the run file"),
            content: Content::read(&report.path).expect("the run is sound"),
        }
    }

    /// Makes the change in the copy at `path`, looks what `verify` says, and undoes it.
    fn try_out(&self, change: Change, path: &Path) -> Outcome {
        let file = File::options().write(true).open(path).expect("the copy");
        let write = |at: u64, bytes: &[u8]| file.write_all_at(bytes, at).expect("written");
        let old = |at: u64, len: usize| &self.bytes[at as usize..at as usize + len];
        let start = |page: u64| page * PAGE_BYTES as u64;
        let put = |from: u64, to: u64| write(start(to), old(start(from), PAGE_BYTES));
        match change {
            Change::Flip { bit } => write(bit / 8, &[old(bit / 8, 1)[0] ^ (1 << (bit % 8))]),
            Change::Cut { bytes } => file.set_len(bytes).expect("cut"),
            Change::Zero { page } => write(start(page), &[0; PAGE_BYTES]),
            Change::Swap { pages: [one, other] } => {
                put(one, other);
                put(other, one);
            }
        }
        let outcome = self.verify(change, path);
        match change {
            Change::Flip { bit } => write(bit / 8, old(bit / 8, 1)),
            Change::Cut { bytes } => write(bytes, &self.bytes[bytes as usize..]),
            Change::Zero { page } => put(page, page),
            Change::Swap { pages } => pages.into_iter().for_each(|page| put(page, page)),
        }
        outcome
    }

    fn verify(&self, change: Change, path: &Path) -> Outcome {
        let args = ["verify", "--json", "--timeout", "60", "--threads", "1", "--root", &self.root];
        let ran = run(program().args(args).arg(path), b"");
        let verdict = ran.json();
        let error = verdict["error"].as_str();
        let is_clean = verdict["clean"] == true;
        match (ran.code, error) {
            (Some(0), None) if is_clean => {
                let content = Content::read(path).unwrap_or_else(|error| {
                    panic!("{change:?} is not found, but reading fails: {error}")
                });
                assert!(content == self.content, "{change:?} is not found, but can be seen");
                Outcome::Unused
            }
            (Some(1), None) if !is_clean => {
                let findings = verdict["findings"].as_array().expect("an array");
                assert!(!findings.is_empty(), "{change:?}: {ran:?}");
                Outcome::Found
            }
            (Some(1), Some(error)) if !is_clean && ran.stderr.is_empty() => match error {
                error if error.starts_with("worker panicked: ") => Outcome::FoundByPanic,
                error if error.starts_with("worker aborted (signal ") => Outcome::FoundByAbort,
                error if error.starts_with("timed out") => Outcome::FoundByTimeout,
                error if error.starts_with("worker") => panic!("{change:?}: {ran:?}"),
                _ => Outcome::FoundUnreadable,
            },
            (Some(2), Some(error)) if error.contains("is not sealed") => {
                assert!(
                    matches!(change, Change::Flip { bit: LEFT_OPEN_BIT }),
                    "{change:?}: {ran:?}"
                );
                Outcome::LeftOpen
            }
            _ => panic!("{change:?}: {ran:?}"),
        }
    }

    /// Tries out all changes, on as many copies as there are processors.
    fn try_out_all(&self, sandbox: &Sandbox, changes: &[Change]) -> BTreeMap<Outcome, usize> {
        let next = AtomicUsize::new(0);
        let counts = Mutex::new(BTreeMap::new());
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let copy = sandbox.file(&format!("copy-{thread}.redb"), &self.bytes);
                let (next, counts) = (&next, &counts);
                scope.spawn(move || {
                    while let Some(change) = changes.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let outcome = self.try_out(*change, &copy);
                        *counts.lock().expect("no panic").entry(outcome).or_insert(0) += 1;
                    }
                });
            }
        });
        counts.into_inner().expect("no panic")
    }
}

/// Real messages, or the demo's where there are none. Paced, so that there are many frames.
fn record(sandbox: &Sandbox) -> Report {
    let Some(input) = shared_data("esh4-mbo-2023-12-25.ndjson.zst") else {
        let args = ["--demo", "--entries", "4000", "--producers", "2"];
        return run(sandbox.command("record").args(args), b"").exits(0).report();
    };
    let packed = std::fs::read(input).expect("the input");
    let text = zstd::decode_all(&*packed).expect("the input unpacks");
    let lines = text.split_inclusive(|byte| *byte == b'\n').take(LINES);
    let report = sandbox.record(lines.collect::<Vec<_>>().concat(), &["--rate", "8000"]);
    let report = report.exits(0).report();
    assert_eq!(report.entries, LINES as u64);
    report
}

/// Numbers as if drawn by lot, from a seed: `SplitMix64`.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

struct Sample {
    flips: usize,
    cuts: usize,
    pages: usize,
    seed: u64,
}

impl Sample {
    fn of_environment() -> Self {
        let seed = std::env::var("TAPLINE_TAMPER_SEED")
            .map_or(1, |seed| seed.parse().expect("TAPLINE_TAMPER_SEED is a number"));
        if std::env::var("TAPLINE_TAMPER").is_ok_and(|size| size == "full") {
            Self { flips: 5_000, cuts: 500, pages: usize::MAX, seed }
        } else {
            Self { flips: 200, cuts: 20, pages: 60, seed }
        }
    }
}

#[track_caller]
fn assert_counts(what: &str, counts: &BTreeMap<Outcome, usize>, all_found: bool) {
    println!("{what}: {counts:?}");
    assert!(!counts.contains_key(&Outcome::FoundByTimeout), "something hung");
    if all_found {
        assert!(!counts.contains_key(&Outcome::Unused), "something was not found");
    }
}

#[test]
fn every_change_is_found_or_cannot_be_seen() {
    let sandbox = Sandbox::new();
    let original = Original::record(&sandbox);
    let sample = Sample::of_environment();
    let bytes = original.bytes.len() as u64;
    let frames = original.content.frames.len();
    println!("a run of {LINES} messages, {frames} frames, {bytes} bytes; seed {}", sample.seed);

    let mut draw = Draw(sample.seed);
    let flips: Vec<Change> =
        (0..sample.flips).map(|_| Change::Flip { bit: draw.below(bytes * 8) }).collect();
    assert_counts("bits flipped", &original.try_out_all(&sandbox, &flips), false);

    // The inner pages of redb's trees, of which there are few: what leads a search astray, or a
    // walk round in circles, is there.
    let is_branch = |page: &[u8]| page[0] == 2;
    let pages = (0_u64..).zip(original.bytes.chunks(PAGE_BYTES));
    let branches: Vec<u64> =
        pages.filter(|(_, page)| is_branch(page)).map(|(page, _)| page).collect();
    assert!(!branches.is_empty(), "the run is too short");
    let page_bits = PAGE_BYTES as u64 * 8;
    let mut in_branch = |_| {
        let page = branches[draw.below(branches.len() as u64) as usize];
        Change::Flip { bit: page * page_bits + draw.below(page_bits) }
    };
    let flips: Vec<Change> = (0..sample.flips).map(&mut in_branch).collect();
    assert_counts("bits of branches flipped", &original.try_out_all(&sandbox, &flips), false);

    // All of the header: where redb keeps its roots.
    let header = 320 * 8;
    let flips: Vec<Change> = match sample.pages {
        usize::MAX => (0..header).map(|bit| Change::Flip { bit }).collect(),
        pages => (0..pages).map(|_| Change::Flip { bit: draw.below(header) }).collect(),
    };
    assert_counts("bits of the header flipped", &original.try_out_all(&sandbox, &flips), false);

    let cuts: Vec<Change> =
        (0..sample.cuts).map(|_| Change::Cut { bytes: draw.below(bytes) }).collect();
    assert_counts("lengths cut to", &original.try_out_all(&sandbox, &cuts), true);

    let is_used = |page: &u64| {
        let at = *page as usize * PAGE_BYTES;
        original.bytes[at..at + PAGE_BYTES].iter().any(|byte| *byte != 0)
    };
    let mut pages: Vec<u64> = (0..bytes / PAGE_BYTES as u64).filter(is_used).collect();
    while pages.len() > sample.pages {
        pages.swap_remove(draw.below(pages.len() as u64) as usize);
    }
    let zeroed: Vec<Change> = pages.iter().map(|page| Change::Zero { page: *page }).collect();
    assert_counts("pages zeroed", &original.try_out_all(&sandbox, &zeroed), false);

    let swaps = pages.windows(2).map(|two| Change::Swap { pages: [two[0], two[1]] });
    let swaps: Vec<Change> = swaps.collect();
    assert_counts("pages swapped", &original.try_out_all(&sandbox, &swaps), false);
}

/// The copy is as it was after each change: otherwise what is found is of another.
#[test]
fn a_change_is_undone() {
    let sandbox = Sandbox::new();
    let original = Original::record(&sandbox);
    let copy: PathBuf = sandbox.file("copy.redb", &original.bytes);
    let last_page = original.bytes.len() as u64 / PAGE_BYTES as u64 - 1;
    for change in [
        Change::Flip { bit: LEFT_OPEN_BIT },
        Change::Cut { bytes: 5000 },
        Change::Zero { page: 0 },
        Change::Zero { page: last_page },
        Change::Swap { pages: [1, last_page] },
    ] {
        original.try_out(change, &copy);
        assert!(std::fs::read(&copy).expect("the copy") == original.bytes, "{change:?}");
    }
}
