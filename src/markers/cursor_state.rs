use std::collections::HashMap;

use crate::model::{DataMarkerClass, StreamCursor, StreamDictEntry, UnixNanos};

/// How far all streams of a run have come, over all taps.
#[derive(Debug, Default)]
pub(super) struct CursorState {
    slots: HashMap<(DataMarkerClass, String), u32>,
    /// By slot.
    cursors: Vec<StreamCursor>,
    /// Slots that have moved since the last snapshot.
    advanced: Vec<u32>,
    has_advanced: Vec<bool>,
    /// By lane, then by the tap's number for the stream.
    lanes: Vec<Vec<LaneStream>>,
    ts_init_max: UnixNanos,
}

/// A stream, as one tap sees it.
#[derive(Debug, Clone, Copy)]
struct LaneStream {
    slot: u32,
    /// The tap's own count when it was last seen here.
    count: u64,
}

impl CursorState {
    /// A tap has announced a stream. Returns the stream if it is new to the run.
    pub(super) fn announce(
        &mut self,
        lane: u32,
        stream: u32,
        data_cls: DataMarkerClass,
        identifier: &str,
    ) -> Option<StreamDictEntry> {
        let lane = lane as usize;
        if self.lanes.len() <= lane {
            self.lanes.resize_with(lane + 1, Vec::new);
        }
        if stream == 0 {
            // Another tap has taken over the lane.
            self.lanes[lane].clear();
        }
        let next = self.cursors.len() as u32;
        let slot = *self.slots.entry((data_cls, identifier.to_owned())).or_insert(next);
        // Streams are announced in the order of their numbers.
        debug_assert_eq!(self.lanes[lane].len(), stream as usize);
        self.lanes[lane].push(LaneStream { slot, count: 0 });
        if slot < next {
            return None;
        }
        self.cursors.push(StreamCursor { slot, ts_init_hi: UnixNanos::default(), count: 0 });
        self.has_advanced.push(false);
        Some(StreamDictEntry { slot, data_cls, identifier: identifier.to_owned() })
    }

    /// A tap has seen `count` data of a stream so far. Returns the stream's slot.
    pub(super) fn advance(
        &mut self,
        lane: u32,
        stream: u32,
        count: u64,
        ts_init_hi: UnixNanos,
    ) -> u32 {
        let known = &mut self.lanes[lane as usize][stream as usize];
        let slot = known.slot;
        let cursor = &mut self.cursors[slot as usize];
        // The difference includes data whose marks were shed since the tap's last mark.
        cursor.count += count - known.count;
        known.count = count;
        cursor.ts_init_hi = cursor.ts_init_hi.max(ts_init_hi);
        self.ts_init_max = self.ts_init_max.max(ts_init_hi);
        if !std::mem::replace(&mut self.has_advanced[slot as usize], true) {
            self.advanced.push(slot);
        }
        slot
    }

    pub(super) fn has_advanced(&self) -> bool {
        !self.advanced.is_empty()
    }

    /// The largest `ts_init` of all data so far.
    pub(super) fn ts_init_max(&self) -> UnixNanos {
        self.ts_init_max
    }

    /// The cursors that have moved since the last call, by slot.
    pub(super) fn take_advanced(&mut self) -> Vec<StreamCursor> {
        self.advanced.sort_unstable();
        let taken = self.advanced.drain(..).map(|slot| {
            self.has_advanced[slot as usize] = false;
            self.cursors[slot as usize]
        });
        taken.collect()
    }
}
