//! Records the operations on a disk as they happen, and lets some fail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tapline::internals::{DiskOp, DiskProbe};
use tapline::{SimulatedClock, UnixNanos};

/// An operation on a file that was done or has failed.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Create,
    Write {
        offset: u64,
        data: Arc<[u8]>,
        /// If true, any part of the write may have reached the file.
        failed: bool,
    },
    SetLen {
        len: u64,
    },
    Sync {
        /// If true, it is unknown what of the data before will ever be on the disk.
        failed: bool,
    },
    Rename {
        to: PathBuf,
    },
    Remove,
    SyncFolder,
}

/// The steps in order.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Disk {
        path: PathBuf,
        deed: Deed,
    },
    /// So many actions of the workload are complete, and their caller knows it.
    Done(usize),
}

/// Which operation fails, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// How many operations come before it, reads included.
    pub(crate) after: u64,
    pub(crate) kind: io::ErrorKind,
    /// True if all operations after it fail too.
    pub(crate) lasts: bool,
}

impl Fault {
    fn strikes(self, number: u64) -> bool {
        number == self.after || (self.lasts && number > self.after)
    }

    fn error(self) -> io::Error {
        io::Error::new(self.kind, "simulated fault")
    }
}

/// A tape that records the operations on all run files of a backend. Clones share the tape.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tape(Arc<Mutex<Recorded>>);

#[derive(Debug, Default)]
struct Recorded {
    steps: Vec<Step>,
    operations: u64,
    fault: Option<Fault>,
    struck: u64,
    /// A clock that advances by this much with each operation.
    slow: Option<(SimulatedClock, Duration)>,
}

impl Tape {
    pub(crate) fn failing(fault: Fault) -> Self {
        let tape = Self::default();
        tape.lock().fault = Some(fault);
        tape
    }

    /// From now on: the operation after `fault.after` more operations fails.
    pub(crate) fn arm(&self, fault: Fault) {
        let mut recorded = self.lock();
        let after = recorded.operations + fault.after;
        recorded.fault = Some(Fault { after, ..fault });
    }

    /// From now on each operation takes `by`, on `clock`.
    pub(crate) fn slow_down(&self, clock: SimulatedClock, by: Duration) {
        self.lock().slow = Some((clock, by));
    }

    pub(crate) fn done(&self, actions: usize) {
        self.lock().steps.push(Step::Done(actions));
    }

    /// How many operations there were, reads and failed ones included.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// How many operations have failed.
    pub(crate) fn struck(&self) -> u64 {
        self.lock().struck
    }

    /// Takes what is on the tape, and leaves it empty.
    pub(crate) fn take(&self) -> Vec<Step> {
        std::mem::take(&mut self.lock().steps)
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskProbe for Tape {
    fn before(&self, path: &Path, op: DiskOp<'_>) -> io::Result<()> {
        let mut recorded = self.lock();
        if let Some((clock, by)) = &recorded.slow {
            let now = clock.now().as_u64().saturating_add(by.as_nanos() as u64);
            clock.set(UnixNanos::new(now));
        }
        let number = recorded.operations;
        recorded.operations += 1;
        let fault = recorded.fault.filter(|fault| fault.strikes(number));
        let failed = fault.is_some();
        recorded.struck += u64::from(failed);
        let deed = match op {
            DiskOp::Write { offset, data } => {
                Some(Deed::Write { offset, data: data.into(), failed })
            }
            DiskOp::Sync => Some(Deed::Sync { failed }),
            // Other operations that fail have no effect.
            _ if failed => None,
            DiskOp::Create => Some(Deed::Create),
            DiskOp::SetLen { len } => Some(Deed::SetLen { len }),
            DiskOp::Rename { to } => Some(Deed::Rename { to: to.to_owned() }),
            DiskOp::Remove => Some(Deed::Remove),
            DiskOp::SyncFolder => Some(Deed::SyncFolder),
            _ => None,
        };
        let path = path.to_owned();
        recorded.steps.extend(deed.map(|deed| Step::Disk { path, deed }));
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }
}
