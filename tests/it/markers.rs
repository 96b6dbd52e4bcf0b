//! The data-marker sidecar: each marker stands where the data was seen, and the sidecar never
//! delays an entry.

mod backends;
mod causes;
mod node;
mod oracle;
mod overload;
mod rings;
mod setup;
mod tampered;
