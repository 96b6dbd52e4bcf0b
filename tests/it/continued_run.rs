//! A run that was reopened after a crash and then closed in order is like any other.

use tapline::engine::{CloseReport, EventStoreWriter, WriterConfig};
use tapline::read::Verifier;
use tapline::{Clock, HaltSignal, SimulatedClock, UnixNanos};

use crate::support::{Message, Place};

fn engine(place: &Place) -> EventStoreWriter {
    let clock = Clock::Simulated(SimulatedClock::new(UnixNanos::new(1)));
    let halt = HaltSignal::default();
    EventStoreWriter::inline(place.open(1), clock, halt, WriterConfig::default()).unwrap()
}

/// Records messages with these domain times in two processes, and closes the run.
fn record(place: &Place, before: &[u64], after: &[u64], end: u64) -> CloseReport {
    let writer = engine(place);
    let mut producer = writer.producer().unwrap();
    for ts_init in before {
        let message = Message::new("orders", "Order", *ts_init, b"");
        message.with_draft(|draft| producer.submit(draft)).unwrap();
    }
    drop((writer, producer));

    let writer = engine(place);
    let mut producer = writer.producer().unwrap();
    for ts_init in after {
        let message = Message::new("orders", "Order", *ts_init, b"");
        message.with_draft(|draft| producer.submit(draft)).unwrap();
    }
    let ended = Message::new("run.ended", "RunEnded", end, b"");
    ended.with_draft(|draft| writer.close(draft)).unwrap()
}

#[test]
fn end_ts_init_is_the_largest_of_all() {
    for (before, after, end, expected) in [
        (&[7, 9, 8][..], &[5][..], 6, 9),
        (&[3], &[12], 6, 12),
        (&[3], &[], 4, 4),
        (&[], &[], 2, 2),
    ] {
        for place in Place::all() {
            let report = record(&place, before, after, end);
            assert_eq!(report.manifest.end_ts_init, Some(UnixNanos::new(expected)));
            assert_eq!(report.watermark, (before.len() + after.len() + 1) as u64);
        }
    }
}

#[test]
fn it_verifies() {
    let place = Place::disk(tapline::store::DiskMode::Direct);
    let report = record(&place, &[7, 9], &[8], 6);
    let path = tapline::internals::run_path(
        place.folder(),
        &report.manifest.instance_id,
        report.manifest.run_id,
    );
    let source = tapline::store::open_sealed_file(&path).unwrap();
    let verified = Verifier::new(source).expect_root(report.root).run(|_| {});
    assert_eq!(verified.findings, []);
}
