//! The words that every other folder uses. Plain data: nothing here fails but parsing.

mod anchor;
mod clock;
mod entry;
mod error_chain;
mod hash;
mod identity;
mod index;
mod manifest;
mod marker;
mod retention;
mod run;
mod ticket;
mod time;
pub(crate) mod type_map;

pub use anchor::{ContentHash, ContentHashError, SnapshotAnchor};
pub use clock::{Clock, SimulatedClock};
pub use entry::{Entry, EntryDraft, Headers};
pub(crate) use error_chain::error_chain;
pub use hash::{Fingerprint, Hash, HashError};
pub use identity::{RegisteredComponents, RunIdentity};
pub use index::{IndexKind, IndexKindError, IndexKinds};
pub(crate) use manifest::REPLAY_FLAG;
pub use manifest::RunManifest;
pub use marker::{
    DataCursorSnapshot, DataMarkerClass, HiFiMarker, Marker, MarkerCounts, MarkerGap,
    MarkerGapReason, MarkerManifest, StreamCursor, StreamDictEntry,
};
pub use retention::RetentionMode;
pub use run::{InstanceId, InstanceIdError, RunId, RunIdError, RunStatus};
pub use ticket::{Captured, NotCaptured, Ticket};
pub use time::UnixNanos;
pub(crate) use type_map::TypeMap;
