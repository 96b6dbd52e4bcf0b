//! Reads and writes records and frames straight from `docs/format.md`, without the library's
//! `format` module. A second opinion about the layout, and the tool to forge frames.

use std::collections::BTreeMap;

const LINE: usize = 64;
const HASH: usize = 32;

/// The parts of a frame. None has to be right.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RawFrame {
    pub(crate) magic: [u8; 4],
    pub(crate) version: u16,
    pub(crate) reserved: u16,
    pub(crate) first_seq: u64,
    pub(crate) previous_root: [u8; HASH],
    /// Whole records, padding included.
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) hashes: Vec<[u8; HASH]>,
    /// Where each record begins, in lines from the first record.
    pub(crate) offsets: Vec<u32>,
    pub(crate) names: Vec<String>,
    pub(crate) root: [u8; HASH],
}

/// Takes parts off the front of some bytes.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(len);
        self.0 = rest;
        front
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().expect("`take` gives as much as asked for")
    }

    /// A little-endian number of up to eight bytes.
    pub(crate) fn number(&mut self, len: usize) -> u64 {
        let mut number = [0; 8];
        number[..len].copy_from_slice(self.take(len));
        u64::from_le_bytes(number)
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }
}

/// The frames of a row, one behind the other. `None` if their lengths do not add up.
pub(crate) fn frames_of_row(row: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = row;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let mut header = Bytes(rest.get(16..LINE)?);
        let (count, records_lines) = (header.u32() as usize, header.u32() as usize);
        let names_bytes = (header.u32(), header.u32() as usize).1;
        let bytes = LINE + records_lines * LINE + count * (HASH + 4) + names_bytes + HASH;
        let (frame, behind) = rest.split_at_checked(bytes)?;
        frames.push(frame);
        rest = behind;
    }
    Some(frames)
}

impl RawFrame {
    /// Takes a frame apart.
    ///
    /// # Panics
    /// If the sections do not add up.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let mut bytes = Bytes(bytes);
        let (magic, version, reserved) = (bytes.array(), bytes.u16(), bytes.u16());
        let first_seq = bytes.u64();
        let (count, records_lines) = (bytes.u32() as usize, bytes.u32() as usize);
        let (names_count, names_bytes) = (bytes.u32(), bytes.u32() as usize);
        let previous_root = bytes.array();

        let records = bytes.take(records_lines * LINE);
        let hashes = (0..count).map(|_| bytes.array()).collect();
        let offsets: Vec<u32> = (0..count).map(|_| bytes.u32()).collect();
        let mut names = Bytes(bytes.take(names_bytes));
        let name = |_| {
            let len = names.u16() as usize;
            String::from_utf8(names.take(len).to_vec()).expect("names are UTF-8")
        };
        let names_read = (0..names_count).map(name).collect();
        assert!(names.0.is_empty(), "names fill their section");
        let root = bytes.array();
        assert!(bytes.0.is_empty(), "the root is the last part of a frame");

        let record = |offset: &u32| {
            let record = &records[*offset as usize * LINE..];
            let lines = u32::from_le_bytes(record[40..44].try_into().expect("four bytes"));
            record[..lines as usize * LINE].to_vec()
        };
        let records = offsets.iter().map(record).collect();
        let names = names_read;
        Self {
            magic,
            version,
            reserved,
            first_seq,
            previous_root,
            records,
            hashes,
            offsets,
            names,
            root,
        }
    }

    /// Puts the frame together from its parts, as they are.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let [header, records, sections] = self.parts();
        [header, records, sections, self.root.to_vec()].concat()
    }

    fn parts(&self) -> [Vec<u8>; 3] {
        let records = self.records.concat();
        let hashes = self.hashes.concat();
        let offsets: Vec<u8> =
            self.offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        let mut names = Vec::new();
        for name in &self.names {
            let len = u16::try_from(name.len()).expect("a short name");
            names.extend_from_slice(&len.to_le_bytes());
            names.extend_from_slice(name.as_bytes());
        }
        let size = |count: usize| u32::try_from(count).expect("a small frame").to_le_bytes();
        let mut header = Vec::new();
        header.extend_from_slice(&self.magic);
        header.extend_from_slice(&self.version.to_le_bytes());
        header.extend_from_slice(&self.reserved.to_le_bytes());
        header.extend_from_slice(&self.first_seq.to_le_bytes());
        header.extend_from_slice(&size(self.hashes.len()));
        header.extend_from_slice(&size(records.len() / LINE));
        header.extend_from_slice(&size(self.names.len()));
        header.extend_from_slice(&size(names.len()));
        header.extend_from_slice(&self.previous_root);
        [header, records, [hashes, offsets, names].concat()]
    }

    /// The root of the other parts.
    pub(crate) fn computed_root(&self) -> [u8; HASH] {
        let [header, _, sections] = self.parts();
        *blake3::hash(&[header, sections].concat()).as_bytes()
    }

    /// Makes hashes, offsets and root match the records and names, as a forger would.
    pub(crate) fn reforge(&mut self) {
        let mut offset = 0;
        self.hashes.clear();
        self.offsets.clear();
        for record in &self.records {
            self.hashes.push(*blake3::hash(record).as_bytes());
            self.offsets.push(offset);
            offset += u32::try_from(record.len() / LINE).expect("a small frame");
        }
        self.root = self.computed_root();
    }
}

/// A record in its parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RawRecord {
    pub(crate) seq: u64,
    pub(crate) ts_init: u64,
    pub(crate) ts_publish: u64,
    pub(crate) topic_id: u32,
    pub(crate) type_id: u32,
    pub(crate) lines: u32,
    pub(crate) flags: u16,
    pub(crate) payload: Vec<u8>,
    /// Kind and key.
    pub(crate) keys: Vec<(u16, Vec<u8>)>,
    /// The ids whose flags are set, lowest bit first.
    pub(crate) ids: Vec<[u8; 16]>,
    pub(crate) padding: Vec<u8>,
}

impl RawRecord {
    /// Takes a record apart.
    ///
    /// # Panics
    /// If the sections do not add up.
    pub(crate) fn decode(record: &[u8]) -> Self {
        let mut bytes = Bytes(record);
        let (seq, ts_init, ts_publish) = (bytes.u64(), bytes.u64(), bytes.u64());
        let payload_len = bytes.u32() as usize;
        let (topic_id, type_id) = (bytes.u32(), bytes.u32());
        let keys_len = bytes.u32() as usize;
        let lines = bytes.u32();
        let (flags, key_count) = (bytes.u16(), bytes.u16());
        assert_eq!(bytes.take(16), [0; 16], "reserved bytes are zero");

        let payload = bytes.take(payload_len).to_vec();
        let mut section = Bytes(bytes.take(keys_len));
        let key = |_| {
            let (kind, len) = (section.u16(), section.u16() as usize);
            (kind, section.take(len).to_vec())
        };
        let keys = (0..key_count).map(key).collect();
        assert!(section.0.is_empty(), "keys fill their section");
        let ids = (0..flags.count_ones()).map(|_| bytes.array()).collect();
        let padding = bytes.0.to_vec();
        Self {
            seq,
            ts_init,
            ts_publish,
            topic_id,
            type_id,
            lines,
            flags,
            payload,
            keys,
            ids,
            padding,
        }
    }
}

/// A row of the index. The order of rows is that of hash, then `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RawKeyRow {
    pub(crate) hash: u64,
    pub(crate) seq: u64,
}

impl RawKeyRow {
    /// The row as one number, as it stands in the key of a block.
    pub(crate) fn number(self) -> u128 {
        u128::from(self.hash) << 64 | u128::from(self.seq)
    }
}

/// Takes a key block apart.
///
/// # Panics
/// If it does not consist of whole rows.
pub(crate) fn key_rows(block: &[u8]) -> Vec<RawKeyRow> {
    let (rows, []) = block.as_chunks::<16>() else {
        panic!("{} bytes are no key block", block.len());
    };
    let row = |row: &[u8; 16]| {
        let mut bytes = Bytes(row);
        let (seq, hash) = (bytes.u64(), bytes.u64());
        RawKeyRow { hash, seq }
    };
    rows.iter().map(row).collect()
}

/// Puts a key block together.
pub(crate) fn key_block(rows: &[RawKeyRow]) -> Vec<u8> {
    rows.iter().flat_map(|row| row.number().to_le_bytes()).collect()
}

/// The hash of a key in the index.
pub(crate) fn key_hash(kind: u16, key: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot_with_seed(kind.into(), key)
}

/// The index rows of a frame, in order. `mentions` are its mentions by `seq`: `seq`, kind and key.
pub(crate) fn rows_of_frame<'a>(
    mentions: impl Iterator<Item = (u64, u16, &'a [u8])>,
) -> Vec<RawKeyRow> {
    let mut first = BTreeMap::new();
    for (seq, kind, key) in mentions {
        first.entry(key_hash(kind, key)).or_insert(seq);
    }
    first.into_iter().map(|(hash, seq)| RawKeyRow { hash, seq }).collect()
}
