use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::spinner::spinner;

/// Progress on a terminal, for a file that takes long.
pub(super) struct VerifyProgress<'a> {
    path: &'a Path,
    began: Instant,
    reached: String,
    bar: Option<ProgressBar>,
}

/// Faster work shows no progress.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

impl<'a> VerifyProgress<'a> {
    pub(super) fn new(path: &'a Path) -> Self {
        Self { path, began: Instant::now(), reached: "opening".to_owned(), bar: None }
    }

    pub(super) fn reached(&mut self, entries: u64, of: u64) {
        self.reached = format!("{entries} of {of} entries");
    }

    /// Has to be called several times a second.
    pub(super) fn tick(&mut self) {
        if self.began.elapsed() < SHOWN_AFTER {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| spinner().with_elapsed(self.began.elapsed()));
        bar.set_message(format!("{}: {}", self.path.display(), self.reached));
        bar.tick();
    }
}

impl Drop for VerifyProgress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
