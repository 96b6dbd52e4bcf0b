//! Reading runs: entry by entry with every hash checked, key by key, and as a whole to verify.

mod entry_ref;
mod error;
mod finding;
mod frame_cursor;
mod index_check;
mod index_diff;
mod keys;
mod lookup;
mod names;
mod reader;
mod scan;
mod verifier;

pub use entry_ref::EntryRef;
pub use error::ReadError;
pub use finding::{Finding, VerifyReport};
pub use keys::{KeyMention, Keys};
pub use reader::{EventStoreReader, ReplayPlan};
pub use scan::{Direction, Scan};
pub use verifier::Verifier;
