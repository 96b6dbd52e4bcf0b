use std::cell::Cell;

use super::{BusError, BusTap, TapId, TapRefusal};
use crate::model::Captured;

/// Where the bus keeps its tap.
///
/// The tap is moved out of the slot while it runs, so that nothing it does to the bus, not even
/// replacing itself, can meet a borrow.
pub(super) struct TapSlot(Cell<State>);

/// A tap, and which installation it is.
pub(super) struct Installed {
    id: TapId,
    tap: Box<dyn BusTap>,
}

enum State {
    /// No tap, or one that is not running.
    Idle(Option<Installed>),
    /// This tap is looking at a message.
    Running(TapId),
    /// As `Running`, and it was replaced or removed meanwhile: this follows when it returns.
    Replaced(Option<Installed>),
    /// Only while a method of the slot looks into it.
    Taken,
}

impl Installed {
    pub(super) fn new(tap: Box<dyn BusTap>) -> Self {
        Self { id: TapId::next(), tap }
    }

    pub(super) const fn id(&self) -> TapId {
        self.id
    }

    pub(super) fn into_tap(self) -> Box<dyn BusTap> {
        self.tap
    }
}

impl Default for TapSlot {
    fn default() -> Self {
        Self(Cell::new(State::Idle(None)))
    }
}

impl TapSlot {
    /// Installs `next` and returns what was installed. A running tap is not returned: it is
    /// dropped as soon as it is done with its message.
    pub(super) fn replace(&self, next: Option<Installed>) -> Option<Installed> {
        let (state, previous) = match self.0.replace(State::Taken) {
            State::Idle(tap) => (State::Idle(next), tap),
            State::Running(_) | State::Taken => (State::Replaced(next), None),
            State::Replaced(never_used) => (State::Replaced(next), never_used),
        };
        self.0.set(state);
        previous
    }

    /// The installation of the tap, running or not; `None` without a tap.
    pub(super) fn id(&self) -> Option<TapId> {
        let state = self.0.replace(State::Taken);
        let id = match &state {
            State::Idle(tap) | State::Replaced(tap) => tap.as_ref().map(Installed::id),
            State::Running(id) => Some(*id),
            State::Taken => None,
        };
        self.0.set(state);
        id
    }

    /// Has the tap look at a message; without a tap every message passes.
    #[inline]
    pub(super) fn pass(
        &self,
        look: impl FnOnce(&mut dyn BusTap) -> Result<Captured, TapRefusal>,
    ) -> Result<Captured, BusError> {
        match self.0.replace(State::Taken) {
            State::Idle(None) => {
                self.0.set(State::Idle(None));
                Ok(Captured::Untapped)
            }
            State::Idle(Some(tap)) => {
                self.0.set(State::Running(tap.id));
                RunningTap { slot: &self.0, tap: Some(tap) }.look(look)
            }
            running => {
                self.0.set(running);
                Err(BusError::TapReentered)
            }
        }
    }
}

/// Puts the tap back when it is done, also when it panics: a bus must not go on untapped.
struct RunningTap<'a> {
    slot: &'a Cell<State>,
    tap: Option<Installed>,
}

impl RunningTap<'_> {
    fn look(
        mut self,
        look: impl FnOnce(&mut dyn BusTap) -> Result<Captured, TapRefusal>,
    ) -> Result<Captured, BusError> {
        match &mut self.tap {
            Some(tap) => look(tap.tap.as_mut()).map_err(|source| BusError::Refused { source }),
            None => Ok(Captured::Untapped),
        }
    }
}

impl Drop for RunningTap<'_> {
    fn drop(&mut self) {
        let next = match self.slot.replace(State::Taken) {
            // The old tap is dropped with `self`, when the slot is in order again.
            State::Replaced(next) => next,
            State::Running(_) | State::Idle(_) | State::Taken => self.tap.take(),
        };
        self.slot.set(State::Idle(next));
    }
}
