//! What exactly is wrong with an index that does not have the rows it should: named row by row. This is
//! done for one slice of the log after the other, each where something is wrong, so that memory is bounded;
//! for each the whole index is walked.

use super::frame_cursor::FrameCursor;
use super::index_check::{for_each_block, hash_text, rows_of};
use super::lookup::first_mention;
use super::point_read::PointRead;
use super::verifier::Findings;
use super::{Finding, ReadError};
use crate::format::{FrameKeys, KeyRow, key_hash};
use crate::model::{IndexKind, RunManifest};
use crate::store::{ReadFault, RunReader};

/// The rows the index should have for a range of the log.
pub(super) struct Slice {
    first: u64,
    last: u64,
    /// In order.
    expected: Vec<KeyRow>,
}

impl Slice {
    /// Reads the frames that begin in a range of the log. The last range is open: of a run that grows it
    /// takes in what is new, for the index has that too.
    pub(super) fn gather(source: &dyn RunReader, first: u64, last: u64) -> Result<Self, ReadFault> {
        let mut expected = Vec::new();
        let (mut cursor, mut keys) = (FrameCursor::default(), FrameKeys::default());
        let mut from = Some(first);
        while let Some(at) = from
            && let Some((first_seq, bytes)) = source.frame_at_or_after(at)?
            && first_seq <= last
        {
            // What is damaged bears out no row, and is reported by the walk over the entries.
            if cursor.load(first_seq, bytes).is_ok()
                && let Some((_, last_seq)) = cursor.range()
            {
                for (record, _) in (first_seq..=last_seq).filter_map(|seq| cursor.record(seq).ok())
                {
                    keys.add(&record);
                }
                expected.extend_from_slice(keys.finish());
                keys.clear();
            }
            from = first_seq.checked_add(1);
        }
        expected.sort();
        Ok(Self { first, last, expected })
    }

    pub(super) fn compare(
        &self,
        source: &dyn RunReader,
        frames: &PointRead,
        manifest: &RunManifest,
        findings: &mut Findings,
    ) -> Result<(), ReadFault> {
        let mut found = vec![false; self.expected.len()];
        for_each_block(source, |_, bytes| {
            let slice = rows_of(bytes).iter().filter(|row| self.covers(**row));
            for row in slice {
                match self.expected.binary_search(row) {
                    Ok(at) if !std::mem::replace(&mut found[at], true) => {}
                    _ => findings.push(dangling_row(*row)),
                }
            }
        })?;
        for (row, _) in self.expected.iter().zip(found).filter(|(_, found)| !found) {
            findings.push_with(|| missing_row(source, frames, manifest, *row))?;
        }
        Ok(())
    }

    fn covers(&self, row: KeyRow) -> bool {
        (self.first..=self.last).contains(&row.seq())
    }
}

fn dangling_row(row: KeyRow) -> Finding {
    Finding::IndexDangling { hash: hash_text(row.hash()), seq: row.seq() }
}

/// What is wrong where the index does not have a row: for whoever looks the key up, it is not there, or
/// a later entry is taken for the first.
fn missing_row(
    source: &dyn RunReader,
    frames: &PointRead,
    manifest: &RunManifest,
    row: KeyRow,
) -> Result<Finding, ReadFault> {
    let seq = row.seq();
    let Some((kind, key)) = key_of(source, frames, row)? else {
        // It could be read a moment ago.
        return Ok(Finding::HashMismatch { seq });
    };
    let index_kind = kind_name(manifest, kind);
    let text = String::from_utf8_lossy(&key).into_owned();
    match first_mention(source, frames, kind, &key) {
        Ok(Some(indexed)) if indexed > seq => {
            Ok(Finding::IndexWrongSeq { index_kind, key: text, indexed, seq })
        }
        _ => Ok(Finding::IndexMissing { index_kind, key: text, seq }),
    }
}

/// The key that an entry is expected to be found by; `None` where the entry is damaged.
fn key_of(
    source: &dyn RunReader,
    frames: &PointRead,
    row: KeyRow,
) -> Result<Option<(IndexKind, Vec<u8>)>, ReadFault> {
    let frame = match frames.frame(source, row.seq()) {
        Ok(Some(frame)) => frame,
        Err(ReadError::Store(fault)) => return Err(fault),
        Ok(None) | Err(_) => return Ok(None),
    };
    let Ok((record, _)) = frame.record(row.seq(), &[]) else {
        return Ok(None);
    };
    let mut keys = record.keys().filter(|(kind, key)| key_hash(*kind, key) == row.hash());
    Ok(keys.next().map(|(kind, key)| (kind, key.to_vec())))
}

fn kind_name(manifest: &RunManifest, kind: IndexKind) -> String {
    manifest.index_kinds.name(kind).map_or_else(|| kind.to_string(), str::to_owned)
}
