//! A sealed run file is not much longer than its content.

use tapline::engine::{EventStoreWriter, WriterConfig};
use tapline::internals::run_path;
use tapline::store::{DiskMode, EventStore, RedbBackend};
use tapline::{Clock, EntryDraft, HaltSignal};

use crate::support::{ended, instance, manifest, run_id};

#[test]
fn a_sealed_file_has_little_unused_space() {
    for mode in [DiskMode::Direct, DiskMode::Buffered] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = RedbBackend::with_disk_mode(folder.path(), mode);
        store.open_run(manifest(1)).expect("a new run");
        let config = WriterConfig { record_bytes_max: 2_000_000, ..WriterConfig::default() };
        let config = WriterConfig { batch_bytes_max: 4 << 20, ring_lines: 1 << 16, ..config };
        let writer =
            EventStoreWriter::inline(Box::new(store), Clock::Realtime, HaltSignal::new(), config)
                .expect("the settings are valid");
        let mut producer = writer.producer().expect("the run is open");
        // Each in a frame of its own, of 2 MiB in the file.
        let (payload, frames) = (vec![7; 1_900_000], 84);
        let draft = EntryDraft { topic: "length", payload_type: "Test", ..EntryDraft::default() };
        for _ in 0..frames {
            producer.submit(&EntryDraft { payload: &payload, ..draft }).expect("room");
        }
        producer.submit(&EntryDraft { payload: &payload[..900_000], ..draft }).expect("room");
        drop(producer);
        writer.close(&ended()).expect("nothing fails");

        let path = run_path(folder.path(), &instance(), run_id(1));
        let length = path.metadata().expect("a run file").len();
        let used = (2 * frames + 1) << 20;
        // One more region of 64 MiB at most.
        assert!(length < used + (64 << 20), "{mode:?}: {length} bytes for {used}");
    }
}
