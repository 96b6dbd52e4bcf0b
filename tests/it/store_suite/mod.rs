//! The behaviour of a store, whatever it is made of. Every behaviour is a function over a
//! [`Place`]. Each runs over memory, and over redb in both disk modes.

use crate::support::Place;

/// Makes one test of each behaviour for each backend.
macro_rules! on_every_backend {
    ($($behaviour:ident)*) => {
        mod memory {
            $(#[test] fn $behaviour() { super::$behaviour(&crate::support::Place::memory()); })*
        }
        mod redb_direct {
            use tapline::store::DiskMode::Direct;
            $(#[test] fn $behaviour() {
                super::$behaviour(&crate::support::Place::disk(Direct));
            })*
        }
        mod redb_buffered {
            use tapline::store::DiskMode::Buffered;
            $(#[test] fn $behaviour() {
                super::$behaviour(&crate::support::Place::disk(Buffered));
            })*
        }
    };
}

mod anchors;
mod appending;
mod disk;
mod frames;
mod index;
mod opening;
mod sealing;

/// A place with an unsealed run 1 of three frames with three entries each.
fn abandoned(place: &Place) {
    use crate::support::{FrameMaker, message::messages};

    let mut store = place.open(1);
    let batches = [messages(1, 3), messages(4, 6), messages(7, 9)];
    FrameMaker::new().append_all(&mut *store, &batches);
}
