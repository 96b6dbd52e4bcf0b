//! Writes frames, and collects their index rows.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use super::frame_view::{FrameHeader, MAGIC, OFFSET_BYTES, VERSION, root_of};
use super::hash::BatchHasher;
use super::{FrameView, KeyRow, LINE_BYTES, Line, RecordHeader, RecordView, key_hash};
use crate::model::{Hash, UnixNanos};

/// Bytes of header and root: what a frame has besides its records and names.
#[cfg(test)]
pub(super) const FRAME_OVERHEAD_BYTES: usize = LINE_BYTES + Hash::BYTES;
/// Bytes a record takes in a frame besides its own lines: hash and offset.
pub(super) const PER_RECORD_BYTES: usize = Hash::BYTES + OFFSET_BYTES;

/// How large a frame may grow.
#[derive(Debug, Clone, Copy)]
pub struct FrameLimits {
    /// The most entries in one frame.
    pub entries_max: usize,
    /// The most bytes in one frame. A record that is larger gets a frame of its own.
    pub bytes_max: usize,
}

/// Builds one frame after the other, in buffers that are allocated once.
#[derive(Debug)]
pub struct FrameBuilder {
    limits: FrameLimits,
    /// The limit that it was made with: so much memory it keeps.
    usual_bytes: usize,
    /// Header and records. [`seal`](Self::seal) appends the other sections.
    buffer: Vec<u8>,
    offsets: Vec<U32>,
    hashes: Vec<Hash>,
    names: Vec<u8>,
    names_count: u32,
    first_name_id: u32,
    hasher: BatchHasher,
    first_seq: u64,
    ts_init_max: UnixNanos,
    keys: FrameKeys,
    /// The root of this frame and of the one before it, once the frame is sealed.
    roots: Option<Roots>,
}

#[derive(Debug, Clone, Copy)]
struct Roots {
    own: Hash,
    previous: Hash,
}

impl FrameBuilder {
    /// A builder whose first frame begins with `first_seq`, in a run that has `names` names so far.
    pub fn new(limits: FrameLimits, first_seq: u64, names: u32) -> Self {
        let entries = limits.entries_max.min(limits.bytes_max / LINE_BYTES);
        let mut buffer = Vec::with_capacity(limits.bytes_max);
        buffer.resize(LINE_BYTES, 0);
        Self {
            limits,
            usual_bytes: limits.bytes_max,
            buffer,
            offsets: Vec::with_capacity(entries),
            hashes: Vec::with_capacity(entries),
            names: Vec::new(),
            names_count: 0,
            first_name_id: names,
            hasher: BatchHasher::default(),
            first_seq,
            ts_init_max: UnixNanos::default(),
            keys: FrameKeys::with_capacity(entries),
            roots: None,
        }
    }

    /// Sets how large the frame under construction may grow, while it has no entry.
    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        debug_assert!(self.is_empty(), "a frame grows within one limit");
        self.limits.bytes_max = bytes_max;
    }

    /// How long the frame is when it is sealed with one more record of `lines` lines.
    pub fn bytes_with(&self, lines: usize) -> usize {
        let entries = self.hashes.len() + 1;
        self.buffer.len()
            + self.names.len()
            + lines * LINE_BYTES
            + entries * PER_RECORD_BYTES
            + Hash::BYTES
    }

    /// True if there is no entry in the frame.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// How many entries are in the frame.
    pub fn count(&self) -> usize {
        self.hashes.len()
    }

    /// The `seq` that the next entry gets.
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.hashes.len() as u64
    }

    /// True if a record of `lines` lines, with `names_bytes` of new names, fits within the limits.
    /// An empty frame takes any record, a sealed one takes none.
    #[inline]
    pub fn fits(&self, lines: usize, names_bytes: usize) -> bool {
        let entries = self.hashes.len();
        let bytes = self.bytes_with(lines) + names_bytes;
        let within = entries < self.limits.entries_max && bytes <= self.limits.bytes_max;
        entries == 0 || (within && self.roots.is_none())
    }

    /// Adds a name and returns its number, which is the count of names that the run had before.
    ///
    /// # Panics
    /// If the name is longer than 65 535 bytes.
    pub fn push_name(&mut self, name: &str) -> u32 {
        debug_assert!(self.roots.is_none(), "a sealed frame takes nothing more");
        let len = u16::try_from(name.len()).expect("names are bounded by a setting below 64 KiB");
        self.names.extend_from_slice(&len.to_le_bytes());
        self.names.extend_from_slice(name.as_bytes());
        self.names_count += 1;
        self.first_name_id + self.names_count - 1
    }

    /// Adds a record and returns its `seq`. `head` and `tail` are the parts in which it lies in a
    /// ring; `tail` is empty unless the ring wraps there.
    ///
    /// Replaces `seq`, `ts_publish` and the name numbers in the header. A `ts_init` of 0 means that
    /// the encoder gave none. It becomes `ts_publish`: with 0, the message would come before all
    /// market data when they are joined.
    ///
    /// # Panics
    /// If the parts together are not as long as the header says, or `head` is empty; or if the
    /// record has keys and is malformed.
    #[inline]
    pub fn push(&mut self, head: &[Line], tail: &[Line], stamp: &RecordStamp) -> u64 {
        debug_assert!(self.roots.is_none(), "a sealed frame takes nothing more");
        let start = self.buffer.len();
        self.buffer.extend_from_slice(head.as_bytes());
        self.buffer.extend_from_slice(tail.as_bytes());

        let seq = self.next_seq();
        let (header, _) = RecordHeader::mut_from_prefix(&mut self.buffer[start..])
            .expect("a record has at least its header line");
        header.seq.set(seq);
        header.ts_publish.set(stamp.ts_publish.as_u64());
        if header.ts_init.get() == 0 {
            header.ts_init = header.ts_publish;
        }
        header.topic_id.set(stamp.topic_id);
        header.type_id.set(stamp.type_id);
        let lines = header.lines.get() as usize;
        self.ts_init_max = self.ts_init_max.max(header.ts_init.get().into());
        let keyed = header.key_count.get() != 0;
        assert_eq!(lines, head.len() + tail.len(), "a record is as long as its header says");

        let index = self.hashes.len();
        self.offsets.push(U32::new(((start - LINE_BYTES) / LINE_BYTES) as u32));
        self.hashes.push(Hash::ZERO);
        self.hasher.add(&self.buffer, start, lines, index, &mut self.hashes);
        if keyed {
            let record = RecordView::parse(&self.buffer[start..]).expect("a record is well-formed");
            self.keys.add(&record);
        }
        seq
    }

    /// Completes the frame with hashes, offsets, names and the root. The root covers all of them
    /// and `previous_root`.
    pub fn seal(&mut self, previous_root: &Hash) -> SealedFrame<'_> {
        debug_assert!(self.roots.is_none(), "sealed once");
        self.hasher.finish(&self.buffer, &mut self.hashes);
        let records_end = self.buffer.len();
        let header = FrameHeader {
            magic: MAGIC,
            version: U16::new(VERSION),
            reserved: U16::ZERO,
            first_seq: U64::new(self.first_seq),
            count: U32::new(self.hashes.len() as u32),
            records_lines: U32::new((records_end / LINE_BYTES - 1) as u32),
            names_count: U32::new(self.names_count),
            names_bytes: U32::new(self.names.len() as u32),
            previous_root: *previous_root.as_bytes(),
        };
        self.buffer[..LINE_BYTES].copy_from_slice(header.as_bytes());
        for hash in &self.hashes {
            self.buffer.extend_from_slice(hash.as_bytes());
        }
        self.buffer.extend_from_slice(self.offsets.as_bytes());
        self.buffer.extend_from_slice(&self.names);
        let root = root_of(&self.buffer[..LINE_BYTES], &self.buffer[records_end..]);
        self.buffer.extend_from_slice(root.as_bytes());
        self.keys.finish();
        let roots = Roots { own: root, previous: *previous_root };
        self.roots = Some(roots);
        self.sealed_with(roots)
    }

    /// The frame that [`seal`](Self::seal) completed; `None` before that.
    pub fn sealed(&self) -> Option<SealedFrame<'_>> {
        self.roots.map(|roots| self.sealed_with(roots))
    }

    fn sealed_with(&self, roots: Roots) -> SealedFrame<'_> {
        SealedFrame {
            bytes: &self.buffer,
            first_seq: self.first_seq,
            count: self.hashes.len() as u64,
            root: roots.own,
            previous_root: roots.previous,
            first_name_id: self.first_name_id,
            names_count: self.names_count,
            ts_init_max: self.ts_init_max,
            key_rows: self.keys.finished(),
        }
    }

    /// Makes room for the next frame, which begins where the sealed one ended.
    pub fn reset(&mut self) {
        self.begin(self.next_seq(), self.first_name_id + self.names_count);
    }

    /// Begins a new frame where `previous` ends. `previous` is another builder of the same run.
    pub fn follow(&mut self, previous: &Self) {
        self.begin(previous.next_seq(), previous.first_name_id + previous.names_count);
    }

    fn begin(&mut self, first_seq: u64, first_name_id: u32) {
        self.first_seq = first_seq;
        self.first_name_id = first_name_id;
        self.buffer.truncate(LINE_BYTES);
        if self.buffer.capacity() > 2 * self.usual_bytes {
            // A frame of large records is done.
            self.buffer.shrink_to(self.usual_bytes);
        }
        self.offsets.clear();
        self.hashes.clear();
        self.names.clear();
        self.names_count = 0;
        self.ts_init_max = UnixNanos::default();
        self.keys.clear();
        self.roots = None;
    }
}

/// What only the writer knows about a record. It overwrites the producer's placeholders.
#[derive(Debug, Clone, Copy)]
pub struct RecordStamp {
    /// Node clock at acceptance.
    pub ts_publish: UnixNanos,
    /// Number of the topic in the run's names table.
    pub topic_id: u32,
    /// Number of the payload type in the run's names table.
    pub type_id: u32,
}

/// A complete frame, ready to be committed.
#[derive(Debug, Clone, Copy)]
pub struct SealedFrame<'a> {
    bytes: &'a [u8],
    first_seq: u64,
    count: u64,
    root: Hash,
    previous_root: Hash,
    first_name_id: u32,
    names_count: u32,
    ts_init_max: UnixNanos,
    key_rows: &'a [KeyRow],
}

impl<'a> SealedFrame<'a> {
    /// The frame as it is stored.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The `seq` of the first entry.
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The `seq` of the last entry.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + self.count - 1
    }

    /// True if the frame has no entries. No store takes such a frame.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The frame's root.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The root of the frame this one continues from.
    pub fn previous_root(&self) -> Hash {
        self.previous_root
    }

    /// How many names the run has before this frame.
    pub fn names_before(&self) -> u32 {
        self.first_name_id
    }

    /// True if the frame brings new names.
    pub fn has_names(&self) -> bool {
        self.names_count > 0
    }

    /// How many names the run has with this frame.
    pub fn names_end(&self) -> u32 {
        self.first_name_id + self.names_count
    }

    /// The names first used in this frame, with their numbers.
    pub fn names(&self) -> impl Iterator<Item = (u32, &'a str)> + use<'a> {
        // Most frames bring no name. The view is made only for those that do.
        let view = self.has_names().then(|| self.view());
        (self.first_name_id..).zip(view.into_iter().flat_map(|view| view.names()))
    }

    /// The largest `ts_init` of the entries.
    pub fn ts_init_max(&self) -> UnixNanos {
        self.ts_init_max
    }

    /// The frame's rows for the index, in order: for each hash of a key, the first entry that has
    /// it.
    pub fn key_rows(&self) -> &'a [KeyRow] {
        self.key_rows
    }

    /// The frame, for reading.
    #[allow(clippy::missing_panics_doc, reason = "only a builder makes one, and it reads back")]
    pub fn view(&self) -> FrameView<'a> {
        FrameView::parse(self.bytes).expect("a frame reads back as it was built")
    }
}

/// Collects the index rows of one frame after the other. A row holds the hash of a key, and the
/// first entry of the frame that mentions a key with this hash.
#[derive(Debug, Clone, Default)]
pub struct FrameKeys {
    rows: Vec<KeyRow>,
}

impl FrameKeys {
    fn with_capacity(rows: usize) -> Self {
        Self { rows: Vec::with_capacity(rows) }
    }

    /// Adds the keys of an entry.
    pub fn add(&mut self, record: &RecordView<'_>) {
        let seq = record.seq();
        self.rows.extend(record.keys().map(|(kind, key)| KeyRow::new(key_hash(kind, key), seq)));
    }

    /// The frame's rows, in order. Call it once the frame has all its entries.
    pub fn finish(&mut self) -> &[KeyRow] {
        self.rows.sort_unstable();
        // Of the rows with one hash, the first stays. It has the smallest `seq`.
        self.rows.dedup_by_key(|row| row.hash());
        &self.rows
    }

    /// The rows after [`finish`](Self::finish).
    fn finished(&self) -> &[KeyRow] {
        &self.rows
    }

    /// Makes room for the next frame.
    pub fn clear(&mut self) {
        self.rows.clear();
    }
}
