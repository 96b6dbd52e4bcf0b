//! Threads share the work. Together they find what one thread finds alone; [`verify`] compares
//! them.

use std::fs;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redb::ReadableTable;
use tapline::read::{Finding, Verifier};
use tapline::store::{RunReader, open_sealed_file};

use super::{verify, verify_source};
use crate::support::doctored::Doctored;
use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::raw::RawFrame;
use crate::support::{FrameMaker, Message, Place, tamper};

const FRAMES: u64 = 150;

/// More frames than one thread takes at a time. They have one to three entries, and sometimes a new
/// name.
fn batches() -> Vec<Vec<Message>> {
    let mut next = 1;
    (0..FRAMES)
        .map(|n| {
            let first = next;
            next += 1 + n % 3;
            let mut batch = messages(first, next - 1);
            if n % 20 == 0 {
                batch[0] =
                    Message::new(&format!("topic {n}"), "T", first, b"x").order(&n.to_string());
            }
            batch
        })
        .collect()
}

fn firsts() -> Vec<u64> {
    let lens = batches().into_iter().map(|batch| batch.len() as u64);
    lens.scan(1, |next, len| Some(std::mem::replace(next, *next + len))).collect()
}

#[test]
fn a_sound_run_of_many_frames_is_clean() {
    let report = verify(&SealedFile::record(&batches()));
    assert_eq!(report.findings, []);
    assert_eq!(report.entries_scanned, 2 * FRAMES);
}

#[test]
fn frames_of_very_different_lengths_are_all_found() {
    let lens = [1, 900, 1, 1, 1, 40, 900, 900, 1, 1, 1, 1, 1, 2, 3, 900, 1];
    let mut next = 1;
    let batches: Vec<_> = lens
        .iter()
        .map(|len| {
            next += len;
            messages(next - len, next - 1)
        })
        .collect();
    let report = verify(&SealedFile::record(&batches));
    assert_eq!((report.findings, report.entries_scanned), (vec![], lens.iter().sum()));
}

/// Damage to one frame. The kinds that need a frame that can be decoded come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    Payload,
    Hash,
    Root,
    Name,
    Truncate,
    Copy(u64),
    MoveBy(u64),
    MoveFarAway,
    Remove,
}

impl Damage {
    fn apply(self, path: &Path, first_seq: u64) {
        match self {
            Self::Remove => tamper::remove_frame(path, first_seq),
            Self::MoveBy(by) => tamper::move_frame(path, first_seq, first_seq + by),
            Self::MoveFarAway => tamper::move_frame(path, first_seq, u64::MAX - first_seq % 2),
            Self::Copy(to) => tamper::edit(path, |transaction| {
                tamper::one_frame_a_row(transaction);
                let mut table = transaction.open_table(tamper::FRAMES).unwrap();
                let bytes = table.get(first_seq).unwrap().unwrap().value().to_vec();
                table.insert(to, bytes.as_slice()).unwrap();
            }),
            Self::Payload => tamper::frame(path, first_seq, |frame| frame.records[0][64] ^= 1),
            Self::Hash => tamper::frame(path, first_seq, |frame| frame.hashes[0][0] ^= 1),
            Self::Root => tamper::frame(path, first_seq, |frame| frame.root[0] ^= 1),
            Self::Name => tamper::frame(path, first_seq, |frame: &mut RawFrame| {
                frame.records[0][28] = 99;
                frame.reforge();
            }),
            Self::Truncate => {
                tamper::frame_bytes(path, first_seq, |bytes| bytes.truncate(bytes.len() - 1));
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Remove),
        (1_u64..400).prop_map(Damage::MoveBy),
        Just(Damage::MoveFarAway),
        (0_u64..400).prop_map(Damage::Copy),
        Just(Damage::Payload),
        Just(Damage::Hash),
        Just(Damage::Root),
        Just(Damage::Name),
        Just(Damage::Truncate),
    ]
}

/// Any damage to frames, wherever they lie.
#[test]
fn any_damage_is_found_alike() {
    let file = SealedFile::record(&batches());
    let damaged = file.path.with_file_name("damaged.redb");
    let config = Config { cases: 60, failure_persistence: None, ..<_>::default() };
    // One kind of damage for each frame.
    let damages = prop::collection::btree_map(0..FRAMES as usize, damage(), 1..5);
    let checked = TestRunner::new(config).run(&damages, |damages| {
        fs::copy(&file.path, &damaged).unwrap();
        let mut damages: Vec<_> = damages.into_iter().map(|(n, damage)| (damage, n)).collect();
        damages.sort();
        for (damage, n) in damages {
            damage.apply(&damaged, firsts()[n]);
        }
        verify_source(&open_sealed_file(&damaged).unwrap());
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn nothing_after_an_unreadable_place_is_reported() {
    let file = SealedFile::record(&batches());
    tamper::frame(&file.path, 298, |frame| frame.records[0][64] ^= 1);
    for first_seq in [1, 50, 96, 97, 98, 193, 250] {
        let source: Arc<dyn RunReader> = Doctored::broken_from(file.open(), first_seq);
        let report = verify_source(&source);
        let unreadable = Finding::Unreadable { what: "frames", error: "out of order".to_owned() };
        assert_eq!(report.findings[0], unreadable);
        let next = firsts().into_iter().find(|first| *first >= first_seq).unwrap();
        assert_eq!(report.entries_scanned, next - 1);
    }
}

/// Threads look at a growing run at different times. That causes no gap.
#[test]
fn a_run_that_grows_meanwhile_is_clean() {
    let mut store = Place::memory().open(1);
    let mut maker = FrameMaker::new();
    maker.append_all(&mut *store, &[messages(1, 3)]);
    let source = store.reader().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 4;
            while !done.load(Ordering::Relaxed) && next < 20_000 {
                maker.append_all(&mut *store, &[messages(next, next + next % 5)]);
                next += 1 + next % 5;
            }
        });
        for threads in [2, 3, 7].into_iter().cycle().take(60) {
            let verifier = Verifier::new(Arc::clone(&source));
            let report = verifier.threads(NonZero::new(threads).unwrap()).run(|_| {});
            assert_eq!(report.findings, [], "on {threads} threads");
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// A file that makes a library panic must not pass for sound because another thread met the panic.
#[test]
fn a_panic_of_the_store_is_passed_on() {
    let file = SealedFile::record(&batches());
    for threads in [1, 2, 7] {
        let source = Doctored::panicking_from(file.open(), 150);
        let verifier = Verifier::new(source).threads(NonZero::new(threads).unwrap());
        assert!(catch_unwind(AssertUnwindSafe(|| verifier.run(|_| {}))).is_err());
    }
}

#[test]
fn any_number_of_threads_can_be_asked_for() {
    let file = SealedFile::record(&batches());
    let verifier = Verifier::new(file.open()).threads(NonZero::<usize>::MAX);
    assert_eq!(verifier.run(|_| {}).findings, []);
}
