use crate::format::FrameView;
use crate::store::RunReader;

/// The payloads in the log, in order, for tests over a store in memory.
pub(super) fn payloads(reader: &dyn RunReader) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let mut from = 1;
    while let Some((_, bytes)) = reader.frame_at_or_after(from).expect("memory does not fail") {
        let frame = FrameView::parse(&bytes).expect("a frame reads back");
        for index in 0..frame.count() {
            payloads.push(frame.record(index).expect("a record reads back").payload().to_vec());
        }
        from = frame.last_seq() + 1;
    }
    payloads
}

/// How often a stress test does what it would do `times` times. Divided by
/// `TAPLINE_STRESS_DIVISOR`, for where everything takes much longer than usual, as under a
/// sanitizer.
pub(super) fn stress(times: u64) -> u64 {
    let divisor = std::env::var("TAPLINE_STRESS_DIVISOR");
    times / divisor.map_or(1, |divisor| divisor.parse().expect("a number above 0"))
}
