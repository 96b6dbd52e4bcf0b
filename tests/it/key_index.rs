//! The index answers like a map of all keys, after any commits, crashes and seals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use tapline::internals::format::KEY_TIER_FACTOR;
use tapline::internals::run_path;
use tapline::read::{EventStoreReader, Finding, Verifier};
use tapline::store::{BackendFault, DiskMode, EventStore, RunReader, SealError, open_sealed_file};
use tapline::{IndexKind, RunStatus, UnixNanos};

use crate::support::{
    FrameMaker, Message, Place, assert_matches, instance, key_rows, run_id, tamper,
};

type Key = (u16, u32);

/// What happens to a run.
#[derive(Debug, Clone)]
enum Step {
    /// These entries, by their keys, are committed together.
    Commit(Vec<Vec<Key>>),
    /// The process dies, and a new one reopens the run.
    Crash,
}

fn key() -> impl Strategy<Value = Key> {
    // Few keys, so that most are mentioned many times.
    (prop::sample::select(vec![1_u16, 2, 16]), 0_u32..40)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        9 => vec(vec(key(), 0..3), 1..6).prop_map(Step::Commit),
        1 => Just(Step::Crash),
    ]
}

fn message(keys: &[Key]) -> Message {
    let message = Message::new("orders", "Order", 5, b"{}");
    let add = |message: Message, (kind, n): &Key| {
        message.key(IndexKind::from_u16(*kind), &format!("K-{n}"))
    };
    keys.iter().fold(message, add)
}

/// Compares every answer of the index with the model.
fn check(reader: &Arc<dyn RunReader>, first: &BTreeMap<Key, u64>) {
    let source = EventStoreReader::new(Arc::clone(reader));
    for kind in [1, 2, 16] {
        for n in 0..41 {
            let found = source.lookup(IndexKind::from_u16(kind), format!("K-{n}")).unwrap();
            assert_eq!(found, first.get(&(kind, n)).copied(), "{kind}:{n}");
        }
    }
    for kind in [1, 2, 16, 3] {
        let found: Vec<_> = source.keys(IndexKind::from_u16(kind)).map(Result::unwrap).collect();
        assert!(found.is_sorted_by_key(|mention| mention.seq));
        let found: BTreeSet<_> =
            found.into_iter().map(|mention| (mention.key, mention.seq)).collect();
        let of_kind = first.iter().filter(|((of, _), _)| *of == kind);
        let expected = of_kind.map(|((_, n), seq)| (format!("K-{n}").into_bytes(), *seq)).collect();
        assert_eq!(found, expected, "kind {kind}");
    }
    assert_eq!(Verifier::new(Arc::clone(reader)).run(|_| {}).findings, []);
}

fn sealed(place: &Place) -> Arc<dyn RunReader> {
    open_sealed_file(&run_path(place.folder(), &instance(), run_id(1))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_index_answers_as_a_map_would(steps in vec(step(), 1..90)) {
        for place in [Place::memory(), Place::disk(DiskMode::Buffered)] {
            let (mut store, mut maker) = (place.open(1), FrameMaker::new());
            let (mut first, mut seq) = (BTreeMap::new(), 0);
            for step in &steps {
                let Step::Commit(entries) = step else {
                    drop(store);
                    store = place.open(1);
                    continue;
                };
                for keys in entries {
                    seq += 1;
                    for key in keys {
                        first.entry(*key).or_insert(seq);
                    }
                }
                let batch: Vec<Message> = entries.iter().map(|keys| message(keys)).collect();
                store.append(&[maker.frame(&batch)]).unwrap();
            }
            let reader = store.reader().unwrap();
            check(&reader, &first);
            let end = (seq > 0).then(|| UnixNanos::new(5));
            store.seal(RunStatus::Ended, end).unwrap();
            check(&reader, &first);
            drop((reader, store));
            if let Place::Disk(..) = place {
                check(&sealed(&place), &first);
            }
        }
    }
}

/// Commits of every size, and more of each size than its tier holds, with a crash in between. So
/// every tier is merged, some through several tiers, up to the one that is not merged before the
/// seal.
#[test]
fn keys_of_every_tier_are_found() {
    let place = Place::disk(DiskMode::Buffered);
    let (mut store, mut maker) = (place.open(1), FrameMaker::new());
    let mut keys = 0;
    let mut commit = |store: &mut dyn EventStore, rows: usize| {
        let entries = rows.div_ceil(16);
        let batch: Vec<Message> = (0..entries)
            .map(|entry| {
                let keys = keys + entry * 16..(keys + rows).min(keys + entry * 16 + 16);
                keys.fold(Message::nth(1), |message, n| message.order(&format!("K-{n}")))
            })
            .collect();
        store.append(&[maker.frame(&batch)]).unwrap();
        keys += rows;
    };
    let sizes = [1, 9, 64, 600, 4_200];
    for rows in sizes {
        for round in 0..=KEY_TIER_FACTOR {
            commit(&mut *store, rows);
            if round == 3 {
                drop(store);
                store = place.open(1);
            }
        }
    }
    let reader = store.reader().unwrap();
    let source = EventStoreReader::new(Arc::clone(&reader));
    let lookup = |n| source.lookup(IndexKind::CLIENT_ORDER_ID, format!("K-{n}")).unwrap();
    let found: Vec<_> = (0..keys).step_by(7).map(lookup).collect();
    assert!(found.is_sorted() && found.iter().all(Option::is_some));
    store.seal(RunStatus::Ended, Some(UnixNanos::new(1_001))).unwrap();
    assert_eq!((0..keys).step_by(7).map(lookup).collect::<Vec<_>>(), found);
    assert_eq!(lookup(keys), None);
    let rows = key_rows(&*reader);
    assert_eq!(rows.len(), keys);
    assert!(rows.is_sorted_by(|a, b| a < b));
    drop((reader, source, store));
    assert_eq!(Verifier::new(sealed(&place)).run(|_| {}).findings, []);
}

/// Recovery seals a damaged run as quarantined, and does not touch the index.
#[test]
fn a_quarantined_run_keeps_its_index() {
    for place in Place::all() {
        let (mut store, mut maker) = (place.open(1), FrameMaker::new());
        let mut first = BTreeMap::new();
        for seq in 1..=30 {
            let key = (1, seq % 20);
            first.entry(key).or_insert(u64::from(seq));
            store.append(&[maker.frame(&[message(&[key])])]).unwrap();
        }
        let reader = store.reader().unwrap();
        let rows = key_rows(&*reader);
        store.seal(RunStatus::Quarantined, Some(UnixNanos::new(5))).unwrap();
        assert_eq!(key_rows(&*reader), rows);
        check(&reader, &first);
        drop((reader, store));
        if let Place::Disk(..) = place {
            let reader = sealed(&place);
            assert_eq!(key_rows(&*reader), rows);
            check(&reader, &first);
        }
    }
}

#[test]
fn a_damaged_index_fails_the_seal_unchanged() {
    let place = Place::disk(DiskMode::Buffered);
    let batch = [message(&[(1, 1), (1, 2)]), message(&[(1, 3)])];
    FrameMaker::new().append_all(&mut *place.open(1), &[batch.to_vec()]);
    tamper::key_block(&run_path(place.folder(), &instance(), run_id(1)), |block| {
        block.truncate(31);
        (0, 7)
    });
    let end = Some(UnixNanos::new(5));
    let mut store = place.open(1);
    let sealed = store.seal(RunStatus::Ended, end);
    assert_matches!(sealed, Err(SealError::Fault(BackendFault::Corrupted(_))));
    // Nothing may be written after a fault. But the next process finds the run unchanged.
    drop(store);
    let mut store = place.open(1);
    let reader = store.reader().unwrap();
    assert_eq!(reader.manifest().unwrap().status, RunStatus::Running);
    assert_eq!(EventStoreReader::new(Arc::clone(&reader)).read(2).unwrap().unwrap().seq, 2);
    store.seal(RunStatus::Quarantined, end).unwrap();
    let report = Verifier::new(reader).run(|_| {});
    assert_matches!(&report.findings[0], Finding::IndexDamaged { tier: 0, seq: 7, .. });
    let missing = |finding: &&Finding| matches!(finding, Finding::IndexMissing { .. });
    assert_eq!(report.findings.iter().filter(missing).count(), 3);
}
