use bytes::Bytes;

use super::index_check::{RowSum, RowSummer};
use crate::format::{FrameView, HashLanes};
use crate::model::{Hash, UnixNanos};

/// What a frame adds to its run: all that is left to know of one that is in order by itself. Made
/// from the frame alone, so by any thread.
#[derive(Debug)]
pub(super) struct FrameDigest {
    pub(super) count: u64,
    pub(super) previous_root: Hash,
    pub(super) root: Hash,
    pub(super) names: Vec<String>,
    /// The largest number of a name that an entry uses.
    pub(super) name_id_max: u32,
    pub(super) ts_init_max: UnixNanos,
    /// The index rows that follow from its entries.
    pub(super) keys: RowSum,
}

/// Makes digests, in buffers that are used again.
#[derive(Debug)]
pub(super) struct Digester {
    lanes: HashLanes,
    hashes: Vec<Hash>,
    summer: RowSummer,
}

impl Digester {
    /// One that sums up index rows by `summer`.
    pub(super) fn new(summer: RowSummer) -> Self {
        Self { lanes: HashLanes::default(), hashes: Vec::new(), summer }
    }

    /// The digest of the frame stored under `key`, with every hash in it checked; `None` if anything
    /// in it is wrong.
    pub(super) fn digest(&mut self, key: u64, bytes: &Bytes) -> Option<FrameDigest> {
        let frame = FrameView::parse(bytes).ok()?;
        if frame.first_seq() != key {
            return None;
        }
        let (mut name_id_max, mut ts_init_max) = (0, UnixNanos::default());
        let mut in_place = true;
        let Self { lanes, hashes, summer } = self;
        let is_sound = frame.is_sound(lanes, hashes, |index, record| {
            in_place &= record.seq() == key + index as u64;
            name_id_max = name_id_max.max(record.name_id_max());
            ts_init_max = ts_init_max.max(record.ts_init());
            summer.entry(record);
        });
        // Also of a frame that is not in order, for the next one to begin anew.
        let keys = summer.frame_ends();
        (is_sound && in_place).then(|| FrameDigest {
            count: frame.count() as u64,
            previous_root: frame.previous_root(),
            root: frame.root(),
            names: frame.names().map(str::to_owned).collect(),
            name_id_max,
            ts_init_max,
            keys,
        })
    }
}
