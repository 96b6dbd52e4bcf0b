//! A record outside any ring: the last one of a run, and the first one on trial.

use super::{SubmitError, WriterConfig};
use crate::format::{Line, RecordBuilder, RecordTag};
use crate::model::{EntryDraft, UnixNanos};

/// Builds the record of `draft`, which may have any size that a run file can hold. The writer gives
/// its names their numbers.
pub(crate) fn lone_record(
    draft: &EntryDraft<'_>,
    config: &WriterConfig,
    ts_publish: UnixNanos,
) -> Result<Vec<Line>, SubmitError> {
    for name in [draft.topic, draft.payload_type] {
        check_name(name, config.name_bytes_max)?;
    }
    let mut record = RecordBuilder::new(WriterConfig::limits_of_any_size());
    record.fill(draft);
    let tag = RecordTag { stamp: 0, ts_publish, topic_id: 0, type_id: 0 };
    Ok(record.finish(tag)?.to_vec())
}

/// Checks the length of a topic or payload type. `max` is the setting `name_bytes_max`.
pub(super) fn check_name(name: &str, max: usize) -> Result<(), SubmitError> {
    let bytes = name.len();
    if bytes == 0 || bytes > max { Err(SubmitError::NameLength { bytes, max }) } else { Ok(()) }
}
