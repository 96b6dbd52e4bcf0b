//! What the fuzz targets share.

mod content;
mod frames;
mod memory;
mod panics;
mod rows;
mod run;

pub use content::Content;
pub use frames::{Message, Payload, Stream, Stretch, reforge};
pub use memory::allocated;
pub use panics::{Fault, forgive_redb, redbs_fault};
pub use rows::Rows;
pub use run::SealedRunFile;
