//! Reads of single entries. They come out of frames that the reader keeps.

use proptest::prelude::*;
use tapline::internals::error_chain;
use tapline::read::EventStoreReader;
use tapline::store::RunReader;

use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::{FrameMaker, Message, Place, tamper};

#[test]
fn a_live_reader_sees_later_commits() {
    for place in Place::all() {
        let mut store = place.open(1);
        let reader = EventStoreReader::new(store.reader().unwrap());
        let mut maker = FrameMaker::new();
        for first in [1, 4, 7, 10] {
            assert_eq!(reader.read(first).unwrap(), None);
            let mut batch = messages(first, first + 2);
            // A name that the reader cannot know yet.
            batch[1] = Message::new(&format!("topic {first}"), "T", 0, b"");
            store.append(&[maker.frame(&batch)]).unwrap();
            for seq in 1..first + 3 {
                assert_eq!(reader.read(seq).unwrap().unwrap().seq, seq);
            }
            let topic = reader.read(first + 1).unwrap().unwrap().topic;
            assert_eq!(topic, format!("topic {first}"));
        }
    }
}

/// A kept frame must not hold a live run's pages. The pages of a sealed file stay anyway.
#[test]
fn kept_frames_of_live_runs_are_copies() {
    let lent_and_kept = |source: &dyn RunReader| {
        let (_, lent) = source.frame_at_or_before(1).unwrap().unwrap();
        let kept = source.detach(lent.clone());
        assert_eq!(kept, lent);
        (lent.as_ptr(), kept.as_ptr())
    };
    for place in &Place::all()[1..] {
        let mut store = place.open(1);
        FrameMaker::new().append_all(&mut *store, &[messages(1, 3)]);
        let (lent, kept) = lent_and_kept(&*store.reader().unwrap());
        assert_ne!(lent, kept);
    }
    let (lent, kept) = lent_and_kept(&*SealedFile::record(&[messages(1, 3)]).open());
    assert_eq!(lent, kept);
}

/// A frame that shares a row of a sealed file must not hold the whole row.
#[test]
fn kept_frames_of_shared_rows_are_copies() {
    let source = SealedFile::record(&[messages(1, 3), messages(4, 6)]).open();
    for first_seq in [1, 4] {
        let (found, lent) = source.frame_at_or_before(first_seq).unwrap().unwrap();
        let kept = source.detach(lent.clone());
        assert_eq!((found, &kept), (first_seq, &lent));
        assert_ne!(kept.as_ptr(), lent.as_ptr());
    }
}

/// Eight frames of three entries, damaged in every way that a read can notice.
fn damaged() -> SealedFile {
    let batches: Vec<_> = (0..8).map(|n| messages(3 * n + 1, 3 * n + 3)).collect();
    let file = SealedFile::record(&batches);
    tamper::frame(&file.path, 4, |frame| frame.records[1][64] ^= 1);
    tamper::remove_frame(&file.path, 7);
    tamper::frame_bytes(&file.path, 10, |bytes| bytes.truncate(100));
    tamper::frame(&file.path, 13, |frame| {
        frame.records.swap(0, 1);
        frame.reforge();
    });
    tamper::move_frame(&file.path, 16, 17);
    tamper::frame_bytes(&file.path, 19, |bytes| bytes[64 + 44] = 0x80);
    file
}

fn read(reader: &EventStoreReader, seq: u64) -> String {
    match reader.read(seq) {
        Ok(entry) => format!("{entry:?}"),
        Err(error) => error_chain(&error),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..<_>::default() })]

    /// However much is kept, and whatever was read before, a read gives the same result.
    #[test]
    fn kept_frames_never_change_a_read(seqs in prop::collection::vec(0_u64..30, 1..60)) {
        let file = damaged();
        let keeps_none = EventStoreReader::keeping(file.open(), 0);
        let keeps_two = EventStoreReader::keeping(file.open(), 2_500);
        let keeps_all = EventStoreReader::new(file.open());
        for seq in seqs {
            let expected = read(&keeps_none, seq);
            prop_assert_eq!(read(&keeps_two, seq), &expected[..]);
            prop_assert_eq!(read(&keeps_all, seq), &expected[..]);
            // A clone shares what is kept.
            prop_assert_eq!(read(&keeps_all.clone(), seq), expected);
        }
    }
}
