//! Open-loop pacing: when each message is due is fixed before the first one is sent. A message that
//! is sent late, because the one before it took long, is measured from when it was due; otherwise
//! one long pause would hide all the messages it kept from being sent (coordinated omission).

use crate::instruments::TickClock;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The due times of one producer's messages. Several producers take turns in one common schedule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Messages a second of all producers together.
    pub(crate) rate: u64,
    /// How many producers take turns.
    pub(crate) producers: u64,
    /// Which of them this one is, from 0.
    pub(crate) producer: u64,
    /// When message 0 of the common schedule is due, by the [`TickClock`].
    pub(crate) start: u64,
}

impl Schedule {
    /// The highest rate there can be.
    #[cfg(any(test, feature = "peers"))]
    pub(crate) const RATE_MAX: u64 = 10_000_000;
    /// The longest run, in seconds: at the highest rate, due times do not overflow.
    #[cfg(any(test, feature = "peers"))]
    pub(crate) const SECONDS_MAX: u64 = 1_800;

    /// When this producer's message `index`, from 0, is due.
    #[inline]
    pub(crate) fn due(&self, index: u64) -> u64 {
        self.start + (index * self.producers + self.producer) * NANOS_PER_SECOND / self.rate
    }

    /// Nanoseconds between two messages of this producer; at least 1.
    pub(crate) fn interval(&self) -> u64 {
        (self.producers * NANOS_PER_SECOND / self.rate).max(1)
    }

    /// How many of this producer's messages are due within `seconds`.
    pub(crate) fn messages_in(&self, seconds: f64) -> u64 {
        let all = (self.rate as f64 * seconds) as u64;
        all.saturating_sub(self.producer).div_ceil(self.producers)
    }
}

/// Waits until `due`, reading the clock continuously and calling `poll` with every reading but the
/// last; at least once, also when it is late already.
///
/// Returns by how much the first reading from `due` on is late, which on a machine without pauses
/// is part of a reading's own time; `None` when it was late before it began to wait.
#[inline]
pub(crate) fn wait_until(clock: &TickClock, due: u64, mut poll: impl FnMut(u64)) -> Option<u64> {
    let mut now = clock.now();
    poll(now);
    if now >= due {
        return None;
    }
    loop {
        now = clock.now();
        if now >= due {
            return Some(now - due);
        }
        poll(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_take_turns_in_one_schedule() {
        let schedule = |producer| Schedule { rate: 1_000, producers: 3, producer, start: 50 };
        let mut due: Vec<u64> = (0..3)
            .flat_map(|producer| {
                let schedule = schedule(producer);
                (0..schedule.messages_in(1.0)).map(move |index| schedule.due(index))
            })
            .collect();
        due.sort_unstable();
        let expected: Vec<u64> = (0..1_000).map(|message| 50 + message * 1_000_000).collect();
        assert_eq!(due, expected);
        assert_eq!(schedule(0).interval(), 3_000_000);
    }

    #[test]
    fn the_last_due_time_of_the_longest_run_does_not_overflow() {
        let (rate, seconds) = (Schedule::RATE_MAX, Schedule::SECONDS_MAX);
        let schedule = Schedule { rate, producers: 1, producer: 0, start: 0 };
        let last = schedule.due(schedule.messages_in(seconds as f64) - 1);
        assert_eq!(last.div_ceil(NANOS_PER_SECOND), seconds);
    }

    #[test]
    fn only_a_wait_that_began_in_time_says_how_late_it_ended() {
        let clock = TickClock::new();
        let mut polls = 0;
        assert_eq!(wait_until(&clock, 0, |_| polls += 1), None);
        assert_eq!(polls, 1);
        let due = clock.now() + 100_000;
        let late = wait_until(&clock, due, |now| assert!(now < due));
        assert!(late.is_some_and(|late| late <= clock.now() - due));
    }
}
