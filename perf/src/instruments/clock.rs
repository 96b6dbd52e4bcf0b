use quanta::Clock;

/// Nanoseconds since the clock was made, read from the processor's cycle counter where that can be
/// trusted, else from the system's monotonic clock. Clones share their zero.
///
/// The counter is read without fences. What the processor has begun but not finished when it reads
/// it, such as stores on their way to the cache, counts to whatever is measured next.
#[derive(Debug, Clone)]
pub(crate) struct TickClock {
    clock: Clock,
    zero: u64,
}

impl TickClock {
    /// Calibrates the counter, which takes some milliseconds.
    pub(crate) fn new() -> Self {
        let clock = Clock::new();
        let zero = clock.raw();
        Self { clock, zero }
    }

    /// The time now, in nanoseconds since the clock was made.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.clock.delta_as_nanos(self.zero, self.clock.raw())
    }

    /// What two readings with nothing between them measure, in nanoseconds: the part of every
    /// measured duration that is the measurement. The median over batches of the mean in a batch.
    pub(crate) fn overhead_ns(&self) -> f64 {
        const BATCHES: usize = 1_001;
        const PAIRS: u64 = 1_000;
        let mut means: Vec<f64> = (0..BATCHES)
            .map(|_| {
                let pairs = (0..PAIRS).map(|_| {
                    let before = self.now();
                    self.now() - before
                });
                pairs.sum::<u64>() as f64 / PAIRS as f64
            })
            .collect();
        means.sort_by(f64::total_cmp);
        means[BATCHES / 2]
    }
}
