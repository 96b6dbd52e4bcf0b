//! Properties of the format: everything recorded reads back, and no bytes make a reader panic.

use proptest::collection::vec;
use proptest::prelude::*;
use tapline::internals::format::{
    BatchHasher, FrameView, RecordView, decode_anchor, decode_manifest, encode_anchor,
    encode_manifest,
};
use tapline::{ContentHash, Hash, Headers, IndexKind, SnapshotAnchor};
use uuid::Uuid;

use crate::support::frames::TS_PUBLISH;
use crate::support::raw::{RawFrame, rows_of_frame};
use crate::support::{FrameMaker, Message, manifest};

/// Messages with few names and keys, so that both repeat. Their sizes are around the ends of lines.
fn message() -> impl Strategy<Value = Message> {
    let name = "[a-e]{1,2}|\\PC{1,20}|[a-z]{200}";
    let payload = prop_oneof![
        8 => vec(any::<u8>(), 0..300),
        1 => (0_usize..20).prop_map(|lines| vec![0xff; lines * 64]),
        1 => vec(any::<u8>(), 2_000..5_000),
    ];
    let key = ((1_u16..20).prop_map(IndexKind::from_u16), "[a-c]{0,3}|\\PC{0,50}");
    let id = || proptest::option::of(any::<u128>().prop_map(Uuid::from_u128));
    let ts_init = prop_oneof![1 => Just(0), 9 => any::<u64>()];
    (name, name, ts_init, payload, vec(key, 0..5), (id(), id(), id())).prop_map(
        |(
            topic,
            payload_type,
            ts_init,
            payload,
            keys,
            (correlation_id, causation_id, identity),
        )| {
            let headers = Headers { correlation_id, causation_id };
            Message { topic, payload_type, ts_init, payload, headers, keys, identity }
        },
    )
}

fn batch() -> impl Strategy<Value = Vec<Message>> {
    vec(message(), 1..20)
}

/// The messages as a frame stores them: one without a domain time gets its `ts_publish`.
fn as_stored(batch: &[Message]) -> Vec<Message> {
    let time = |message: &Message| if message.ts_init == 0 { TS_PUBLISH } else { message.ts_init };
    batch.iter().map(|message| Message { ts_init: time(message), ..message.clone() }).collect()
}

/// The messages of a frame as read back, given the names of the run so far.
fn read(frame: &FrameView<'_>, names: &mut Vec<String>) -> Vec<Message> {
    names.extend(frame.names().map(str::to_owned));
    let message = |record: RecordView<'_>| Message {
        topic: names[record.topic_id() as usize].clone(),
        payload_type: names[record.type_id() as usize].clone(),
        ts_init: record.ts_init().as_u64(),
        payload: record.payload().to_vec(),
        headers: record.headers(),
        keys: record
            .keys()
            .map(|(kind, key)| (kind, String::from_utf8(key.to_vec()).unwrap()))
            .collect(),
        identity: record.identity(),
    };
    (0..frame.count()).map(|index| message(frame.record(index).unwrap())).collect()
}

/// True if any check of a frame notices the change.
fn is_noticed(bytes: &[u8]) -> bool {
    let Ok(frame) = FrameView::parse(bytes) else {
        return true;
    };
    let mut hashes = Vec::new();
    frame.hash_records(&mut BatchHasher::default(), &mut hashes);
    let stored = (0..frame.count()).map(|index| frame.entry_hash(index));
    let noticed = frame.check_offsets().is_err()
        || frame.compute_root() != frame.root()
        || !stored.eq(hashes);
    // The check in one pass must give the same result.
    let sound = frame.is_sound(&mut BatchHasher::default(), &mut Vec::new(), |_, _| {});
    assert_eq!(sound, !noticed);
    noticed
}

/// Reads everything that can be read from some bytes. Must not panic.
fn read_all(bytes: &[u8]) {
    if let Ok(record) = RecordView::parse(bytes) {
        let _ = (record.payload(), record.keys().count(), record.headers(), record.identity());
    }
    let Ok(frame) = FrameView::parse(bytes) else {
        return;
    };
    let mut hashes = Vec::new();
    frame.hash_records(&mut BatchHasher::default(), &mut hashes);
    let _ = (frame.check_offsets(), frame.compute_root(), frame.names().count());
    frame.is_sound(&mut BatchHasher::default(), &mut hashes, |_, _| {});
    for index in 0..frame.count() {
        let _ = frame.entry_hash(index);
        if let Ok(record) = frame.record(index) {
            let _ = (record.payload(), record.keys().count(), record.headers(), record.identity());
        }
    }
}

/// Bytes that begin like a frame, so that later checks are reached too.
fn almost_a_frame() -> impl Strategy<Value = Vec<u8>> {
    let small = || 0_u32..8;
    (any::<u64>(), small(), small(), small(), small(), vec(0_u8..70, 32..1_500)).prop_map(
        |(first_seq, count, records_lines, names_count, names_bytes, rest)| {
            let mut bytes = b"TLF1\x01\0\0\0".to_vec();
            bytes.extend(first_seq.to_le_bytes());
            for field in [count, records_lines, names_count, names_bytes] {
                bytes.extend(field.to_le_bytes());
            }
            bytes.extend(rest);
            // Of the right length, if there are enough bytes.
            let len = 64 + records_lines as usize * 64 + count as usize * 36 + names_bytes as usize;
            bytes.resize(len + 32, 0);
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_recorded_reads_back(batches in vec(batch(), 1..4)) {
        let mut maker = FrameMaker::new();
        let (mut names, mut seq, mut root) = (Vec::new(), 1, Hash::from_bytes([0; 32]));
        for batch in &batches {
            let sealed = maker.frame(batch);
            let frame = FrameView::parse(sealed.bytes()).unwrap();
            prop_assert!(!is_noticed(sealed.bytes()));
            prop_assert_eq!(frame.previous_root(), root);
            prop_assert_eq!(frame.first_seq(), seq);
            prop_assert_eq!(frame.count(), batch.len());
            let batch = &as_stored(batch);
            prop_assert_eq!(&read(&frame, &mut names), batch);
            for index in 0..frame.count() {
                let record = frame.record(index).unwrap();
                prop_assert_eq!(record.seq(), seq + index as u64);
                prop_assert_eq!(record.ts_publish().as_u64(), TS_PUBLISH);
                let stock: [u8; 32] = blake3::hash(record.bytes()).into();
                prop_assert_eq!(frame.entry_hash(index), Hash::from_bytes(stock));
            }
            prop_assert_eq!(sealed.names_end() as usize, names.len());
            let newest = batch.iter().map(|message| message.ts_init).max();
            prop_assert_eq!(Some(sealed.ts_init_max().as_u64()), newest);
            let mentions = (seq..).zip(batch).flat_map(|(seq, message)| {
                message.keys.iter().map(move |(kind, key)| (seq, kind.as_u16(), key.as_bytes()))
            });
            let rows: Vec<_> = sealed.key_rows().iter().map(|row| (row.hash(), row.seq())).collect();
            let expected: Vec<_> =
                rows_of_frame(mentions).into_iter().map(|row| (row.hash, row.seq)).collect();
            prop_assert_eq!(rows, expected);
            (seq, root) = (sealed.last_seq() + 1, sealed.root());
        }
    }

    /// A reader written from the documentation agrees with the library, byte for byte.
    #[test]
    fn a_second_reader_agrees(batches in vec(batch(), 1..4)) {
        let mut maker = FrameMaker::new();
        for batch in &batches {
            let sealed = maker.frame(batch);
            let raw = RawFrame::decode(sealed.bytes());
            prop_assert_eq!(Hash::from_bytes(raw.root), sealed.root());
            prop_assert_eq!(raw.root, raw.computed_root());
            let mut reforged = raw.clone();
            reforged.reforge();
            prop_assert_eq!(&reforged, &raw);
            prop_assert_eq!(raw.encode(), sealed.bytes());
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed(batch in batch(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = FrameMaker::new().frame(&batch).bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(is_noticed(&bytes), "bit {bit} of byte {at}");
        read_all(&bytes);
    }

    #[test]
    fn every_cut_and_every_addition_is_noticed(
        batch in batch(),
        at in any::<prop::sample::Index>(),
        more in vec(any::<u8>(), 1..100),
    ) {
        let bytes = FrameMaker::new().frame(&batch).bytes().to_vec();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert!(FrameView::parse(cut).is_err());
        read_all(cut);
        prop_assert!(FrameView::parse(&[bytes, more].concat()).is_err());
    }

    #[test]
    fn a_cut_record_is_an_error(message in message(), at in any::<prop::sample::Index>()) {
        let mut maker = FrameMaker::new();
        let frame = maker.frame(&[message]);
        let record = frame.view().record(0).unwrap().bytes();
        prop_assert!(RecordView::parse(&record[..at.index(record.len())]).is_err());
    }

    #[test]
    fn any_manifest_and_anchor_round_trips(
        texts in vec("\\PC{0,40}", 4),
        seed in any::<Option<u64>>(),
        number in any::<u64>(),
    ) {
        let mut given = manifest(1);
        given.binary_hash = texts[0].clone();
        given.feature_flags = texts.clone();
        given.crate_versions = [(texts[1].clone(), texts[2].clone())].into();
        given.registered_components.actors = [(texts[3].clone(), texts[0].clone())].into();
        given.seed = seed;
        given.high_watermark = number;
        given.frames_root = seed.map(|seed| Hash::of(&seed.to_le_bytes()));
        let encoded = encode_manifest(&given);
        prop_assert_eq!(decode_manifest(&encoded).unwrap(), given);

        let anchor = SnapshotAnchor {
            high_watermark: number,
            blob_ref: texts[0].clone(),
            content_hash: ContentHash::of(texts[1].as_bytes()),
        };
        prop_assert_eq!(decode_anchor(&encode_anchor(&anchor)).unwrap(), anchor);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
        let _ = (decode_manifest(&bytes), decode_anchor(&bytes));
    }

    #[test]
    fn malformed_frames_make_no_reader_panic(bytes in almost_a_frame()) {
        read_all(&bytes);
        // A record of small numbers, because small numbers are often lengths.
        read_all(&bytes[64..]);
    }

    #[test]
    fn no_text_makes_the_manifest_s_reader_panic(
        text in "[\\[\\]{}\":,0-9a-z_ -]{0,200}",
        at in any::<prop::sample::Index>(),
    ) {
        let _ = (decode_manifest(text.as_bytes()), decode_anchor(text.as_bytes()));
        let mut edited = encode_manifest(&manifest(1));
        let at = at.index(edited.len());
        edited.splice(at..=at, text.bytes());
        let _ = decode_manifest(&edited);
    }
}

/// Tries every flip in one frame.
#[test]
fn every_flipped_bit_of_a_small_frame_is_noticed() {
    let batch = [
        Message::nth(1).order("O-1").ids(1, 2),
        Message::new("a", "b", 0, b""),
        Message::new("a", "c", u64::MAX, &[0; 100]),
    ];
    let bytes = FrameMaker::new().frame(&batch).bytes().to_vec();
    assert!(!is_noticed(&bytes));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(is_noticed(&flipped), "bit {bit} of byte {at}");
            read_all(&flipped);
        }
    }
    for len in 0..bytes.len() {
        assert!(FrameView::parse(&bytes[..len]).is_err(), "cut to {len} bytes");
    }
}
