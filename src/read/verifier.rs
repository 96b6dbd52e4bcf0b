use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use super::digest::digest_run;
use super::finding::Findings;
use super::walk::Walk;
use super::{Finding, VerifyReport};
use crate::model::Hash;
use crate::store::RunReader;

/// Walks a whole run and collects what is wrong. Changes nothing. Holds a few frames a thread and
/// the names table in memory.
///
/// If the run grows meanwhile, new content may be reported as wrong: names, index and anchor are
/// read after the frames.
pub struct Verifier {
    source: Arc<dyn RunReader>,
    expected_root: Option<Hash>,
    threads: NonZero<usize>,
}

impl Verifier {
    /// A verifier of the run behind `source`.
    pub fn new(source: Arc<dyn RunReader>) -> Self {
        let threads = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        Self { source, expected_root: None, threads: threads.min(Self::THREADS_MAX) }
    }

    /// Also compares the run's root with `root`, which was printed when the run was sealed. Only
    /// this reveals a run that was changed and consistently sealed anew.
    #[must_use]
    pub fn expect_root(mut self, root: Hash) -> Self {
        self.expected_root = Some(root);
        self
    }

    /// The most threads. Each takes the memory of a frame.
    pub const THREADS_MAX: NonZero<usize> = NonZero::new(256).unwrap();

    /// Checks hashes on `threads` threads, up to [`THREADS_MAX`](Self::THREADS_MAX). Default: as
    /// many as this process has processors. With 1, all work is done on the calling thread. The
    /// findings are the same with any number.
    #[must_use]
    pub fn threads(mut self, threads: NonZero<usize>) -> Self {
        self.threads = threads.min(Self::THREADS_MAX);
        self
    }

    /// Verifies the run. Calls `progress` after each frame with the entries scanned so far.
    pub fn run(&self, mut progress: impl FnMut(u64)) -> VerifyReport {
        let source = &*self.source;
        let mut findings = Findings::default();
        let manifest = match source.manifest() {
            Ok(manifest) => Some(manifest),
            Err(error) => {
                findings.unreadable("manifest", &error);
                None
            }
        };
        let mut walk = Walk::new();
        let summer = walk.index().summer();
        let walked = digest_run(source, self.threads, &summer, &mut |key, digest| {
            walk.step(key, digest, source, &mut findings)?;
            progress(walk.scanned());
            Ok(())
        });
        if let Err(error) = &walked {
            findings.unreadable("frames", error);
            walk.break_off();
        }
        walk.check_names_table(source, &mut findings);
        if let Some(manifest) = &manifest {
            walk.check_manifest(manifest, &mut findings);
            walk.index().finish(source, manifest, &mut findings);
        }
        walk.check_anchor(source, &mut findings);
        let root = self.check_root(&mut findings);
        VerifyReport {
            run_id: manifest.as_ref().map(|manifest| manifest.run_id),
            status: manifest.as_ref().map(|manifest| manifest.status),
            entries_scanned: walk.scanned(),
            end_ts_init: walk.end_ts_init(),
            root,
            findings: findings.kept,
            findings_omitted: findings.omitted,
        }
    }

    fn check_root(&self, findings: &mut Findings) -> Option<Hash> {
        // The only other cause is an unreadable manifest, which is reported already.
        let root = self.source.root().ok().flatten();
        if let Some(expected) = self.expected_root
            && root != Some(expected)
        {
            findings.push(Finding::RootMismatch {
                expected: expected.to_string(),
                found: root.map_or_else(|| "none".to_owned(), |root| root.to_string()),
            });
        }
        root
    }
}
