use super::{KeyRow, RecordView, key_hash};

/// Collects the index rows of one frame after the other: of each hash, the first entry of the frame.
#[derive(Debug, Clone, Default)]
pub struct FrameKeys {
    rows: Vec<KeyRow>,
}

impl FrameKeys {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self { rows: Vec::with_capacity(rows) }
    }

    /// Takes up the keys of an entry.
    pub fn add(&mut self, record: &RecordView<'_>) {
        let seq = record.seq();
        self.rows.extend(record.keys().map(|(kind, key)| KeyRow::new(key_hash(kind, key), seq)));
    }

    /// The frame's rows, in order, now that it has no more entries.
    pub fn finish(&mut self) -> &[KeyRow] {
        self.rows.sort_unstable();
        // Of rows with one hash the first, with the smallest `seq`, stays.
        self.rows.dedup_by_key(|row| row.hash());
        &self.rows
    }

    /// The rows, which [`finish`](Self::finish) has put in order.
    pub(super) fn finished(&self) -> &[KeyRow] {
        &self.rows
    }

    /// Makes room for the next frame.
    pub fn clear(&mut self) {
        self.rows.clear();
    }
}
