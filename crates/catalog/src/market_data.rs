use std::fmt;

use serde::{Deserialize, Serialize};
use tapline::UnixNanos;

/// A class of market data that a catalog can hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarketDataClass {
    /// Best bid and offer.
    Quote,
    /// Trades.
    Trade,
    /// Bars.
    Bar,
}

impl MarketDataClass {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::Quote, Self::Trade, Self::Bar];

    /// `quote`, `trade` or `bar`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quote => "quote",
            Self::Trade => "trade",
            Self::Bar => "bar",
        }
    }
}

impl fmt::Display for MarketDataClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One record of market data. Prices and sizes are integers in the catalog's own unit (ticks, or a
/// fixed number of decimals): nothing here computes with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketRecord {
    /// Best bid and offer.
    Quote(Quote),
    /// A trade.
    Trade(Trade),
    /// A bar.
    Bar(Bar),
}

impl MarketRecord {
    /// When the record came to be in the system it was recorded by: what a replay is ordered by.
    pub fn ts_init(&self) -> UnixNanos {
        match self {
            Self::Quote(quote) => quote.ts_init,
            Self::Trade(trade) => trade.ts_init,
            Self::Bar(bar) => bar.ts_init,
        }
    }
}

/// Best bid and offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// When it happened at its venue.
    pub ts_event: UnixNanos,
    /// When the record came to be.
    pub ts_init: UnixNanos,
    /// The best bid.
    pub bid_price: i64,
    /// The best offer.
    pub ask_price: i64,
    /// What is bid for at that price.
    pub bid_size: u64,
    /// What is offered at that price.
    pub ask_size: u64,
}

/// A trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// When it happened at its venue.
    pub ts_event: UnixNanos,
    /// When the record came to be.
    pub ts_init: UnixNanos,
    /// Its price.
    pub price: i64,
    /// Its size.
    pub size: u64,
    /// Who crossed the spread.
    pub aggressor: Aggressor,
}

/// Who crossed the spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggressor {
    /// The venue does not say.
    Unknown,
    /// The buyer.
    Buyer,
    /// The seller.
    Seller,
}

/// A bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// When it ended.
    pub ts_event: UnixNanos,
    /// When the record came to be.
    pub ts_init: UnixNanos,
    /// The first price.
    pub open: i64,
    /// The highest price.
    pub high: i64,
    /// The lowest price.
    pub low: i64,
    /// The last price.
    pub close: i64,
    /// What was traded.
    pub volume: u64,
}
