//! Recording threads that end in unusual ways.

use crossbeam_channel::unbounded;
use tapline::session::{EventStoreConfig, RunSession};

use super::{Recorder, StopFlag};
use crate::meter::AckMeter;

#[test]
fn a_panicking_thread_stops_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let config = EventStoreConfig::new(folder.path());
    let session = RunSession::builder(config, "node-1".parse().unwrap()).open().unwrap();

    let (acks, stop) = (AckMeter::start().unwrap(), StopFlag::default());
    let ((done, reports), (failed, failures)) = (unbounded(), unbounded());
    let (stopped, samples) = (stop.clone(), acks.samples());
    let recorder = Recorder { session: &session, stop, done, failed, samples };
    recorder.spawn("producer-7", |_bus, _stop| panic!("as asked")).unwrap();
    drop(recorder);

    assert!(reports.recv().is_err(), "it has nothing to report");
    let said = failures.recv().unwrap().to_string();
    assert_eq!(said, "thread producer-7 panicked: as asked; what came after is not recorded");
    assert!(stopped.is_set());
    assert!(acks.finish().is_empty());
    // The run itself is sound.
    session.seal().unwrap();
}
