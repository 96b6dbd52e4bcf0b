//! Any bytes, read as a frame and as a record: nothing panics, every way to check a frame comes to
//! the same, and a frame that was changed passes only if somebody has put in its hashes anew.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tapline::Hash;
use tapline::internals::format::{BatchHasher, Frame, FrameView, LINE_BYTES, RecordView};
use tapline_fuzz::{Stream, Stretch, reforge};

/// The first byte says what the others are.
const AS_THEY_ARE: u8 = 0;

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        None => {}
        Some((&AS_THEY_ARE, bytes)) => {
            let _ = is_sound(bytes);
            read_record(bytes);
        }
        // The fuzzer has run out of bytes where this is an error.
        Some((_, rest)) => drop(change(&mut Unstructured::new(rest))),
    }
});

/// Makes a frame and changes it.
fn change(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let changes = Vec::<(u16, u8)>::arbitrary(input)?;
    let mut run = Stream::at(u64::from(u16::arbitrary(input)?) + 1);
    let stretch = Stretch::arbitrary(input)?;
    let Some((frame, _)) = run.frame(&stretch) else {
        return Ok(());
    };
    let original = frame.bytes();
    assert!(is_sound(original));
    let mut bytes = original.to_vec();
    for (at, flip) in changes {
        let at = at as usize % bytes.len();
        bytes[at] ^= flip;
    }
    assert_eq!(is_sound(&bytes), bytes == original, "a change was not noticed");

    let mut hashes = Vec::new();
    let Ok(frame) = FrameView::parse(&bytes) else {
        return Ok(());
    };
    frame.hash_records(&mut BatchHasher::default(), &mut hashes);
    let is_in_order = frame.check_offsets().is_ok();
    reforge(&mut bytes, &hashes);
    assert_eq!(is_sound(&bytes), is_in_order);
    Ok(())
}

/// Whether `bytes` are a frame that passes all checks. Reads all that can be read of it.
fn is_sound(bytes: &[u8]) -> bool {
    let parsed = FrameView::parse(bytes);
    let owned = Frame::parse(Bytes::copy_from_slice(bytes));
    assert_eq!(parsed.err(), owned.as_ref().err().copied());
    let (Ok(frame), Ok(owned)) = (parsed, owned) else {
        return false;
    };
    assert_eq!(owned.len_bytes(), bytes.len());
    assert_eq!(owned.view().root(), frame.root());
    assert_eq!(frame.last_seq() - frame.first_seq() + 1, frame.count() as u64);
    let names: usize = frame.names().map(|name| 2 + name.len()).sum();
    assert!(names <= bytes.len());
    let _ = frame.previous_root();

    let mut hashes = Vec::new();
    frame.hash_records(&mut BatchHasher::default(), &mut hashes);
    assert_eq!(hashes.len(), frame.count());
    let mut hashes_fit = true;
    for (index, hash) in hashes.iter().enumerate() {
        let record = frame.record(index);
        let expected = record.map_or(Hash::from_bytes([0; 32]), |record| {
            read(&record);
            Hash::of(record.bytes())
        });
        assert_eq!(*hash, expected);
        hashes_fit &= frame.entry_hash(index) == expected;
    }
    let in_order = frame.check_offsets().is_ok();
    let sound = in_order && hashes_fit && frame.compute_root() == frame.root();
    let mut seen = 0;
    let in_one_pass = frame.is_sound(&mut BatchHasher::default(), &mut hashes, |index, record| {
        assert_eq!(index, seen);
        seen += 1;
        read(record);
    });
    assert_eq!(in_one_pass, sound);
    assert!(seen == frame.count() || !in_order);
    sound
}

fn read_record(bytes: &[u8]) {
    if let Ok(record) = RecordView::parse(bytes) {
        read(&record);
    }
}

/// Reads all of a record. Its parts have to add up to its lines.
fn read(record: &RecordView<'_>) {
    let keys: usize = record.keys().map(|(_, key)| 4 + key.len()).sum();
    let headers = record.headers();
    let ids = [headers.correlation_id, headers.causation_id, record.identity()];
    let ids = ids.iter().flatten().count() * 16;
    let content = LINE_BYTES + record.payload().len() + keys + ids;
    assert_eq!(content.next_multiple_of(LINE_BYTES), record.bytes().len());
    let _ = (record.seq(), record.ts_init(), record.ts_publish());
    let _ = (record.topic_id(), record.type_id());
}
