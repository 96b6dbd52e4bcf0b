/// What the errors say if the system gives no thread.
pub(crate) const THREAD_ADVICE: &str = "the limit on processes (`ulimit -u`, a container's \
    pids.max) or on memory (`ulimit -v`) may be reached";
