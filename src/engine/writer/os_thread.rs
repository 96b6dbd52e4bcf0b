//! What the engine asks of the system for its threads. None of it is needed for anything but speed:
//! a refusal is a warning or nothing.

use crate::engine::CorePin;

/// Pins the calling thread, which is the `role` of the run. Returns the core that it is on now.
pub(in crate::engine) fn pin(role: &str, pin: CorePin) -> Option<usize> {
    let known = core_affinity::get_core_ids().unwrap_or_default();
    let allowed: Vec<usize> = known.iter().map(|id| id.id).collect();
    let core = pin.choose(&allowed)?;
    match known.iter().find(|id| id.id == core) {
        None => {
            tracing::warn!(core, ?allowed, "{role} not pinned: this process may not use that core");
            None
        }
        Some(id) if !core_affinity::set_for_current(*id) => {
            tracing::warn!(core, "{role} not pinned: the system refused");
            None
        }
        Some(_) => {
            tracing::info!(core, "{role} pinned");
            Some(core)
        }
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
