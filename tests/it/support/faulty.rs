use std::io;
use std::sync::{Arc, Condvar, Mutex};

use tapline::internals::format::SealedFrame;
use tapline::store::{
    AnchorError, AppendError, BackendFault, EventStore, MemoryBackend, MemoryDisk, OpenRunError,
    RunOpening, RunReader, SealError, SealedRun, Tail,
};
use tapline::{RunManifest, RunStatus, SnapshotAnchor, UnixNanos};

/// What goes wrong at the n-th commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    DiskFull,
    Corrupted,
    Io,
    Panic,
}

impl Fault {
    fn strike(self) -> BackendFault {
        match self {
            Self::DiskFull => BackendFault::io(io::ErrorKind::StorageFull.into()),
            Self::Corrupted => BackendFault::Corrupted("a page does not add up".into()),
            Self::Io => BackendFault::io(io::ErrorKind::TimedOut.into()),
            Self::Panic => panic!("the backend lost its mind"),
        }
    }
}

/// A backend that fails or blocks at a chosen commit. It is in memory by default.
pub(crate) struct FaultyStore {
    inner: Box<dyn EventStore>,
    commits: u64,
    fail_at: Option<(u64, Fault)>,
    gate: Option<Gate>,
    /// Waits here when the store is dropped.
    _last_gate: LastGate,
}

impl FaultyStore {
    /// Fails at commit number `commit`, from 1, and at all later ones.
    pub(crate) fn failing(commit: u64, fault: Fault) -> Self {
        Self { fail_at: Some((commit, fault)), ..Self::sound(in_memory()) }
    }

    /// The same, but blocks while `gate` is shut before it fails.
    pub(crate) fn failing_behind(gate: &Gate, commit: u64, fault: Fault) -> Self {
        Self { gate: Some(gate.clone()), ..Self::failing(commit, fault) }
    }

    /// Blocks in every commit while `gate` is shut.
    pub(crate) fn gated(gate: &Gate) -> Self {
        Self::gated_before(in_memory(), gate)
    }

    /// Blocks before each commit of `inner` while `gate` is shut.
    pub(crate) fn gated_before(inner: Box<dyn EventStore>, gate: &Gate) -> Self {
        Self { gate: Some(gate.clone()), ..Self::sound(inner) }
    }

    /// Blocks when it is dropped while `gate` is shut.
    pub(crate) fn gated_at_last(gate: &Gate) -> Self {
        Self { _last_gate: LastGate(Some(gate.clone())), ..Self::sound(in_memory()) }
    }

    fn sound(inner: Box<dyn EventStore>) -> Self {
        Self { inner, commits: 0, fail_at: None, gate: None, _last_gate: LastGate(None) }
    }

    fn pass(&mut self) -> Result<(), BackendFault> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        self.commits += 1;
        match self.fail_at {
            Some((commit, fault)) if self.commits >= commit => Err(fault.strike()),
            _ => Ok(()),
        }
    }
}

fn in_memory() -> Box<dyn EventStore> {
    Box::new(MemoryBackend::new(MemoryDisk::default()))
}

impl EventStore for FaultyStore {
    fn open_run(&mut self, manifest: RunManifest) -> Result<RunOpening, OpenRunError> {
        self.inner.open_run(manifest)
    }

    fn append(&mut self, frames: &[SealedFrame<'_>]) -> Result<(), AppendError> {
        self.pass()?;
        self.inner.append(frames)
    }

    fn record_anchor(&mut self, anchor: &SnapshotAnchor) -> Result<(), AnchorError> {
        self.pass()?;
        self.inner.record_anchor(anchor)
    }

    fn seal(
        &mut self,
        status: RunStatus,
        end_ts_init: Option<UnixNanos>,
    ) -> Result<SealedRun, SealError> {
        self.pass()?;
        self.inner.seal(status, end_ts_init)
    }

    fn tail(&self) -> Option<Tail> {
        self.inner.tail()
    }

    fn reader(&self) -> Option<Arc<dyn RunReader>> {
        self.inner.reader()
    }
}

/// In a field of its own, because struct update syntax does not work with a type that implements
/// `Drop`.
struct LastGate(Option<Gate>);

impl Drop for LastGate {
    fn drop(&mut self) {
        if let Some(gate) = &self.0 {
            gate.pass();
        }
    }
}

/// A gate that a test opens and shuts.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    shut: bool,
    waiting: bool,
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.0.0.lock().expect("no panic").shut = true;
    }

    pub(crate) fn open(&self) {
        self.0.0.lock().expect("no panic").shut = false;
        self.0.1.notify_all();
    }

    /// Blocks until another thread waits at the shut gate.
    pub(crate) fn await_waiting(&self) {
        let mut state = self.0.0.lock().expect("no panic");
        while !state.waiting {
            state = self.0.1.wait(state).expect("no panic");
        }
    }

    pub(crate) fn pass(&self) {
        let mut state = self.0.0.lock().expect("no panic");
        while state.shut {
            state.waiting = true;
            self.0.1.notify_all();
            state = self.0.1.wait(state).expect("no panic");
        }
        state.waiting = false;
    }
}
