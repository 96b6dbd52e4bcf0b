use std::time::{Duration, Instant};

/// Tells when a batch that waits for company has waited long enough.
#[derive(Debug)]
pub(super) struct BatchTimer {
    /// `None`: no batch waits, and the clock is never read.
    latency: Option<Duration>,
    began: Option<Instant>,
    /// When the commit that is under way began.
    commit_began: Option<Instant>,
    /// How long the last commit took: the next one has to begin that much earlier for its first
    /// entry to be durable in time.
    last_commit: Duration,
}

impl BatchTimer {
    pub(super) fn new(latency: Option<Duration>) -> Self {
        Self { latency, began: None, commit_began: None, last_commit: Duration::ZERO }
    }

    /// True once the pending batch is due. Starts the batch timer if it is not running.
    pub(super) fn is_due(&mut self) -> bool {
        let Some(latency) = self.latency else {
            return true;
        };
        let began = *self.began.get_or_insert_with(Instant::now);
        began.elapsed() + self.last_commit >= latency
    }

    pub(super) fn commit_begins(&mut self) {
        self.began = None;
        self.commit_began = self.latency.map(|_| Instant::now());
    }

    pub(super) fn commit_ended(&mut self) {
        if let Some(began) = self.commit_began.take() {
            self.last_commit = began.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn an_hour_ago() -> Option<Instant> {
        Instant::now().checked_sub(HOUR)
    }

    #[test]
    fn without_a_latency_everything_is_due_and_no_clock_is_read() {
        let mut timer = BatchTimer::new(None);
        assert!(timer.is_due());
        timer.commit_begins();
        assert_eq!((timer.began, timer.commit_began), (None, None));
    }

    #[test]
    fn a_batch_is_due_when_it_has_waited_for_the_latency() {
        let mut timer = BatchTimer::new(Some(HOUR));
        assert!(!timer.is_due());
        timer.began = an_hour_ago();
        assert!(timer.is_due());
        timer.commit_begins();
        assert!(!timer.is_due(), "the next batch has only begun to wait");
    }

    /// Its first entry is to be durable within the latency, not on its way.
    #[test]
    fn a_batch_is_due_sooner_by_what_the_last_commit_took() {
        let mut timer = BatchTimer::new(Some(HOUR));
        timer.commit_begins();
        assert!(timer.commit_began.is_some());
        timer.commit_began = an_hour_ago();
        timer.commit_ended();
        assert!(timer.is_due());
        // A commit that is ended twice, as by a writer that was halted, has not taken longer.
        timer.last_commit = Duration::ZERO;
        timer.commit_ended();
        assert!(!timer.is_due());
    }
}
