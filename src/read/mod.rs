//! Reads runs: entry by entry with every hash checked, key by key, and as a whole to verify.

mod digest;
mod entry;
mod error;
mod finding;
mod index_check;
mod lookup;
mod point_read;
mod reader;
mod scan;
mod verifier;
mod walk;

pub use entry::EntryRef;
pub use error::ReadError;
pub use finding::{Finding, VerifyReport};
pub(crate) use point_read::ts_publish_of;
pub use reader::{EventStoreReader, ReplayPlan};
pub use scan::{Direction, Scan};
pub use verifier::Verifier;

internal!(crate::format::{FrameError, RecordError});
internal!(lookup::KeyMention);
