//! Reading runs: entry by entry with every hash checked, key by key, and as a whole to verify.

mod entry_ref;
mod error;
mod finding;
mod frame_cursor;
mod frame_digest;
mod index_check;
mod loaded_frame;
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
pub use reader::{EventStoreReader, Keys, ReplayPlan};
pub use scan::{Direction, Scan};
pub use verifier::Verifier;
