//! What the protocol's files find as `crate::sync` here: the names of `src/sync`, with loom's types
//! behind them.

pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence,
};
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
/// Not loom's: nothing here depends on who drops the last clone, and loom would explore every order
/// in which reference counts can change.
pub(crate) use std::sync::Arc;

use std::cell::Cell;
use std::ops::Deref;

/// Without the padding: loom has no cache lines.
#[derive(Debug, Default)]
pub(crate) struct CachePadded<T>(T);

impl<T> CachePadded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Like any other byte: no model forks.
#[derive(Debug)]
pub(crate) struct WipedOnFork(AtomicU8);

impl WipedOnFork {
    pub(crate) fn new(value: u8) -> Self {
        Self(AtomicU8::new(value))
    }
}

impl Deref for WipedOnFork {
    type Target = AtomicU8;

    fn deref(&self) -> &AtomicU8 {
        &self.0
    }
}

/// A full fence on both sides: the contract of the production type, and what it is made of where
/// there is no `membarrier`. That `membarrier` keeps the contract too is the kernel's promise; loom
/// cannot see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsymmetricBarrier;

impl AsymmetricBarrier {
    #[expect(clippy::unused_self, reason = "the signature of the production type")]
    pub(crate) fn light(self) {
        fence(Ordering::SeqCst);
    }

    #[expect(clippy::unused_self, reason = "the signature of the production type")]
    pub(crate) fn heavy(self) {
        fence(Ordering::SeqCst);
    }
}

/// A machine without a cycle counter that could be trusted: stamps come from the shared counter.
/// What the cycle counter promises is a property of the processor, which loom cannot see.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CycleCounter {}

impl CycleCounter {
    pub(crate) fn detect() -> Option<Self> {
        None
    }

    pub(crate) fn after_loads(self) -> u64 {
        match self {}
    }

    pub(crate) fn before_loads(self) -> u64 {
        match self {}
    }
}

loom::thread_local! {
    static YIELDS: Cell<u32> = Cell::new(0);
}

/// How often a thread may look in vain before the rest of the execution is run in one order only.
const YIELDS_EXPLORED: u32 = 2;

/// Lets others run. Two threads that wait for a third by yielding could yield to each other for
/// ever, and loom would follow them.
pub(crate) fn yield_now() {
    YIELDS.with(|yields| {
        yields.set(yields.get() + 1);
        if yields.get() > YIELDS_EXPLORED {
            loom::skip_branch();
        }
    });
    loom::thread::yield_now();
}
