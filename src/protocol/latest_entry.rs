use crate::sync::{Arc, AtomicU64, CachePadded, Ordering};

/// The stamp of whichever entry was pushed last, by any producer: tells a tap whether market data needs a stamp of its
/// own, or can go by that of the data before it.
///
/// Market data only has to be ordered against entries, and a stamp is what costs most of a mark. Let A see data x0,
/// look here, and take a stamp t0 for it; then see data x, look here again and find the same. Then x may have the
/// stamp t0 as well:
///
/// - An entry y that comes after x (x was seen before the code runs that causes y) is stamped after x0 was: t0 <
///   stamp(y).
/// - An entry y that comes before x has stored its stamp here before A looked for x. A found what it had found for
///   x0, so y's store is no later than the one that A found then, and t0 was taken after that was found: stamp(y) < t0.
///   Stamps that are found are never equal by chance, since a producer's stamps rise, and two of one value cannot be
///   taken one after the other.
///
/// A mark may reach its ring after the writer has taken entries of later stamps. None of them comes after it, or the
/// writer would have looked into the ring later than that; it is ordered behind them.
#[derive(Debug, Clone)]
pub(crate) struct LatestEntry(Arc<CachePadded<AtomicU64>>);

impl LatestEntry {
    pub(crate) fn new() -> Self {
        Self(Arc::new(CachePadded::new(AtomicU64::new(0))))
    }

    /// Producer: an entry has been given `stamp`. Before anything can be caused by it.
    #[inline]
    pub(crate) fn note(&self, stamp: u64) {
        // Release pairs with the Acquire in `get`.
        self.0.store(stamp, Ordering::Release);
    }

    /// Producer: the last stamp that was noted, for comparison with what was found before. To be asked before a stamp
    /// is taken.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        // Acquire pairs with the Release in `note`: the stamp that is taken next is later than the one found.
        self.0.load(Ordering::Acquire)
    }
}
