//! From a message on the bus to a record in the producer's ring: which types are captured, how each
//! is encoded, and what happens when one is refused.

mod adapter;
mod bus_tap;
mod counts;
mod encoder;
mod error;
mod recent_captures;
mod registry;

pub use adapter::{BusCaptureAdapter, CaptureContext};
pub use counts::CaptureCounts;
pub use encoder::Encoder;
pub use error::{CaptureError, EncodeError, OnEncodeError};
pub use registry::EncoderRegistry;

pub use crate::format::RecordBuilder;
pub use crate::model::type_map::RegisterError;

internal!(crate::format::RecordLimitError);
