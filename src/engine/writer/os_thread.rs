//! What the engine asks of the system for its threads. None of it is needed for anything but speed:
//! a refusal is a warning or nothing.

/// Pins the calling thread, which is the `role` of the run.
pub(in crate::engine) fn pin(role: &str, core: Option<usize>) {
    let Some(core) = core else {
        return;
    };
    let known = core_affinity::get_core_ids().unwrap_or_default();
    match known.iter().find(|id| id.id == core) {
        None => {
            let known: Vec<usize> = known.iter().map(|id| id.id).collect();
            tracing::warn!(core, ?known, "{role} not pinned: this process may not use that core");
        }
        Some(id) if !core_affinity::set_for_current(*id) => {
            tracing::warn!(core, "{role} not pinned: the system refused");
        }
        Some(_) => {}
    }
}

/// From now on the calling thread sleeps about as long as it asks to. Linux otherwise lets a sleep
/// take up to 50 µs longer, as much as the writer sleeps at a time: measured 298 against 240 µs
/// from submit to durable on an idle engine.
pub(in crate::engine) fn sleep_as_asked() {
    #[cfg(target_os = "linux")]
    {
        // Where the system refuses, sleeps are longer and nothing else.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}
