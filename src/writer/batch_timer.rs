use std::time::{Duration, Instant};

/// Tells when a batch that waits for company has waited long enough.
#[derive(Debug)]
pub(super) struct BatchTimer {
    /// `None`: no batch waits, and the clock is never read.
    latency: Option<Duration>,
    began: Option<Instant>,
    /// When the commit that is under way began.
    commit_began: Option<Instant>,
    /// How long the last commit took: the next one has to begin that much earlier for its first entry
    /// to be durable in time.
    last_commit: Duration,
}

impl BatchTimer {
    pub(super) fn new(latency: Option<Duration>) -> Self {
        Self { latency, began: None, commit_began: None, last_commit: Duration::ZERO }
    }

    /// Whether what is pending, which it is since now if it was not before, is to be committed.
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
