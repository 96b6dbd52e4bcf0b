//! The demo's market data. It passes the taps uncaptured, and is marked where the run has a
//! sidecar.

use tapline::capture::{EncoderRegistry, RegisterError};
use tapline::markers::{DataPoint, Extractor, ExtractorRegistry};
use tapline::{DataMarkerClass, Fingerprint, UnixNanos};

pub(super) const QUOTE_TOPIC: &str = "data.quotes.ES.SIM";
pub(super) const TRADE_TOPIC: &str = "data.trades.ES.SIM";
pub(super) const BAR_TOPIC: &str = "data.bars.ES.SIM";
pub(super) const BOOK_DELTA_TOPIC: &str = "data.book.deltas.ES.SIM";
pub(super) const BOOK_DEPTH_TOPIC: &str = "data.book.depth.ES.SIM";

/// The one instrument.
pub(super) const INSTRUMENT: &str = "ES.SIM";
/// Its bars, each of so many trades.
pub(super) const BAR_TYPE: &str = "ES.SIM-100-TICK-LAST";

/// Best bid and offer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quote {
    pub(super) bid_ticks: i64,
    pub(super) ask_ticks: i64,
    pub(super) ts_init: UnixNanos,
}

/// A trade.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trade {
    pub(super) price_ticks: i64,
    pub(super) quantity: u32,
    pub(super) ts_init: UnixNanos,
}

/// The trades of a stretch, in short.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    pub(super) open_ticks: i64,
    pub(super) high_ticks: i64,
    pub(super) low_ticks: i64,
    pub(super) close_ticks: i64,
    pub(super) trades: u32,
    pub(super) ts_init: UnixNanos,
}

/// One level of the book has changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct BookDelta {
    pub(super) price_ticks: i64,
    pub(super) quantity: u32,
    pub(super) ts_init: UnixNanos,
}

/// The prices of the first ten levels on both sides.
#[derive(Debug, Clone, Copy)]
pub(super) struct BookDepth10 {
    pub(super) bids_ticks: [i64; 10],
    pub(super) asks_ticks: [i64; 10],
    pub(super) ts_init: UnixNanos,
}

/// Lets all market data pass a strict registry.
pub(super) fn pass(registry: &mut EncoderRegistry) -> Result<(), RegisterError> {
    registry.pass::<Quote>()?;
    registry.pass::<Trade>()?;
    registry.pass::<Bar>()?;
    registry.pass::<BookDelta>()?;
    registry.pass::<BookDepth10>()
}

/// How the node's market data is marked beside a run.
#[expect(clippy::missing_panics_doc, reason = "no type is registered twice")]
pub fn extractors() -> ExtractorRegistry {
    let mut registry = ExtractorRegistry::new();
    register(&mut registry).expect("each type is registered once");
    registry
}

fn register(registry: &mut ExtractorRegistry) -> Result<(), RegisterError> {
    let class = DataMarkerClass::Quote;
    registry.register(
        extractor(class, INSTRUMENT, |quote: &Quote| quote.ts_init)
            .fingerprinted_by(|quote, hasher| hash(hasher, &[quote.bid_ticks, quote.ask_ticks])),
    )?;
    let class = DataMarkerClass::Trade;
    registry.register(
        extractor(class, INSTRUMENT, |trade: &Trade| trade.ts_init).fingerprinted_by(
            |trade, hasher| hash(hasher, &[trade.price_ticks, i64::from(trade.quantity)]),
        ),
    )?;
    registry.register(
        extractor(DataMarkerClass::Bar, BAR_TYPE, |bar: &Bar| bar.ts_init).fingerprinted_by(
            |bar, hasher| {
                let Bar { open_ticks, high_ticks, low_ticks, close_ticks, trades, .. } = *bar;
                hash(hasher, &[open_ticks, high_ticks, low_ticks, close_ticks, trades.into()]);
            },
        ),
    )?;
    let class = DataMarkerClass::BookDeltas;
    registry.register(
        extractor(class, INSTRUMENT, |delta: &BookDelta| delta.ts_init).fingerprinted_by(
            |delta, hasher| hash(hasher, &[delta.price_ticks, i64::from(delta.quantity)]),
        ),
    )?;
    let class = DataMarkerClass::BookDepth10;
    registry.register(
        extractor(class, INSTRUMENT, |depth: &BookDepth10| depth.ts_init).fingerprinted_by(
            |depth, hasher| {
                hash(hasher, &depth.bids_ticks);
                hash(hasher, &depth.asks_ticks);
            },
        ),
    )
}

/// The venue is in this process: what happens there comes to be here at the same time.
fn extractor<T: 'static>(
    class: DataMarkerClass,
    identifier: &'static str,
    ts_init: fn(&T) -> UnixNanos,
) -> Extractor<T> {
    Extractor::new(move |data| {
        let ts_init = ts_init(data);
        Some(DataPoint { class, identifier, ts_event: ts_init, ts_init })
    })
}

fn hash(hasher: &mut Fingerprint, numbers: &[i64]) {
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
}
