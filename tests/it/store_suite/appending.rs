//! Appending frames: in order or not at all.

use tapline::store::{AppendError, EventStore, Tail};
use tapline::{Hash, RunStatus};

use crate::support::message::messages;
use crate::support::{FrameMaker, Message, Place, assert_matches};

on_every_backend! {
    frames_that_continue_the_log_are_taken
    a_frame_ahead_of_the_log_is_refused_whole
    a_frame_of_another_log_is_refused_whole
    a_frame_that_repeats_the_log_is_refused_whole
    an_empty_frame_is_refused
    after_a_refusal_the_right_frame_is_taken
    a_sealed_run_takes_no_frame
    without_an_open_run_nothing_is_appended
}

fn frames_that_continue_the_log_are_taken(place: &Place) {
    let mut store = place.open(1);
    let mut maker = FrameMaker::new();
    let mut watermark = 0;
    for count in [1, 3, 1, 200] {
        let frame = maker.frame(&messages(watermark + 1, watermark + count));
        store.append(&[frame]).unwrap();
        watermark += count;
        let tail = store.tail().unwrap();
        assert_eq!((tail.watermark, tail.root), (watermark, frame.root()));
    }
}

/// What a reader of the open run sees.
fn contents(store: &dyn EventStore) -> (u64, usize, usize, Vec<u64>) {
    let reader = store.reader().unwrap();
    let frames = std::iter::successors(reader.frame_at_or_after(0).unwrap(), |(key, _)| {
        reader.frame_at_or_after(key + 1).unwrap()
    });
    let keys = crate::support::key_rows(&*reader);
    let names = reader.names(0).unwrap();
    let frames = frames.map(|(key, _)| key).collect();
    (reader.watermark().unwrap(), keys.len(), names.len(), frames)
}

/// A frame whose keys and names the log does not have.
fn strange() -> Vec<Message> {
    let message = Message::new("strange.topic", "StrangeType", 7, b"strange");
    vec![message.clone().order("STRANGE-1"), message.order("STRANGE-2")]
}

fn a_frame_ahead_of_the_log_is_refused_whole(place: &Place) {
    let mut store = place.open(1);
    FrameMaker::new().append_all(&mut *store, &[messages(1, 3)]);
    let before = (contents(&*store), store.tail());
    for got in [5, 6, 1_000, u64::MAX - 10] {
        assert_matches!(
            store.append(&[FrameMaker::at(got).frame(&strange())]),
            Err(AppendError::OutOfOrder { got: refused, watermark: 3 }) if refused == got
        );
    }
    assert_eq!((contents(&*store), store.tail()), before);
}

/// Its `seq`s fit, but it was built on another log, with other entries or names before it.
fn a_frame_of_another_log_is_refused_whole(place: &Place) {
    let mut store = place.open(1);
    FrameMaker::new().append_all(&mut *store, &[messages(1, 3)]);
    let before = (contents(&*store), store.tail());
    let tail = store.tail().unwrap();
    let other_root = Tail { root: Hash::of(b"another log"), ..tail };
    let other_names = Tail { names: tail.names + 1, ..tail };
    for other in [other_root, other_names] {
        assert_matches!(
            store.append(&[FrameMaker::behind(other).frame(&strange())]),
            Err(AppendError::BrokenChain { watermark: 3 })
        );
    }
    assert_eq!((contents(&*store), store.tail()), before);
    store.append(&[FrameMaker::behind(tail).frame(&strange())]).unwrap();
}

fn a_frame_that_repeats_the_log_is_refused_whole(place: &Place) {
    let mut store = place.open(1);
    FrameMaker::new().append_all(&mut *store, &[messages(1, 3)]);
    let before = (contents(&*store), store.tail());
    for got in [1, 2, 3] {
        // The frame's later entries would be new. It is refused anyway.
        let repeat = [strange(), strange()].concat();
        assert_matches!(
            store.append(&[FrameMaker::at(got).frame(&repeat)]),
            Err(AppendError::OutOfOrder { got: refused, watermark: 3 }) if refused == got
        );
    }
    assert_eq!((contents(&*store), store.tail()), before);
}

/// Stored, it would be replaced by the next frame, which begins with the same `seq`.
fn an_empty_frame_is_refused(place: &Place) {
    let mut store = place.open(1);
    let mut maker = FrameMaker::new();
    assert_matches!(store.append(&[FrameMaker::new().frame(&[])]), Err(AppendError::Empty));
    store.append(&[maker.frame(&messages(1, 3))]).unwrap();
    let before = (contents(&*store), store.tail());
    let empty = FrameMaker::behind(store.tail().unwrap());
    for mut maker in [FrameMaker::at(9), empty] {
        assert_matches!(store.append(&[maker.frame(&[])]), Err(AppendError::Empty));
    }
    assert_eq!((contents(&*store), store.tail()), before);
    store.append(&[maker.frame(&messages(4, 4))]).unwrap();
    store.seal(RunStatus::Ended, None).unwrap();
    assert_matches!(store.append(&[maker.frame(&[])]), Err(AppendError::Closed));
}

fn after_a_refusal_the_right_frame_is_taken(place: &Place) {
    let mut store = place.open(1);
    let mut maker = FrameMaker::new();
    store.append(&[maker.frame(&messages(1, 1))]).unwrap();
    store.append(&[FrameMaker::at(9).frame(&strange())]).unwrap_err();
    store.append(&[maker.frame(&messages(2, 4))]).unwrap();
    assert_eq!(contents(&*store), (4, 0, 2, vec![1, 2]));
}

fn a_sealed_run_takes_no_frame(place: &Place) {
    let mut store = place.open(1);
    let mut maker = FrameMaker::new();
    store.append(&[maker.frame(&messages(1, 3))]).unwrap();
    store.seal(RunStatus::Ended, None).unwrap();
    let before = contents(&*store);
    assert_matches!(store.append(&[maker.frame(&messages(4, 4))]), Err(AppendError::Closed));
    // The error is that the run is closed, even for a frame that would be out of order.
    assert_matches!(store.append(&[FrameMaker::at(9).frame(&strange())]), Err(AppendError::Closed));
    assert_eq!(contents(&*store), before);
}

fn without_an_open_run_nothing_is_appended(place: &Place) {
    assert_matches!(
        place.backend().append(&[FrameMaker::new().frame(&messages(1, 1))]),
        Err(AppendError::NoOpenRun)
    );
}
