use crate::sync::{AtomicU64, CachePadded, Ordering};

/// Counts the entries that all producers have pushed. A tap uses it to decide if market data needs
/// a new order stamp, see [`MarkStamp`].
#[derive(Debug)]
pub(crate) struct LatestEntry(CachePadded<AtomicU64>);

impl LatestEntry {
    pub(crate) fn new() -> Self {
        Self(CachePadded::new(AtomicU64::new(0)))
    }

    /// Called by a producer that has pushed an entry, before it tells anybody.
    #[inline]
    pub(crate) fn note(&self) {
        // Release pairs with the Acquire in `get`. A plain store would break the release sequence
        // of earlier entries. Who reads this count has to see their pushes too.
        self.0.fetch_add(1, Ordering::Release);
    }

    #[inline]
    fn get(&self) -> u64 {
        // Acquire pairs with the Release in `note`. So a stamp that is taken next is later than
        // those of all entries counted so far. And a writer that takes its horizon after that stamp
        // sees their pushes.
        self.0.load(Ordering::Acquire)
    }
}

/// Order stamps for one producer's market data.
///
/// Taking a stamp is most of a mark's cost. Data only has to be ordered against entries. So while
/// no entry was pushed, the stamp before is good enough.
///
/// Let a producer see data x0, read the count of entries, and take a stamp t0. Later it sees data x
/// and reads the same count. Then x may have the stamp t0 as well:
///
/// - Let entry y come after x: x was seen before the code ran that caused y. Then y was stamped
///   after x0 was, so t0 < stamp(y). The mark of x was pushed before y was stamped, so a writer
///   that takes y sees the mark.
/// - Let entry y come before x. Then y was pushed and counted before this producer read the count
///   for x. It read the same count as for x0, so y was already in the count for x0. t0 was taken
///   after that, so stamp(y) < t0. The push of y was visible before t0 was taken. A writer that
///   takes x has a later horizon, so it sees y. The two reads are not equal by chance: they are
///   counts. Stamps would not do, because two producers can have the same one.
///
/// An entry is counted after its push, not when it is stamped. Otherwise its push could still be to
/// come when the writer looks into its ring. Data that the entry caused could then be taken in the
/// same round, from a ring that the writer looks into later.
///
/// A mark may reach its ring after the writer has taken entries with later stamps. None of these
/// entries comes after the mark's data, or the writer would have looked into the mark's ring later.
/// The mark is ordered behind them. The same holds for data that was caused by an entry that is
/// durable but not counted yet.
#[derive(Debug)]
pub(crate) struct MarkStamp {
    /// The count of entries when the stamp was taken.
    found: Option<u64>,
    stamp: u64,
}

impl MarkStamp {
    pub(crate) const fn new() -> Self {
        Self { found: None, stamp: 0 }
    }

    /// The stamp of a mark that is about to be pushed. `take` takes a new one from the order clock.
    #[inline]
    pub(crate) fn get(&mut self, latest: &LatestEntry, take: impl FnOnce() -> u64) -> u64 {
        let found = Some(latest.get());
        if found != self.found {
            self.found = found;
            self.stamp = take();
        }
        self.stamp
    }
}
