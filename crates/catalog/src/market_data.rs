use std::fmt;

use serde::{Deserialize, Serialize};
use tapline::{DataMarkerClass, UnixNanos};

/// A class of market data that a catalog can hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarketDataClass {
    /// Changes to an order book.
    BookDeltas,
    /// The first ten levels of an order book.
    BookDepth10,
    /// Best bid and offer.
    Quote,
    /// Trades.
    Trade,
    /// Bars.
    Bar,
}

impl MarketDataClass {
    /// All classes.
    pub const ALL: [Self; 5] =
        [Self::BookDeltas, Self::BookDepth10, Self::Quote, Self::Trade, Self::Bar];

    /// `book_deltas`, `book_depth10`, `quote`, `trade` or `bar`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BookDeltas => "book_deltas",
            Self::BookDepth10 => "book_depth10",
            Self::Quote => "quote",
            Self::Trade => "trade",
            Self::Bar => "bar",
        }
    }
}

impl From<DataMarkerClass> for MarketDataClass {
    fn from(class: DataMarkerClass) -> Self {
        match class {
            DataMarkerClass::BookDeltas => Self::BookDeltas,
            DataMarkerClass::BookDepth10 => Self::BookDepth10,
            DataMarkerClass::Quote => Self::Quote,
            DataMarkerClass::Trade => Self::Trade,
            DataMarkerClass::Bar => Self::Bar,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "market", rename_all = "snake_case")]
pub enum MarketRecord {
    /// Changes to an order book.
    BookDeltas(BookDeltas),
    /// The first ten levels of an order book.
    BookDepth10(Box<BookDepth10>),
    /// Best bid and offer.
    Quote(Quote),
    /// A trade.
    Trade(Trade),
    /// A bar.
    Bar(Bar),
}

impl MarketRecord {
    /// Its class.
    pub const fn class(&self) -> MarketDataClass {
        match self {
            Self::BookDeltas(_) => MarketDataClass::BookDeltas,
            Self::BookDepth10(_) => MarketDataClass::BookDepth10,
            Self::Quote(_) => MarketDataClass::Quote,
            Self::Trade(_) => MarketDataClass::Trade,
            Self::Bar(_) => MarketDataClass::Bar,
        }
    }

    /// When the record came to be in the system it was recorded by: what a replay is ordered by.
    pub fn ts_init(&self) -> UnixNanos {
        match self {
            Self::BookDeltas(deltas) => deltas.ts_init,
            Self::BookDepth10(depth) => depth.ts_init,
            Self::Quote(quote) => quote.ts_init,
            Self::Trade(trade) => trade.ts_init,
            Self::Bar(bar) => bar.ts_init,
        }
    }
}

/// Changes to an order book that came as one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookDeltas {
    /// When the last of them happened at its venue.
    pub ts_event: UnixNanos,
    /// When the record came to be.
    pub ts_init: UnixNanos,
    /// The changes, in their order. At least one.
    pub deltas: Vec<BookDelta>,
}

/// A change to an order book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BookDelta {
    /// What is changed.
    pub action: BookAction,
    /// On which side.
    pub side: BookSide,
    /// The price of the order or level.
    pub price: i64,
    /// Its size.
    pub size: u64,
    /// The venue's id of the order; 0 if the venue does not say.
    pub order_id: u64,
    /// The venue's number of the change; 0 if the venue does not say.
    pub sequence: u64,
}

/// What a change to an order book does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BookAction {
    /// Adds an order or level.
    Add,
    /// Updates one.
    Update,
    /// Deletes one.
    Delete,
    /// Clears the side; without a side, the whole book.
    Clear,
}

/// A side of an order book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BookSide {
    /// No side, as for a change that clears the whole book.
    None,
    /// Bids.
    Bid,
    /// Offers.
    Ask,
}

/// The first ten levels of an order book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BookDepth10 {
    /// When it happened at its venue.
    pub ts_event: UnixNanos,
    /// When the record came to be.
    pub ts_init: UnixNanos,
    /// The best bid first.
    pub bids: [BookLevel; 10],
    /// The best offer first.
    pub asks: [BookLevel; 10],
}

/// A level of an order book. One that the book does not have is all 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BookLevel {
    /// Its price.
    pub price: i64,
    /// Its size.
    pub size: u64,
    /// How many orders it has; 0 if the venue does not say.
    pub orders: u64,
}

/// Best bid and offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggressor {
    /// The venue does not say.
    Unknown,
    /// The buyer.
    Buyer,
    /// The seller.
    Seller,
}

/// A bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
