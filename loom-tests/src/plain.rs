use loom::cell::UnsafeCell;

/// Memory without any synchronization of its own: one thread writes it, others read it, and what is
/// under test has to keep the accesses apart. loom fails the model where it does not.
#[derive(Debug)]
pub(crate) struct Plain<T>(UnsafeCell<T>);

#[expect(unsafe_code, reason = "loom checks every access for races before it happens")]
// SAFETY: loom runs all threads of a model on one thread, and panics instead of granting an access
// that is not ordered with another thread's write.
unsafe impl<T: Copy + Send> Sync for Plain<T> {}

impl<T: Copy> Plain<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    #[expect(unsafe_code, reason = "loom checks every access for races before it happens")]
    pub(crate) fn set(&self, value: T) {
        // SAFETY: loom has checked that no other access overlaps this one.
        self.0.with_mut(|place| unsafe { *place = value });
    }

    #[expect(unsafe_code, reason = "loom checks every access for races before it happens")]
    pub(crate) fn get(&self) -> T {
        // SAFETY: loom has checked that no write overlaps this read.
        self.0.with(|place| unsafe { *place })
    }
}
