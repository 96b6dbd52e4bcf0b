//! The on-disk format, byte for byte as `docs/format.md` describes it. All functions are pure: they
//! do no I/O, and no input makes them panic.

// Lengths in a file are 32 bits wide. Their sums have to fit into a `usize`.
const _: () = assert!(usize::BITS >= 64, "run files are read on 64-bit machines");

mod data_mark;
mod frame_builder;
#[cfg(test)]
mod frame_builder_tests;
mod frame_view;
#[cfg(test)]
mod frame_view_tests;
mod hash;
mod key_block;
mod key_merge;
mod line;
mod manifest;
mod marker_block;
mod record;
mod record_builder;
mod row;

pub use frame_builder::{FrameBuilder, FrameKeys, FrameLimits, RecordStamp, SealedFrame};
pub use frame_view::{Frame, FrameError, FrameView};
pub use hash::{BATCH_LINES_MAX, BatchHasher};
pub use key_block::{
    KEY_BLOCK_ROWS_MAX, KEY_ROW_BYTES, KEY_TIER_FACTOR, KeyBlock, KeyBlockError, KeyBlockId,
    KeyRow, KeyTier, key_hash,
};
pub use line::{LINE_BYTES, Line, lines_for};
pub use manifest::{
    FORMAT_VERSION, MARKER_FORMAT_VERSION, ManifestError, decode_anchor, decode_manifest,
    decode_marker_manifest, encode_anchor, encode_manifest, encode_marker_manifest, run_root,
};
pub use marker_block::{MarkerBlockError, MarkerCodec, StoredMarker, StoredStream};
pub use record::{
    KEY_HEADER_BYTES, KEYS_PER_RECORD_MAX, RecordError, RecordFlags, RecordHeader, RecordView,
};

pub use row::{RowFill, chained_frames, frames_of_row, row_bytes_max, row_pages_bytes};

pub use record_builder::{RecordBuilder, RecordLimitError, RecordLimits};

pub(crate) use data_mark::{
    DataMark, HiFiLine, MarkHeader, MarkedRecord, announced_stream, stream_mark, stream_mark_lines,
};
pub(crate) use key_merge::{KeyMerge, Wanted};
pub(crate) use record_builder::{RecordTag, name_record};
