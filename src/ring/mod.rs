//! The producer's end: one ring a producer, one record at a time, in the order of the pushes.

mod durability;
mod error;
mod marks;
mod name_map;
mod names;
mod producer;
mod stall;
mod switch;

pub use durability::{Durability, Ticket};
pub use error::SubmitError;
pub use producer::{Producer, Producers};

pub(crate) use name_map::NameMap;
