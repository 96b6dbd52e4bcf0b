//! The helpers of the tests in `tests/it`, unchanged.

#[path = "../../../tests/it/support/frames.rs"]
#[expect(dead_code, reason = "there are fewer users here")]
mod frames;
#[path = "../../../tests/it/support/ledger.rs"]
#[expect(dead_code, reason = "there are fewer users here")]
mod ledger;
#[path = "../../../tests/it/support/message.rs"]
#[expect(dead_code, reason = "there are fewer users here")]
mod message;

pub(crate) use frames::FrameMaker;
pub(crate) use ledger::{Accounts, BOOKING, Ledger, booking};
pub(crate) use message::Message;
use tapline::{InstanceId, RunId, RunManifest};

pub(crate) fn instance() -> InstanceId {
    "node-1".parse().expect("a valid id")
}

/// The manifest of run `n` before it opens.
pub(crate) fn manifest(n: u32) -> RunManifest {
    let run_id: RunId = format!("{}-{n:08x}", 1_700_000_000_000_000_000_u64 + u64::from(n))
        .parse()
        .expect("a valid id");
    RunManifest::new(instance(), run_id, run_id.start())
}
