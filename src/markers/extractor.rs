use std::any::Any;

use crate::model::{DataMarkerClass, Hash, UnixNanos};

/// What is marked of a piece of market data.
#[derive(Debug, Clone, Copy)]
pub struct DataPoint<'a> {
    /// The instrument, or the type of bar.
    pub identifier: &'a str,
    /// When it happened at its venue.
    pub ts_event: UnixNanos,
    /// When the record came to be.
    pub ts_init: UnixNanos,
}

/// How one message type is marked.
///
/// The function that extracts runs on the publishing thread for every message, so it should not allocate or block.
///
/// ```
/// use tapline::DataMarkerClass;
/// use tapline::markers::{DataPoint, Extractor, ExtractorRegistry};
///
/// struct Trade { instrument: String, price: i64, size: u64, ts: u64 }
///
/// let extractor = Extractor::new(DataMarkerClass::Trade, |trade: &Trade| DataPoint {
///     identifier: &trade.instrument,
///     ts_event: trade.ts.into(),
///     ts_init: trade.ts.into(),
/// })
/// .fingerprinted_by(|trade, hasher| {
///     hasher.update(&trade.price.to_le_bytes()).update(&trade.size.to_le_bytes());
/// });
///
/// let mut registry = ExtractorRegistry::new();
/// registry.register(extractor)?;
/// # Ok::<(), tapline::markers::ExtractorError>(())
/// ```
pub struct Extractor<T> {
    class: DataMarkerClass,
    extract: ExtractFn<T>,
    fingerprint: Option<FingerprintFn<T>>,
}

type ExtractFn<T> = Box<dyn for<'a> Fn(&'a T) -> DataPoint<'a> + Send + Sync>;
type FingerprintFn<T> = Box<dyn Fn(&T, &mut blake3::Hasher) + Send + Sync>;

impl<T: 'static> Extractor<T> {
    /// An extractor for messages that are data of `class`.
    pub fn new(
        class: DataMarkerClass,
        extract: impl for<'a> Fn(&'a T) -> DataPoint<'a> + Send + Sync + 'static,
    ) -> Self {
        Self { class, extract: Box::new(extract), fingerprint: None }
    }

    /// Adds how a record is told from others, for instruments that are marked with high fidelity: by the bytes that
    /// `fingerprint` writes. Whoever wants to compare has to write the same bytes of a record from elsewhere.
    /// Without it, no record of this type has a marker of its own.
    #[must_use]
    pub fn fingerprinted_by(
        mut self,
        fingerprint: impl Fn(&T, &mut blake3::Hasher) + Send + Sync + 'static,
    ) -> Self {
        self.fingerprint = Some(Box::new(fingerprint));
        self
    }
}

/// An extractor with its message type erased.
pub(super) trait ErasedExtractor: Send + Sync {
    fn class(&self) -> DataMarkerClass;
    fn extract<'a>(&self, message: &'a dyn Any) -> DataPoint<'a>;
    fn fingerprint(&self, message: &dyn Any) -> Option<Hash>;
}

impl<T: 'static> ErasedExtractor for Extractor<T> {
    fn class(&self) -> DataMarkerClass {
        self.class
    }

    fn extract<'a>(&self, message: &'a dyn Any) -> DataPoint<'a> {
        (self.extract)(concrete(message))
    }

    fn fingerprint(&self, message: &dyn Any) -> Option<Hash> {
        let fingerprint = self.fingerprint.as_ref()?;
        let mut hasher = blake3::Hasher::new();
        fingerprint(concrete(message), &mut hasher);
        Some(hasher.finalize())
    }
}

fn concrete<T: 'static>(message: &dyn Any) -> &T {
    message.downcast_ref().expect("the registry finds extractors by the message's own type")
}
