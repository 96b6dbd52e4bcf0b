//! Any messages, built into the frames of a run: the same messages read back, under the hashes that
//! plain BLAKE3 gives.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tapline::internals::format::{BatchHasher, FrameView, SealedFrame, key_hash};
use tapline::{Hash, IndexKind};
use tapline_fuzz::{Message, Stream, Stretch};

#[derive(Debug, Arbitrary)]
struct Input {
    first_seq: u32,
    stretches: Vec<Stretch>,
}

fuzz_target!(|input: Input| {
    let mut seq = u64::from(input.first_seq) + 1;
    let mut run = Stream::at(seq);
    let mut root = Hash::from_bytes([0; 32]);
    let mut names: Vec<String> = Vec::new();
    for stretch in &input.stretches {
        let Some((sealed, messages)) = run.frame(stretch) else {
            continue;
        };
        let frame = FrameView::parse(sealed.bytes()).expect("a frame reads back");
        assert_eq!((frame.first_seq(), sealed.first_seq()), (seq, seq));
        assert_eq!(frame.count(), messages.len());
        assert_eq!((frame.previous_root(), sealed.previous_root()), (root, root));
        assert_eq!(frame.root(), frame.compute_root());
        assert!(frame.is_sound(&mut BatchHasher::default(), &mut Vec::new(), |_, _| {}));

        assert_eq!(sealed.names_before() as usize, names.len());
        names.extend(frame.names().map(str::to_owned));
        assert_eq!(sealed.names_end() as usize, names.len());
        assert_eq!(sealed.names().count(), frame.names().count());
        for (index, message) in messages.iter().enumerate() {
            check_entry(&frame, index, seq + index as u64, message, &names);
        }
        let newest = messages.iter().map(|message| stored_ts_init(message)).max();
        assert_eq!(Some(sealed.ts_init_max().as_u64()), newest);
        assert_rows(&sealed, seq, &messages);
        (seq, root) = (sealed.last_seq() + 1, sealed.root());
    }
});

/// A message without a domain time gets the one at which it was accepted.
fn stored_ts_init(message: &Message) -> u64 {
    if message.ts_init == 0 { message.ts_publish } else { message.ts_init }
}

fn check_entry(frame: &FrameView<'_>, index: usize, seq: u64, message: &Message, names: &[String]) {
    let record = frame.record(index).expect("a record reads back");
    assert_eq!(record.seq(), seq);
    assert_eq!(names[record.topic_id() as usize], message.topic);
    assert_eq!(names[record.type_id() as usize], message.payload_type);
    assert_eq!(record.ts_init().as_u64(), stored_ts_init(message));
    assert_eq!(record.ts_publish().as_u64(), message.ts_publish);
    assert_eq!(record.payload(), message.payload.bytes());
    assert_eq!(record.headers(), message.headers());
    assert_eq!(record.identity(), message.identity());
    let keys = record.keys().map(|(kind, key)| (kind.as_u16(), key));
    assert!(keys.eq(message.keys.iter().map(|(kind, key)| (*kind, key.as_bytes()))));
    assert_eq!(frame.entry_hash(index).as_bytes(), blake3::hash(record.bytes()).as_bytes());
}

/// The index has the first entry of the frame for each hash of a key.
fn assert_rows(sealed: &SealedFrame<'_>, first_seq: u64, messages: &[&Message]) {
    let mut expected = BTreeMap::new();
    for (seq, message) in (first_seq..).zip(messages) {
        for (kind, key) in &message.keys {
            let hash = key_hash(IndexKind::from_u16(*kind), key.as_bytes());
            expected.entry(hash).or_insert(seq);
        }
    }
    assert!(sealed.key_rows().iter().map(|row| (row.hash(), row.seq())).eq(expected));
}
