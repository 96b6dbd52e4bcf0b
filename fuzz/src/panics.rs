//! Panics of redb. It takes some damage of a file for impossible; the program reads files in a
//! process of their own for that reason. Here such a panic is told from one of tapline's, which is
//! a finding.

use std::any::Any;
use std::backtrace::Backtrace;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, Location, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// That redb panicked.
#[derive(Debug)]
pub struct Fault(#[expect(dead_code, reason = "shown where it was not expected")] String);

/// From now on, a panic that comes from redb unwinds; any other ends the process, as libFuzzer's
/// hook has it. Each place in redb that panics is named once on stderr.
pub fn forgive_redb() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !comes_from_redb(panic) {
            abort(panic);
        }
        static NAMED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if NAMED.lock().unwrap_or_else(PoisonError::into_inner).insert(place) {
            eprintln!("redb: {panic}");
        }
    }));
}

/// Calls `call`, in which redb may panic.
pub fn redbs_fault<T>(call: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| Fault(text_of(&*panic)))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

/// Whether the panic is in a file of redb's; or in one of the standard library's, called by redb.
fn comes_from_redb(panic: &PanicHookInfo<'_>) -> bool {
    let file = panic.location().map(Location::file).unwrap_or_default();
    if !file.starts_with("/rustc/") {
        return file.contains("/redb-");
    }
    let calls = Backtrace::force_capture().to_string();
    let first = |name: &str| calls.find(name).unwrap_or(usize::MAX);
    first("redb::") < first("tapline::")
}
