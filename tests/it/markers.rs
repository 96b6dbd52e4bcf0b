//! The data-marker sidecar: that each marker stands where the data was seen, and that nothing of it ever stands in an
//! entry's way.

mod backends;
mod causes;
mod node;
mod oracle;
mod overload;
mod rings;
mod setup;
mod tampered;
