use super::ReadError;
use super::point_read::PointRead;
use crate::format::key_hash;
use crate::model::IndexKind;
use crate::store::{BackendFault, RunReader};

/// The first entry that mentions a key. The index only says where to look; the entry has the word, so
/// keys with one hash do not mix. Nearly always it is the first entry that is looked at.
///
/// Whatever the index answers, this goes on to later frames only, so that it ends.
pub(super) fn first_mention(
    source: &dyn RunReader,
    frames: &PointRead,
    kind: IndexKind,
    key: &[u8],
) -> Result<Option<u64>, ReadError> {
    let hash = key_hash(kind, key);
    let mut from = 0;
    while let Some(seq) = source.indexed(hash, from)? {
        if seq < from {
            let error = format!("from entry {from} on, the index leads back to entry {seq}");
            return Err(ReadError::Store(BackendFault::corrupted(error).into()));
        }
        let missing = || ReadError::Gap { from: seq, to: seq };
        let frame = frames.frame(source, seq)?.ok_or_else(missing)?;
        let (_, last) = frame.range();
        // The frame's other keys with this hash have no row of their own.
        for seq in seq..=last {
            let (record, _) = frame.record(seq, &[])?;
            if record.keys().any(|mentioned| mentioned == (kind, key)) {
                return Ok(Some(seq));
            }
        }
        from = last + 1;
    }
    Ok(None)
}
