//! From a message on the bus to a record in the producer's ring: which types are captured, how each
//! is encoded, and what happens when one is refused.

mod adapter;
mod encoder;
mod error;
mod registry;

pub use adapter::BusCaptureAdapter;
pub use encoder::Encoder;
pub use error::{CaptureError, EncodeError, RegisterError};
pub use registry::EncoderRegistry;

pub use crate::format::{RecordBuilder, RecordLimitError};
