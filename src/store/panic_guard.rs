use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `read` over a file. The libraries that read files panic over some kinds of damage. Such a
/// panic becomes an error with the panic's text. Works only where panics unwind.
pub(crate) fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|panic| {
        format!("reading it panicked: {}", panic_text(&*panic).unwrap_or("without a message"))
    })
}

/// The text of a panic; `None` if it has none.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}
