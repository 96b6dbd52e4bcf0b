//! Loom models of what the engine's threads say to each other through memory.
//!
//! `cargo test -p loom-tests` runs them; no flag is needed. What is checked are the production
//! files of `src/protocol`, included here as they are: they take atomics, locks and fences from
//! `crate::sync`, which in this crate is made of loom's types. One module is one protocol, one test
//! one property of it. `mutate.sh` weakens the production files one line at a time and checks that
//! the model of the property notices.
//!
//! Each says how many executions loom explored and how long that took, on two virtual x86-64 cores
//! that were otherwise idle. "Exhaustive" means every execution in which no thread yields more than
//! `sync::YIELDS_EXPLORED` times.
//!
//! What the models cannot say:
//! - loom takes a `SeqCst` access for an `AcqRel` one (fences are real), so a proof here does not
//!   rest on more; and it does not reorder a load behind a later store.
//! - The ring is a stand-in, see `ring`, and so are the steps of producer and writer around the
//!   protocol, see `merge` and `closing`.
//! - `membarrier` and the cycle counter are promises of kernel and processor, see `sync`.
//! - No deadline ever passes: loom has no time.

#![cfg(test)]

#[path = "../../src/protocol/mod.rs"]
#[expect(dead_code, unreachable_pub, reason = "here it has no public API, and fewer users")]
mod protocol;
mod sync;

mod closing;
mod explore;
mod merge;
mod plain;
mod ring;

mod close;
mod halt;
mod horizon;
mod lane_state;
mod mark_stamp;
mod parking;
mod registration;
mod watermark;
