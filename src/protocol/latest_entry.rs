use crate::sync::{AtomicU64, CachePadded, Ordering};

/// How many entries have been pushed, by all producers. It tells a tap whether market data needs an
/// order stamp of its own, see [`MarkStamp`].
#[derive(Debug)]
pub(crate) struct LatestEntry(CachePadded<AtomicU64>);

impl LatestEntry {
    pub(crate) fn new() -> Self {
        Self(CachePadded::new(AtomicU64::new(0)))
    }

    /// Producer: an entry has been pushed. Before anybody is told so.
    #[inline]
    pub(crate) fn note(&self) {
        // Release pairs with the Acquire in `get`. A store would end what earlier entries have released: whoever finds
        // this one has to see their pushes too.
        self.0.fetch_add(1, Ordering::Release);
    }

    #[inline]
    fn get(&self) -> u64 {
        // Acquire pairs with the Release in `note`: a stamp that is taken next is later than the one found, and who
        // takes a horizon after it sees the pushes of all entries noted so far.
        self.0.load(Ordering::Acquire)
    }
}

/// Order stamps for one producer's market data. To take a stamp is what costs most of a mark, and data only has to be
/// ordered against entries: as long as none was pushed, the stamp before will do.
///
/// Let this producer see data x0, find some latest entry, and take a stamp t0; then see data x and find the same. Why x
/// can have the stamp t0 as well:
///
/// - An entry y that comes after x (x was seen before the code runs that causes y) is stamped after x0 was: t0 <
///   stamp(y). And the mark of x was pushed before y was stamped, so that a writer that takes y sees it.
/// - An entry y that comes before x has been pushed, and then noted, before this producer looked for x. It found what it
///   had found for x0, so y was noted no later than what it found then, and t0 was taken after that: stamp(y) < t0. And y's
///   push was visible before t0 was taken, so that a writer that takes x, whose horizon is later, sees it. What is found is
///   not the same by chance: it is a count, not a stamp, which two producers can have in common.
///
/// Noted when it is stamped, an entry would be too early: its push could still be to come when the writer looks into its
/// ring, and data that was caused by it be taken in the same round, from a ring that is looked into later.
///
/// A mark may reach its ring after the writer has taken entries of later stamps. None of them comes after it, or the
/// writer would have looked into its ring later than that; it is ordered behind them. So is data that was caused by an entry
/// which is known to be durable but not noted yet.
#[derive(Debug)]
pub(crate) struct MarkStamp {
    /// The latest entry when the stamp was taken.
    found: Option<u64>,
    stamp: u64,
}

impl MarkStamp {
    pub(crate) const fn new() -> Self {
        Self { found: None, stamp: 0 }
    }

    /// The stamp of a mark that is about to be pushed; `take` takes one from the order clock.
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
