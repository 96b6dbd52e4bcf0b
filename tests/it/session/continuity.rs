//! State never goes missing at a start. A node that traded starts again with one step of its start
//! made to fail, for every step there is; the start after that has all that was traded.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::node::{Door, End, Left, Node, TRADED, assert_has, lifecycle, start, start_on};
use crate::support::ledger::Ledger;
use crate::support::steps::{Failure, SteppedCache, Steps};

/// So many steps can fail at least, or these tests try nothing.
const STEPS_MIN: u64 = 60;
/// So many can panic: those that are not of the disk.
const PANICS_MIN: u64 = 24;

/// A start of which one step may fail. A panic is an outcome too.
fn attempt<T>(start: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(start)) {
        Ok(Ok(started)) => Ok(started),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_panic) => Err("it panicked".to_owned()),
    }
}

/// Makes every step fail in turn, each of a start on the same files. Returns how many there are.
fn fail_every_step(door: Door, end: End, failure: Failure) -> u64 {
    let left = Left::by(end);
    for step in 1.. {
        let (folder, vault) = left.lay_out();
        let steps = Steps::failing(step, failure);
        let started = attempt(|| start(door, folder.path(), &vault, &steps));
        let Some(struck) = steps.struck() else {
            assert_has(&started.expect("nothing failed").ledger, TRADED, "without a failure");
            return step - 1;
        };
        // What failed may be nothing that the start needs.
        if let Ok(node) = started {
            assert_has(&node.ledger, TRADED, &struck);
        }
        let next = start(door, folder.path(), &vault, &Steps::default());
        let next = next.unwrap_or_else(|error| panic!("after {struck}: {error}"));
        assert_has(&next.ledger, TRADED, &struck);
    }
    0
}

#[track_caller]
fn assert_every_step(door: Door, end: End, failure: Failure) {
    let steps = fail_every_step(door, end, failure);
    println!("{steps} steps");
    let at_least = if failure == Failure::Panic { PANICS_MIN } else { STEPS_MIN };
    assert!(steps >= at_least, "only {steps} steps");
}

#[test]
fn any_failed_step_after_an_end_loses_nothing() {
    assert_every_step(Door::Session, End::Sealed, Failure::Error);
}

#[test]
fn any_panicking_step_after_an_end_loses_nothing() {
    assert_every_step(Door::Session, End::Sealed, Failure::Panic);
}

#[test]
fn any_failed_step_after_a_crash_loses_nothing() {
    assert_every_step(Door::Session, End::Crashed, Failure::Error);
}

#[test]
fn any_failed_step_of_a_lifecycle_loses_nothing() {
    assert_every_step(Door::Lifecycle, End::Sealed, Failure::Error);
}

#[test]
fn any_failed_step_of_a_kernel_loses_nothing() {
    assert_every_step(Door::Kernel, End::Sealed, Failure::Error);
}
