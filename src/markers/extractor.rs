use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::model::{DataMarkerClass, Fingerprint, Hash, UnixNanos};

/// What a marker says about a piece of market data.
#[derive(Debug, Clone, Copy)]
pub struct DataPoint<'a> {
    /// What kind of data it is.
    pub class: DataMarkerClass,
    /// The instrument, or the type of bar.
    pub identifier: &'a str,
    /// When the data happened at its venue.
    pub ts_event: UnixNanos,
    /// When the record was created.
    pub ts_init: UnixNanos,
}

/// How one message type is marked.
///
/// The extracting function runs on the publishing thread for every message. It should not allocate
/// or block.
///
/// ```
/// use tapline::DataMarkerClass;
/// use tapline::markers::{DataPoint, Extractor, ExtractorRegistry};
///
/// struct Trade { instrument: String, price: i64, size: u64, ts: u64 }
///
/// let extractor = Extractor::new(|trade: &Trade| {
///     Some(DataPoint {
///         class: DataMarkerClass::Trade,
///         identifier: &trade.instrument,
///         ts_event: trade.ts.into(),
///         ts_init: trade.ts.into(),
///     })
/// })
/// .fingerprinted_by(|trade, hasher| {
///     hasher.update(&trade.price.to_le_bytes()).update(&trade.size.to_le_bytes());
/// });
///
/// let mut registry = ExtractorRegistry::new();
/// registry.register(extractor)?;
/// # Ok::<(), tapline::capture::RegisterError>(())
/// ```
pub struct Extractor<T> {
    erased: ErasedExtractor,
    message: PhantomData<fn(&T)>,
}

impl<T: 'static> Extractor<T> {
    /// An extractor that calls `extract` for each message. `extract` returns `None` if the message
    /// is no market data.
    pub fn new(
        extract: impl for<'a> Fn(&'a T) -> Option<DataPoint<'a>> + Send + Sync + 'static,
    ) -> Self {
        let erased = ErasedExtractor {
            extract: Arc::new(move |message| extract(message.downcast_ref()?)),
            fingerprint: None,
            is_captured: true,
        };
        Self { erased, message: PhantomData }
    }

    /// Adds a fingerprint: `fingerprint` writes bytes that tell one record from another. It is used
    /// for instruments that are marked with high fidelity. To compare records from elsewhere, write
    /// the same bytes for them. Without a fingerprint, records of this type have no markers of
    /// their own.
    #[must_use]
    pub fn fingerprinted_by(
        mut self,
        fingerprint: impl Fn(&T, &mut Fingerprint) + Send + Sync + 'static,
    ) -> Self {
        self.erased.fingerprint = Some(Arc::new(move |message| {
            let mut bytes = Fingerprint::default();
            fingerprint(message.downcast_ref()?, &mut bytes);
            Some(bytes.finish())
        }));
        self
    }

    pub(super) fn erase(self) -> ErasedExtractor {
        self.erased
    }
}

/// An extractor without its message type. There is only one call in between, because it runs for
/// every message.
#[derive(Clone)]
pub(super) struct ErasedExtractor {
    /// Returns `None` if the message is no market data.
    pub(super) extract: Arc<ExtractFn>,
    pub(super) fingerprint: Option<Arc<FingerprintFn>>,
    /// True if messages of the type may have an encoder too.
    pub(super) is_captured: bool,
}

type ExtractFn = dyn for<'a> Fn(&'a dyn Any) -> Option<DataPoint<'a>> + Send + Sync;
type FingerprintFn = dyn Fn(&dyn Any) -> Option<Hash> + Send + Sync;
