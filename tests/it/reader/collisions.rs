//! Keys with one hash are told apart.

use tapline::internals::format::{
    FrameBuilder, FrameLimits, LINE_BYTES, Line, RecordHeader, RecordStamp, key_hash,
};
use tapline::read::{EventStoreReader, Verifier};
use tapline::{IndexKind, RunStatus, UnixNanos};
use zerocopy::{FromZeros, IntoBytes};

use crate::support::Place;

const CLIENT: IndexKind = IndexKind::CLIENT_ORDER_ID;
const LIMITS: FrameLimits = FrameLimits { entries_max: 1_000, bytes_max: 256 << 10 };

/// Two keys of 16 bytes with one hash, different for each `n`. XXH3 of such a key is a function of
/// `16 + swap(low) + high + fold(low * high)`. The halves are those of the key, each combined with
/// a constant. So `(0, n)` and `(swap(n), 0)` have the same hash.
fn colliding(n: u64) -> [Vec<u8>; 2] {
    let seed = u64::from(CLIENT.as_u16());
    let low = (0x1f67_b3b7_a4a4_4072_u64 ^ 0x78e5_c0cc_4ee6_79cb).wrapping_add(seed);
    let high = (0x2172_ffcc_7dd0_5a82_u64 ^ 0x8e24_43f7_7446_08b8).wrapping_sub(seed);
    let key = |a: u64, b: u64| [(a ^ low).to_le_bytes(), (b ^ high).to_le_bytes()].concat();
    let keys = [key(0, n), key(n.swap_bytes(), 0)];
    assert_eq!(key_hash(CLIENT, &keys[0]), key_hash(CLIENT, &keys[1]));
    assert_ne!(keys[0], keys[1]);
    keys
}

/// A record without payload, with these keys. Keys need not be text.
fn record(keys: &[&[u8]]) -> Vec<Line> {
    let mut section = Vec::new();
    for key in keys {
        section.extend(CLIENT.as_u16().to_le_bytes());
        section.extend(u16::try_from(key.len()).unwrap().to_le_bytes());
        section.extend(*key);
    }
    let mut lines = vec![Line::ZERO; 1 + section.len().div_ceil(LINE_BYTES)];
    let mut header = RecordHeader::new_zeroed();
    header.keys_len.set(u32::try_from(section.len()).unwrap());
    header.key_count.set(u16::try_from(keys.len()).unwrap());
    header.lines.set(u32::try_from(lines.len()).unwrap());
    let bytes = lines.as_mut_bytes();
    bytes[..LINE_BYTES].copy_from_slice(header.as_bytes());
    bytes[LINE_BYTES..][..section.len()].copy_from_slice(&section);
    lines
}

/// Either key may be mentioned first: in one entry, in one frame, or in several.
#[test]
fn keys_with_equal_hashes_are_told_apart() {
    let [a, b] = colliding(1);
    let [c, d] = colliding(0x0123_4567_89ab_cdef);
    let never = colliding(77);
    let frames: [&[&[&[u8]]]; 5] = [
        &[&[], &[&b"plain"[..]]],
        &[&[&a], &[&a, &c]],
        &[&[&a], &[&a, &b], &[&b]],
        &[&[&d], &[&c], &[&never[0]]],
        &[&[&a], &[&b, &c, &d]],
    ];
    let expected: [(&[u8], Option<u64>); 7] = [
        (b"plain", Some(2)),
        (&a, Some(3)),
        (&c, Some(4)),
        (&b, Some(6)),
        (&d, Some(8)),
        (&never[0], Some(10)),
        (&never[1], None),
    ];
    for place in Place::all() {
        let mut store = place.open(1);
        let mut builder = FrameBuilder::new(LIMITS, 1, 0);
        let name = builder.push_name("name");
        let stamp = RecordStamp { ts_publish: UnixNanos::new(1), topic_id: name, type_id: name };
        let mut root = store.tail().unwrap().root;
        for frame in frames {
            for keys in frame {
                builder.push(&record(keys), &[], &stamp);
            }
            let sealed = builder.seal(&root);
            store.append(&[sealed]).unwrap();
            root = sealed.root();
            builder.reset();
        }
        let reader = EventStoreReader::new(store.reader().unwrap());
        for sealed in [false, true] {
            if sealed {
                store.seal(RunStatus::Ended, Some(stamp.ts_publish)).unwrap();
            }
            for (key, seq) in &expected {
                assert_eq!(reader.lookup(CLIENT, key).unwrap(), *seq, "{key:x?}, sealed: {sealed}");
            }
            let walked = reader.keys(CLIENT).map(Result::unwrap);
            let walked: Vec<_> = walked.map(|mention| (mention.key, Some(mention.seq))).collect();
            assert_eq!(
                walked,
                expected[..6].iter().map(|(k, s)| (k.to_vec(), *s)).collect::<Vec<_>>()
            );
            assert_eq!(Verifier::new(store.reader().unwrap()).run(|_| {}).findings, []);
        }
    }
}
