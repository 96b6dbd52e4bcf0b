//! A byte that a forked child finds zero.
//!
//! A child has a copy of its parent's memory and none of its threads: a producer in it would push
//! into a ring that nobody empties. Linux can wipe pages in the child (`MADV_WIPEONFORK`), so that
//! a flag which every push reads anyway also tells this, at no further cost.

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use super::{AtomicU8, CachePadded, Ordering};

/// An atomic byte, on a cache line of its own. It is 0 in a child that this process forks, where
/// the system can do that.
#[derive(Debug)]
pub(crate) struct WipedOnFork(&'static AtomicU8);

/// Bytes that are free. What was taken from the system is never given back: a page, for every 32
/// that are in use at one time.
static FREE: Mutex<Vec<&'static AtomicU8>> = Mutex::new(Vec::new());

impl WipedOnFork {
    pub(crate) fn new(value: u8) -> Self {
        let byte = take();
        // Relaxed: nobody else has it yet.
        byte.store(value, Ordering::Relaxed);
        Self(byte)
    }
}

impl Deref for WipedOnFork {
    type Target = AtomicU8;

    #[inline]
    fn deref(&self) -> &AtomicU8 {
        self.0
    }
}

impl Drop for WipedOnFork {
    fn drop(&mut self) {
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

fn take() -> &'static AtomicU8 {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    if free.is_empty() {
        free.extend(page::wiped_on_fork().into_iter().flatten().step_by(CACHE_LINE_BYTES));
    }
    // Where the system refuses, the byte is like any other.
    free.pop().unwrap_or_else(|| Box::leak(Box::new(CachePadded::new(AtomicU8::new(0)))))
}

const CACHE_LINE_BYTES: usize = align_of::<CachePadded<AtomicU8>>();

#[cfg(target_os = "linux")]
mod page {
    use std::ptr;
    use std::sync::atomic::AtomicU8;

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

    const BYTES: usize = 4096;

    /// Maps zeroed memory that is wiped in children; `None` where the system refuses.
    #[expect(unsafe_code, reason = "memory with this property has no safe wrapper")]
    pub(super) fn wiped_on_fork() -> Option<&'static [AtomicU8]> {
        // SAFETY: the address is the system's to choose, so the new mapping replaces no other.
        let start = unsafe {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            mmap_anonymous(ptr::null_mut(), BYTES, access, MapFlags::PRIVATE)
        };
        let start = start.ok()?;
        // SAFETY: the range is the mapping made above, and nothing refers to it yet.
        if unsafe { madvise(start, BYTES, Advice::LinuxWipeOnFork) }.is_err() {
            // SAFETY: as above. An error leaves a page mapped that nobody uses.
            let _ = unsafe { munmap(start, BYTES) };
            return None;
        }
        // SAFETY: the mapping is readable and writable, zeroed, aligned to a page, and never
        // unmapped. Any byte is a valid `AtomicU8`, also one that the system wipes in a child, where
        // no other thread runs at that time.
        Some(unsafe { std::slice::from_raw_parts(start.cast::<AtomicU8>(), BYTES) })
    }
}

#[cfg(not(target_os = "linux"))]
mod page {
    use std::sync::atomic::AtomicU8;

    pub(super) fn wiped_on_fork() -> Option<&'static [AtomicU8]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_apart_and_used_again() {
        let first = WipedOnFork::new(1);
        let second = WipedOnFork::new(2);
        assert_eq!((first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)), (1, 2));
        let apart = ptr(&first).abs_diff(ptr(&second));
        assert!(apart >= CACHE_LINE_BYTES && apart.is_multiple_of(CACHE_LINE_BYTES), "{apart}");
    }

    fn ptr(byte: &WipedOnFork) -> usize {
        std::ptr::from_ref::<AtomicU8>(byte).addr()
    }
}
