use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `read` over a run file. redb takes some damage for impossible and panics; here that is one more way in
/// which a file can be unreadable, with what the panic said. Only where panics unwind.
pub(super) fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|panic| said(&*panic))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("reading it panicked: {}", text.unwrap_or("without a message"))
}
