/// The process that made something: a forked child has a copy of it that it must not use, because
/// file locks, files and threads behind it are the parent's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnProcess(u32);

impl OwnProcess {
    pub(crate) fn this() -> Self {
        Self(std::process::id())
    }

    /// True in a child that was forked since. Makes a system call.
    pub(crate) fn is_forked(self) -> bool {
        std::process::id() != self.0
    }
}
