//! Whether the index says of every key the first entry that mentions it. Shown without a second
//! index in memory: every mention finds the key in the index, at its own `seq` or an earlier one;
//! and every key in the index points to an entry that mentions it.

use super::Finding;
use super::frame_cursor::FrameCursor;
use super::verifier::Findings;
use crate::format::FrameView;
use crate::model::{IndexKind, RunManifest};
use crate::store::{IndexRow, ReadFault, RunReader};

const ROWS_PER_PAGE: usize = 1024;

/// `has_keys` says whether any entry mentions a key: if not, the frames need not be read for it.
pub(super) fn check_index(
    source: &dyn RunReader,
    manifest: &RunManifest,
    has_keys: bool,
    findings: &mut Findings,
) {
    let mentions = if has_keys { check_mentions(source, manifest, findings) } else { Ok(()) };
    let checked = mentions.and_then(|()| check_targets(source, manifest, findings));
    if let Err(error) = checked {
        findings.unreadable("index", &error);
    }
}

/// Every mention of a key finds the key, at this entry or before.
fn check_mentions(
    source: &dyn RunReader,
    manifest: &RunManifest,
    findings: &mut Findings,
) -> Result<(), ReadFault> {
    let mut from = 0;
    while let Some((key, bytes)) = source.frame_at_or_after(from)? {
        // Damaged frames and records are reported by the walk over the entries.
        if let Ok(frame) = FrameView::parse(&bytes) {
            for record in (0..frame.count()).filter_map(|index| frame.record(index).ok()) {
                for (kind, index_key) in record.keys() {
                    let indexed = source.lookup(kind, index_key)?;
                    check_mention(manifest, kind, index_key, record.seq(), indexed, findings);
                }
            }
        }
        let Some(next) = key.checked_add(1) else {
            break;
        };
        from = next;
    }
    Ok(())
}

fn check_mention(
    manifest: &RunManifest,
    kind: IndexKind,
    key: &[u8],
    seq: u64,
    indexed: Option<u64>,
    findings: &mut Findings,
) {
    let (index_kind, key) = (kind_name(manifest, kind), key_text(key));
    match indexed {
        None => findings.push(Finding::IndexMissing { index_kind, key, seq }),
        Some(indexed) if indexed > seq => {
            findings.push(Finding::IndexWrongSeq { index_kind, key, indexed, seq });
        }
        Some(_) => {}
    }
}

/// Every key in the index points to an entry that mentions it.
fn check_targets(
    source: &dyn RunReader,
    manifest: &RunManifest,
    findings: &mut Findings,
) -> Result<(), ReadFault> {
    let mut cursor = FrameCursor::default();
    let (mut kind, mut after) = (IndexKind::from_u16(0), None);
    loop {
        let rows = source.index(kind, after.as_deref(), ROWS_PER_PAGE)?;
        for IndexRow { kind, key, seq } in &rows {
            if !mentions(source, &mut cursor, *kind, key, *seq)? {
                let (index_kind, key) = (kind_name(manifest, *kind), key_text(key));
                findings.push(Finding::IndexDangling { index_kind, key, seq: *seq });
            }
        }
        match rows.into_iter().last() {
            Some(last) => (kind, after) = (last.kind, Some(last.key)),
            None => return Ok(()),
        }
    }
}

fn mentions(
    source: &dyn RunReader,
    cursor: &mut FrameCursor,
    kind: IndexKind,
    key: &[u8],
    seq: u64,
) -> Result<bool, ReadFault> {
    let Some((first_seq, bytes)) = source.frame_at_or_before(seq)? else {
        return Ok(false);
    };
    if cursor.load_for_one(first_seq, bytes).is_err() {
        return Ok(false);
    }
    let record = cursor.record(seq);
    Ok(record.is_ok_and(|(record, _)| record.keys().any(|mentioned| mentioned == (kind, key))))
}

fn kind_name(manifest: &RunManifest, kind: IndexKind) -> String {
    manifest.index_kinds.name(kind).map_or_else(|| kind.to_string(), str::to_owned)
}

fn key_text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
