use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use loom::model::Builder;

/// Checks `model` in every execution that loom can tell apart, and returns all that came out of it.
///
/// A test compares that with what it expects, for a model that never met the race it is about
/// proves nothing. That can happen: for each place in memory loom remembers only the last load, so
/// a store is tried before another thread's load only if its own thread has not loaded the place in
/// between. Where a thread loads before it stores (`Watermark::advance` does), the model starts it
/// first: then loom finds the other orders from the load's side.
pub(crate) fn explore<T>(model: impl Fn() -> T + Send + Sync + 'static) -> BTreeSet<T>
where
    T: Ord + Send + 'static,
{
    run(&Builder::new(), model)
}

/// The same, leaving out executions in which threads that could have gone on are interrupted more
/// than `preemptions` times.
pub(crate) fn explore_preempting<T>(
    preemptions: usize,
    model: impl Fn() -> T + Send + Sync + 'static,
) -> BTreeSet<T>
where
    T: Ord + Send + 'static,
{
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    run(&builder, model)
}

/// Prints what it took; `cargo test -p loom-tests -- --nocapture` shows it.
fn run<T>(builder: &Builder, model: impl Fn() -> T + Send + Sync + 'static) -> BTreeSet<T>
where
    T: Ord + Send + 'static,
{
    let seen = Arc::new(Mutex::new((0_u64, BTreeSet::new())));
    let began = Instant::now();
    let sink = Arc::clone(&seen);
    builder.check(move || {
        let outcome = model();
        let mut seen = sink.lock().expect("not held while a model runs");
        seen.0 += 1;
        seen.1.insert(outcome);
    });
    let (executions, outcomes) =
        std::mem::take(&mut *seen.lock().expect("not held while a model runs"));
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    println!("{name}: {executions} executions in {:.2?}", began.elapsed());
    outcomes
}
