//! Every atomic, lock and barrier of the protocol comes from here, so that `loom-tests` can put
//! loom's types in their place and check the files of `protocol` as they are.

mod background;
mod barrier;
mod cycles;
mod naps;
mod own_process;
mod wiped_on_fork;

pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
pub(crate) use std::thread::yield_now;

pub(crate) use crossbeam_utils::CachePadded;

pub(crate) use background::yield_to_others;
pub(crate) use barrier::AsymmetricBarrier;
pub(crate) use cycles::CycleCounter;
pub(crate) use naps::Naps;
pub(crate) use own_process::OwnProcess;
pub(crate) use wiped_on_fork::WipedOnFork;
