//! The demo's market data as a catalog has it.

use std::any::Any;

use tapline::UnixNanos;
use tapline::bus::MessageBus;
use tapline_catalog::{
    Aggressor, Bar as BarRecord, BookAction, BookDelta as DeltaRecord, BookDeltas,
    BookDepth10 as DepthRecord, BookLevel, BookSide, MarketRecord, Quote as QuoteRecord,
    Trade as TradeRecord,
};

use super::market::{BAR_TYPE, Bar, BookDelta, BookDepth10, INSTRUMENT, Quote, Trade};

/// What the venue's quotes and levels are for.
const SIZE: u64 = 10;

/// Calls `take` with each record of market data that is published on `bus`, and its instrument or
/// type of bar. In the order in which they are published, on the thread of the bus.
pub fn on_market_data(bus: &MessageBus, take: impl Fn(&'static str, MarketRecord) + 'static) {
    bus.subscribe("data.*", move |message| {
        if let Some((instrument, record)) = record_of(message) {
            take(instrument, record);
        }
    });
}

fn record_of(message: &dyn Any) -> Option<(&'static str, MarketRecord)> {
    if let Some(quote) = message.downcast_ref() {
        return Some((INSTRUMENT, quote_record(*quote)));
    }
    if let Some(Trade { price_ticks, quantity, ts_init }) = message.downcast_ref() {
        return Some((INSTRUMENT, trade_record(*price_ticks, *quantity, *ts_init)));
    }
    if let Some(BookDelta { price_ticks, quantity, ts_init }) = message.downcast_ref() {
        return Some((INSTRUMENT, delta_record(*price_ticks, *quantity, *ts_init)));
    }
    if let Some(depth) = message.downcast_ref() {
        return Some((INSTRUMENT, depth_record(depth)));
    }
    let bar: &Bar = message.downcast_ref()?;
    Some((BAR_TYPE, bar_record(*bar)))
}

fn quote_record(Quote { bid_ticks, ask_ticks, ts_init }: Quote) -> MarketRecord {
    let (bid_price, ask_price, bid_size, ask_size) = (bid_ticks, ask_ticks, SIZE, SIZE);
    let ts_event = ts_init;
    MarketRecord::Quote(QuoteRecord { ts_event, ts_init, bid_price, ask_price, bid_size, ask_size })
}

fn trade_record(price: i64, quantity: u32, ts_init: UnixNanos) -> MarketRecord {
    let (ts_event, size, aggressor) = (ts_init, quantity.into(), Aggressor::Unknown);
    MarketRecord::Trade(TradeRecord { ts_event, ts_init, price, size, aggressor })
}

fn delta_record(price: i64, quantity: u32, ts_init: UnixNanos) -> MarketRecord {
    let (action, side, size) = (BookAction::Update, BookSide::None, quantity.into());
    let delta = DeltaRecord { action, side, price, size, order_id: 0, sequence: 0 };
    MarketRecord::BookDeltas(BookDeltas { ts_event: ts_init, ts_init, deltas: vec![delta] })
}

fn depth_record(depth: &BookDepth10) -> MarketRecord {
    let BookDepth10 { bids_ticks, asks_ticks, ts_init } = *depth;
    let level = |price| BookLevel { price, size: SIZE, orders: 0 };
    let (bids, asks) = (bids_ticks.map(level), asks_ticks.map(level));
    let ts_event = ts_init;
    MarketRecord::BookDepth10(Box::new(DepthRecord { ts_event, ts_init, bids, asks }))
}

fn bar_record(bar: Bar) -> MarketRecord {
    let Bar { open_ticks, high_ticks, low_ticks, close_ticks, trades, ts_init } = bar;
    MarketRecord::Bar(BarRecord {
        ts_event: ts_init,
        ts_init,
        open: open_ticks,
        high: high_ticks,
        low: low_ticks,
        close: close_ticks,
        volume: trades.into(),
    })
}
