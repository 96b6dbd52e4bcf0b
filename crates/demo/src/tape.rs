use tapline::UnixNanos;
use tapline::bus::{BusError, MessageBus};

use super::market::{
    BAR_TOPIC, BOOK_DELTA_TOPIC, BOOK_DEPTH_TOPIC, Bar, BookDelta, BookDepth10, QUOTE_TOPIC, Quote,
    TRADE_TOPIC, Trade,
};

/// Trades to a bar.
const TRADES_A_BAR: u32 = 100;
/// Ticks from the best price to each level of the book.
const LEVELS: [i64; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
/// Quotes between two snapshots of the book.
const QUOTES_A_DEPTH: u64 = 64;

/// What the venue tells everybody: quotes and book changes as its price moves, trades, and bars of
/// them.
pub(super) struct Tape {
    mid_ticks: i64,
    quotes: u64,
    /// The bar that is not complete yet.
    bar: Option<Bar>,
}

impl Tape {
    pub(super) fn new() -> Self {
        Self { mid_ticks: 20_000, quotes: 0, bar: None }
    }

    /// Moves the price by a tick.
    pub(super) fn quote(&mut self, bus: &MessageBus, rises: bool) -> Result<Quote, BusError> {
        self.mid_ticks += if rises { 1 } else { -1 };
        self.quotes += 1;
        let ts_init = UnixNanos::now();
        let (bid_ticks, ask_ticks) = (self.mid_ticks - 1, self.mid_ticks + 1);
        let price_ticks = if rises { ask_ticks } else { bid_ticks };
        bus.publish(BOOK_DELTA_TOPIC, &BookDelta { price_ticks, quantity: 10, ts_init })?;
        if self.quotes.is_multiple_of(QUOTES_A_DEPTH) {
            let depth = BookDepth10 {
                bids_ticks: LEVELS.map(|level| bid_ticks - level),
                asks_ticks: LEVELS.map(|level| ask_ticks + level),
                ts_init,
            };
            bus.publish(BOOK_DEPTH_TOPIC, &depth)?;
        }
        let quote = Quote { bid_ticks, ask_ticks, ts_init };
        bus.publish(QUOTE_TOPIC, &quote)?;
        Ok(quote)
    }

    /// Tells of a trade, and of the bar that it completes.
    pub(super) fn trade(
        &mut self,
        bus: &MessageBus,
        price_ticks: i64,
        quantity: u32,
    ) -> Result<(), BusError> {
        let ts_init = UnixNanos::now();
        bus.publish(TRADE_TOPIC, &Trade { price_ticks, quantity, ts_init })?;
        let mut bar = self.bar.take().unwrap_or(Bar {
            open_ticks: price_ticks,
            high_ticks: price_ticks,
            low_ticks: price_ticks,
            close_ticks: price_ticks,
            trades: 0,
            ts_init,
        });
        bar.high_ticks = bar.high_ticks.max(price_ticks);
        bar.low_ticks = bar.low_ticks.min(price_ticks);
        bar.trades += 1;
        (bar.close_ticks, bar.ts_init) = (price_ticks, ts_init);
        if bar.trades < TRADES_A_BAR {
            self.bar = Some(bar);
            return Ok(());
        }
        bus.publish(BAR_TOPIC, &bar)?;
        Ok(())
    }
}
