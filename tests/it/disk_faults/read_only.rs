//! Reading never changes a file.

use std::sync::Arc;

use tapline::IndexKind;
use tapline::read::{Direction, EventStoreReader, Verifier};
use tapline::runs::list_runs;
use tapline::store::{DiskMode, EventStore, OpenRunError, RedbBackend, open_sealed};

use crate::support::files::assert_unchanged;
use crate::support::message::messages;
use crate::support::places::SealedFile;
use crate::support::{assert_matches, instance, manifest, run_id};

fn sealed() -> SealedFile {
    SealedFile::record(&[messages(1, 3), messages(4, 6)])
}

fn base_dir(file: &SealedFile) -> &std::path::Path {
    file.path.parent().and_then(std::path::Path::parent).unwrap()
}

#[test]
fn reading_leaves_a_sealed_file_unchanged() {
    let file = sealed();
    assert_unchanged(&file.path, || {
        let source = open_sealed(base_dir(&file), &instance(), run_id(1)).unwrap();
        let reader = EventStoreReader::new(Arc::clone(&source));
        assert_eq!(reader.scan(1, u64::MAX, Direction::Forward).count(), 6);
        assert_eq!(reader.lookup(IndexKind::CLIENT_ORDER_ID, "none").unwrap(), None);
        assert!(Verifier::new(source).run(|_| {}).is_clean());
        assert_eq!(list_runs(base_dir(&file), &instance()).unwrap().len(), 1);
    });
}

#[test]
fn a_refused_reopen_leaves_the_file_unchanged() {
    let file = sealed();
    for mode in [DiskMode::Direct, DiskMode::Buffered] {
        assert_unchanged(&file.path, || {
            let mut store = RedbBackend::with_disk_mode(base_dir(&file), mode);
            assert_matches!(store.open_run(manifest(1)), Err(OpenRunError::Sealed { .. }));
        });
    }
}

#[test]
fn many_readers_share_a_sealed_file() {
    let file = sealed();
    let readers: Vec<_> = (0..4).map(|_| file.open()).collect();
    for reader in readers {
        assert_eq!(reader.watermark().unwrap(), 6);
    }
}
