use std::path::Path;
use std::time::{Duration, Instant};

use redb::RepairSession;

/// Files that are repaired sooner are nobody's concern.
const PATIENCE: Duration = Duration::from_secs(1);

/// Says how far the repair of a file is that was not closed, when it takes longer than a second. redb reads
/// the file up to three times for it, and calls back after each.
pub(super) fn repair_watch(path: &Path) -> impl Fn(&mut RepairSession) + 'static {
    let (path, began) = (path.to_owned(), Instant::now());
    move |session| {
        if began.elapsed() >= PATIENCE {
            let percent = session.progress() * 100.0;
            tracing::info!(
                "repairing {}: {percent:.0} % after {:?}",
                path.display(),
                began.elapsed()
            );
        }
    }
}
