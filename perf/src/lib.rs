//! The laboratory: measures tapline, what it is compared with, and the limits of the machine, all
//! with the same code and each in a process of its own.
//!
//! The program is [`main`]. A system that cannot be part of this workspace implements [`System`] in
//! a program of its own, whose `main` calls [`child_main`].

#![expect(clippy::cast_sign_loss, reason = "seconds and ratios are never negative")]

mod child;
mod instruments;
mod measure;
mod outcome;
mod spec;
mod system;

#[cfg(feature = "peers")]
mod campaign;
#[cfg(feature = "peers")]
mod cli;
#[cfg(feature = "peers")]
mod compare;
#[cfg(feature = "peers")]
mod pictures;
#[cfg(feature = "peers")]
mod report;
#[cfg(feature = "peers")]
mod systems;

pub use child::child_main;
#[cfg(feature = "peers")]
pub use cli::main;
pub use instruments::{Latencies, Placement, pin};
pub use outcome::{Figure, Outcome, TimePoint, Timeline};
pub use spec::{Disk, Measure, PATIENCE, Settings, Spec, Stop};
pub use system::{Closed, Lane, Message, PAYLOAD_TYPE, Reader, Stored, System, TOPIC};
