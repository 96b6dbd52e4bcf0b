//! Reading runs: entry by entry with every hash checked, key by key, and as a whole to verify.

mod behind;
mod entry_ref;
mod error;
mod finding;
mod frame_cursor;
mod frame_digest;
mod index_check;
mod index_diff;
mod keys;
mod loaded_frame;
mod lookup;
mod names;
mod point_read;
mod reader;
mod recent_frames;
mod run_digest;
mod scan;
mod verifier;
mod walk;

pub use entry_ref::EntryRef;
pub use error::ReadError;
pub use finding::{Finding, VerifyReport};
pub use keys::{KeyMention, Keys};
pub use reader::{EventStoreReader, ReplayPlan};
pub use scan::{Direction, Scan};
pub use verifier::Verifier;
