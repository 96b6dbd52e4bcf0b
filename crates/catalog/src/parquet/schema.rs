//! The columns of each class, as `docs/replay.md` lists them.

use crate::market_data::{Aggressor, BookAction, BookSide, MarketDataClass};

/// The columns of each class; what else a file has is not looked at.
const BOOK_DELTAS: [&str; 9] =
    ["ts_init", "ts_event", "action", "side", "price", "size", "order_id", "sequence", "last"];
const QUOTE: [&str; 6] = ["ts_init", "ts_event", "bid_price", "ask_price", "bid_size", "ask_size"];
const TRADE: [&str; 5] = ["ts_init", "ts_event", "price", "size", "aggressor"];
const BAR: [&str; 7] = ["ts_init", "ts_event", "open", "high", "low", "close", "volume"];
const BOOK_DEPTH10: [&str; 2 + 6 * LEVELS] = {
    macro_rules! of_levels {
        ($($name:literal)*) => {
            [$([
                concat!($name, "_0"), concat!($name, "_1"), concat!($name, "_2"),
                concat!($name, "_3"), concat!($name, "_4"), concat!($name, "_5"),
                concat!($name, "_6"), concat!($name, "_7"), concat!($name, "_8"),
                concat!($name, "_9"),
            ]),*]
        };
    }
    let groups: [[&str; LEVELS]; 6] = of_levels!(
        "bid_price" "bid_size" "bid_orders" "ask_price" "ask_size" "ask_orders"
    );
    let mut columns = [""; 2 + 6 * LEVELS];
    columns[TS_INIT] = "ts_init";
    columns[TS_EVENT] = "ts_event";
    let mut at = 0;
    while at < 6 * LEVELS {
        columns[2 + at] = groups[at / LEVELS][at % LEVELS];
        at += 1;
    }
    columns
};
/// Levels on each side of a `BookDepth10`.
pub(super) const LEVELS: usize = 10;
/// First in each.
pub(super) const TS_INIT: usize = 0;
pub(super) const TS_EVENT: usize = 1;

pub(super) const fn columns_of(class: MarketDataClass) -> &'static [&'static str] {
    match class {
        MarketDataClass::BookDeltas => &BOOK_DELTAS,
        MarketDataClass::BookDepth10 => &BOOK_DEPTH10,
        MarketDataClass::Quote => &QUOTE,
        MarketDataClass::Trade => &TRADE,
        MarketDataClass::Bar => &BAR,
    }
}

/// Which of the columns of `BookDeltas` says that a message ends.
pub(super) const LAST: usize = 8;

/// A column has the place of its value in one of these.
pub(super) const ACTIONS: [BookAction; 4] =
    [BookAction::Add, BookAction::Update, BookAction::Delete, BookAction::Clear];
pub(super) const SIDES: [BookSide; 3] = [BookSide::None, BookSide::Bid, BookSide::Ask];
pub(super) const AGGRESSORS: [Aggressor; 3] =
    [Aggressor::Unknown, Aggressor::Buyer, Aggressor::Seller];

/// The value in place `number`.
pub(super) fn value_at<T: Copy>(values: &[T], number: i64) -> Option<T> {
    values.get(usize::try_from(number).ok()?).copied()
}

/// The place of a value. Each list has all values of its type.
pub(super) fn place_of<T: PartialEq>(values: &[T], value: &T) -> usize {
    values.iter().position(|other| other == value).expect("the list has all values")
}

/// True for a column of times.
pub(super) fn is_time(column: &str) -> bool {
    column.starts_with("ts_")
}
