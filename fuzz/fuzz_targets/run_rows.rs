//! A run whose rows were changed, in a store that gives them back as they are: reading and
//! verifying it never panics and always ends, the findings do not depend on threads, and where
//! there are none, with the root known, all that can be read is as it was sealed.

#![no_main]

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tapline::Hash;
use tapline::internals::format::{BatchHasher, FrameView, KeyBlockId, KeyRow, KeyTier};
use tapline::read::{Verifier, VerifyReport};
use tapline_fuzz::{Content, Rows, SealedRunFile, reforge};

#[derive(Debug, Arbitrary)]
struct Input {
    changes: Vec<Change>,
    threads: bool,
}

/// Rows are counted in their order.
#[derive(Debug, Arbitrary)]
enum Change {
    Frame {
        nth: u8,
        change: RowChange<u64>,
    },
    /// Its hashes and its root are made to fit.
    ReforgeFrame {
        nth: u8,
    },
    /// A frame begins with another entry than it says.
    FrameSays {
        nth: u8,
        first_seq: u64,
    },
    Block {
        nth: u8,
        change: RowChange<(u16, u64, u64)>,
    },
    PutBlock {
        tier: u16,
        rows: Vec<(u64, u64)>,
    },
    Name {
        id: u32,
        name: Option<String>,
    },
    Manifest {
        at: u16,
        bytes: Vec<u8>,
    },
    Anchor {
        bytes: Option<Vec<u8>>,
    },
}

#[derive(Debug, Arbitrary)]
enum RowChange<K> {
    Remove,
    Move { to: K },
    Copy { to: K },
    Flip { at: u16, bits: u8 },
    Number { at: u8, number: u32 },
    Cut { bytes: u16 },
}

struct Original {
    rows: Rows,
    root: Hash,
    content: Content,
}

static ORIGINAL: LazyLock<Original> = LazyLock::new(|| {
    let file = SealedRunFile::record(9);
    let rows = Rows::of(&*file.open());
    let content = Content::read(&(Arc::new(rows.clone()) as _)).expect("the run is sound");
    assert_eq!(content, Content::read(&file.open()).expect("the run is sound"));
    Original { rows, root: file.root, content }
});

fn apply(rows: &mut Rows, change: Change) {
    match change {
        Change::Frame { nth, change } => change_row(&mut rows.frames, nth, change, |seq| seq),
        Change::ReforgeFrame { nth } => change_bytes(&mut rows.frames, nth, |bytes| {
            let mut hashes = Vec::new();
            if let Ok(frame) = FrameView::parse(bytes) {
                frame.hash_records(&mut BatchHasher::default(), &mut hashes);
                reforge(bytes, &hashes);
            }
        }),
        Change::FrameSays { nth, first_seq } => change_bytes(&mut rows.frames, nth, |bytes| {
            if let Some(place) = bytes.get_mut(8..16) {
                place.copy_from_slice(&first_seq.to_le_bytes());
            }
        }),
        Change::Block { nth, change } => {
            change_row(&mut rows.blocks, nth, change, |(tier, hash, seq)| KeyBlockId {
                tier: KeyTier::from_u16(tier),
                first: KeyRow::new(hash, seq),
            });
        }
        Change::PutBlock { tier, rows: new } => {
            let new = new.iter().map(|(hash, seq)| KeyRow::new(*hash, *seq).as_u128());
            let new: Vec<u128> = new.collect();
            let first = KeyRow::from_u128(new.first().copied().unwrap_or(0));
            let block = new.into_iter().flat_map(u128::to_le_bytes).collect();
            rows.blocks.insert(KeyBlockId { tier: KeyTier::from_u16(tier), first }, block);
        }
        Change::Name { id, name: Some(name) } => drop(rows.names.insert(id, name)),
        Change::Name { id, name: None } => drop(rows.names.remove(&id)),
        Change::Manifest { at, bytes } => {
            let at = at as usize % rows.manifest.len();
            let end = rows.manifest.len().min(at + bytes.len());
            rows.manifest.splice(at..end, bytes);
        }
        Change::Anchor { bytes } => rows.anchor = bytes,
    }
}

type Table<K> = BTreeMap<K, Bytes>;

fn change_row<K: Ord + Copy, N>(
    table: &mut Table<K>,
    nth: u8,
    change: RowChange<N>,
    key_of: impl Fn(N) -> K,
) {
    let nth_key = table.keys().nth(nth as usize % table.len().max(1)).copied();
    let Some(key) = nth_key else {
        return;
    };
    match change {
        RowChange::Remove => drop(table.remove(&key)),
        RowChange::Move { to } => {
            let row = table.remove(&key).expect("it is there");
            table.insert(key_of(to), row);
        }
        RowChange::Copy { to } => drop(table.insert(key_of(to), table[&key].clone())),
        RowChange::Flip { at, bits } => change_bytes(table, nth, |bytes| {
            let len = bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at as usize % len) {
                *byte ^= bits;
            }
        }),
        RowChange::Number { at, number } => change_bytes(table, nth, |bytes| {
            if let Some(place) = bytes.get_mut(at as usize * 4..at as usize * 4 + 4) {
                place.copy_from_slice(&number.to_le_bytes());
            }
        }),
        RowChange::Cut { bytes: len } => {
            change_bytes(table, nth, |bytes| bytes.truncate(len as usize));
        }
    }
}

fn change_bytes<K: Ord>(table: &mut Table<K>, nth: u8, change: impl FnOnce(&mut Vec<u8>)) {
    let nth = nth as usize % table.len().max(1);
    if let Some(row) = table.values_mut().nth(nth) {
        let mut bytes = row.to_vec();
        change(&mut bytes);
        *row = bytes.into();
    }
}

fn verify(rows: &Arc<Rows>, root: Hash, threads: usize) -> VerifyReport {
    let threads = NonZero::new(threads).expect("at least one");
    Verifier::new(Arc::clone(rows) as _).expect_root(root).threads(threads).run(|_| {})
}

fuzz_target!(|input: Input| {
    let original = &*ORIGINAL;
    let mut rows = original.rows.clone();
    for change in input.changes {
        apply(&mut rows, change);
    }
    let rows = Arc::new(rows);
    let report = verify(&rows, original.root, 1);
    if input.threads {
        let threaded = verify(&rows, original.root, 2);
        assert_eq!(report.findings, threaded.findings);
        assert_eq!(report.findings_omitted, threaded.findings_omitted);
    }
    if report.is_clean() {
        let content = Content::read(&(rows as _)).expect("nothing was found, but reading fails");
        assert!(content == original.content, "a change was not found, but can be seen");
    } else {
        Content::read_what_there_is(&(rows as _));
    }
});
