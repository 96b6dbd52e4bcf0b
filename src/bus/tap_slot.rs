use std::cell::Cell;

use super::{BusError, BusTap, TapRefusal};

/// Where the bus keeps its tap.
///
/// The tap is moved out of the slot while it runs, so that nothing it does to the bus, not even
/// replacing itself, can meet a borrow.
pub(super) struct TapSlot(Cell<State>);

enum State {
    /// No tap, or one that is not running.
    Idle(Option<Box<dyn BusTap>>),
    /// The tap is looking at a message.
    Running,
    /// As `Running`, and it was replaced or cleared meanwhile: this follows when it returns.
    Replaced(Option<Box<dyn BusTap>>),
}

impl Default for TapSlot {
    fn default() -> Self {
        Self(Cell::new(State::Idle(None)))
    }
}

impl TapSlot {
    /// Installs `next` and returns what was installed. A running tap is not returned: it is
    /// dropped as soon as it is done with its message.
    pub(super) fn replace(&self, next: Option<Box<dyn BusTap>>) -> Option<Box<dyn BusTap>> {
        let (state, previous) = match self.0.replace(State::Running) {
            State::Idle(tap) => (State::Idle(next), tap),
            State::Running => (State::Replaced(next), None),
            State::Replaced(never_used) => (State::Replaced(next), never_used),
        };
        self.0.set(state);
        previous
    }

    /// Has the tap look at a message; without a tap every message passes.
    #[inline]
    pub(super) fn pass(
        &self,
        look: impl FnOnce(&mut dyn BusTap) -> Result<(), TapRefusal>,
    ) -> Result<(), BusError> {
        match self.0.replace(State::Running) {
            State::Idle(tap) => RunningTap { slot: &self.0, tap }.look(look),
            running => {
                self.0.set(running);
                Err(BusError::TapReentered)
            }
        }
    }

    /// Whether messages pass a tap.
    pub(super) fn is_tapped(&self) -> bool {
        let state = self.0.replace(State::Running);
        let tapped = !matches!(state, State::Idle(None));
        self.0.set(state);
        tapped
    }
}

/// Puts the tap back when it is done, also when it panics: a bus must not go on untapped.
struct RunningTap<'a> {
    slot: &'a Cell<State>,
    tap: Option<Box<dyn BusTap>>,
}

impl RunningTap<'_> {
    fn look(
        mut self,
        look: impl FnOnce(&mut dyn BusTap) -> Result<(), TapRefusal>,
    ) -> Result<(), BusError> {
        match &mut self.tap {
            Some(tap) => look(tap.as_mut()).map_err(|source| BusError::Refused { source }),
            None => Ok(()),
        }
    }
}

impl Drop for RunningTap<'_> {
    fn drop(&mut self) {
        let next = match self.slot.replace(State::Running) {
            // The old tap is dropped with `self`, when the slot is in order again.
            State::Replaced(next) => next,
            State::Running | State::Idle(_) => self.tap.take(),
        };
        self.slot.set(State::Idle(next));
    }
}
