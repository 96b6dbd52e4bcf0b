/// From now on, the calling thread gives way to the other threads of the machine: it gets a tenth
/// of the processor where they want all of it. Does nothing where the system is not Linux, or
/// refuses.
pub(crate) fn yield_to_others() {
    #[cfg(target_os = "linux")]
    {
        /// Out of −20 to 19; a thread has 0 unless somebody said otherwise.
        const NICE: i32 = 10;
        // Linux keeps it for each thread, and knows the thread by its number.
        let this = rustix::thread::gettid();
        let _ = rustix::process::setpriority_process(Some(this), NICE);
    }
}
