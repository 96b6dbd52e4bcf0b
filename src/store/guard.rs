use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `read` over a file. The libraries that read files take some damage for impossible and
/// panic; here that is one more way in which a file can be unreadable, with what the panic said.
/// Only where panics unwind.
pub(crate) fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|panic| {
        format!("reading it panicked: {}", panic_text(&*panic).unwrap_or("without a message"))
    })
}

/// What a panic said; `None` where it did not say it in text.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}
