//! The words that every other folder uses. Plain data: nothing here fails but parsing.

mod anchor;
mod clock;
mod component_map;
mod entry;
mod error_chain;
mod hash;
mod identity;
mod index;
mod manifest;
mod marker;
mod parse_error;
mod retention;
mod run;
pub(crate) mod settings;
mod thread_advice;
mod ticket;
mod time;
pub(crate) mod type_map;
mod unreadable_run;

pub use anchor::{ContentHash, SnapshotAnchor};
pub use clock::SimulatedClock;
pub use component_map::ComponentMap;
pub use entry::{Entry, EntryDraft, Headers};
pub(crate) use error_chain::error_chain;
pub use hash::{Fingerprint, Hash};
pub use identity::{RegisteredComponents, RunIdentity};
pub use index::{IndexKind, IndexKinds};
pub use manifest::RunManifest;
pub(crate) use manifest::{REPLAY_FLAG, RESTORES_FLAG};
pub use marker::DataMarkerClass;
pub use parse_error::ParseError;
pub use retention::RetentionMode;
pub use run::{InstanceId, RunId, RunStatus};
pub(crate) use thread_advice::THREAD_ADVICE;
pub use ticket::{Captured, NotCaptured, Ticket};
pub use time::UnixNanos;
pub(crate) use type_map::TypeMap;
pub use unreadable_run::OnUnreadableRun;

internal!(index::IndexKindError);
internal!(marker::{
    DataCursorSnapshot, HiFiMarker, Marker, MarkerCounts, MarkerGap, MarkerGapReason,
    MarkerManifest, StreamCursor, StreamDictEntry,
});
internal!(clock::Clock);
