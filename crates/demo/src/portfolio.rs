use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::messages::{CancelOrder, OrderAccepted, OrderCanceled, OrderFilled, Side, SubmitOrder};

/// What the demo node knows of its orders and its money, as the fold of its captured messages.
///
/// Money is in ticks. Open orders are kept for as long as they are open, closed ones for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portfolio {
    /// By client order id.
    open: BTreeMap<String, Order>,
    /// The last ones, oldest first.
    closed: VecDeque<ClosedOrder>,
    /// By strategy number.
    strategies: BTreeMap<u64, StrategyBook>,
}

/// Closed orders that are kept: a state that grew with the run would make each snapshot longer.
const CLOSED_KEPT: usize = 256;

/// What one strategy has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyBook {
    /// Bought less sold.
    pub position: i64,
    /// Received less paid.
    pub cash_ticks: i64,
    /// Orders that were sent to the venue.
    pub orders_submitted: u64,
    /// Orders that were filled in full.
    pub orders_filled: u64,
    /// Orders that were cancelled.
    pub orders_canceled: u64,
    /// Orders that were open when their run broke off: the venue began anew without them.
    pub orders_lost: u64,
    /// Fills, of parts of orders too.
    pub fills: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    strategy: u64,
    side: Side,
    quantity: u32,
    filled: u32,
    price_ticks: i64,
    venue_order_id: Option<String>,
    status: OpenStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OpenStatus {
    Submitted,
    Accepted,
    CancelRequested,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ClosedOrder {
    client_order_id: String,
    order: Order,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Filled,
    Canceled,
    Lost,
}

/// A message that cannot follow those before it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum PortfolioError {
    #[error("order {0} is open already")]
    AlreadyOpen(String),
    #[error("order {0} is not open")]
    NotOpen(String),
    #[error("order {client_order_id} has {left} left, but {quantity} of it are filled")]
    Overfilled { client_order_id: String, left: u32, quantity: u32 },
    #[error("the sum is out of range")]
    OutOfRange,
}

impl StrategyBook {
    /// `None`, and nothing done, where a sum is out of range.
    fn trade(&mut self, side: Side, quantity: u32, price_ticks: i64) -> Option<()> {
        let bought = match side {
            Side::Buy => i64::from(quantity),
            Side::Sell => -i64::from(quantity),
        };
        let position = self.position.checked_add(bought)?;
        self.cash_ticks = self.cash_ticks.checked_sub(price_ticks.checked_mul(bought)?)?;
        self.position = position;
        self.fills += 1;
        Some(())
    }
}

impl Portfolio {
    /// A run begins. Orders that the one before left open are lost: its venue is gone.
    pub(super) fn run_started(&mut self) {
        for (client_order_id, order) in std::mem::take(&mut self.open) {
            self.close(client_order_id, order, Outcome::Lost);
        }
    }

    pub(super) fn submitted(&mut self, command: SubmitOrder) -> Result<(), PortfolioError> {
        let SubmitOrder { strategy, client_order_id, side, quantity, price_ticks, .. } = command;
        if self.open.contains_key(&client_order_id) {
            return Err(PortfolioError::AlreadyOpen(client_order_id));
        }
        self.strategies.entry(strategy).or_default().orders_submitted += 1;
        let (venue_order_id, status) = (None, OpenStatus::Submitted);
        let order =
            Order { strategy, side, quantity, filled: 0, price_ticks, venue_order_id, status };
        self.open.insert(client_order_id, order);
        Ok(())
    }

    /// The strategy may not know yet that the order is closed: then nothing comes of it.
    pub(super) fn cancel_requested(&mut self, command: &CancelOrder) {
        if let Some(order) = self.open.get_mut(&command.client_order_id) {
            order.status = OpenStatus::CancelRequested;
        }
    }

    pub(super) fn accepted(&mut self, accepted: OrderAccepted) -> Result<(), PortfolioError> {
        let order = self.open_order(&accepted.event.client_order_id)?;
        order.venue_order_id = Some(accepted.event.venue_order_id);
        order.status = OpenStatus::Accepted;
        Ok(())
    }

    pub(super) fn filled(&mut self, filled: OrderFilled) -> Result<(), PortfolioError> {
        let OrderFilled { event, quantity, price_ticks } = filled;
        let client_order_id = event.client_order_id;
        let Some(order) = self.open.get_mut(&client_order_id) else {
            return Err(PortfolioError::NotOpen(client_order_id));
        };
        let left = order.quantity - order.filled;
        if quantity > left {
            return Err(PortfolioError::Overfilled { client_order_id, left, quantity });
        }
        let book = self.strategies.entry(order.strategy).or_default();
        book.trade(order.side, quantity, price_ticks).ok_or(PortfolioError::OutOfRange)?;
        order.filled += quantity;
        if quantity == left { self.close_open(client_order_id, Outcome::Filled) } else { Ok(()) }
    }

    pub(super) fn canceled(&mut self, canceled: OrderCanceled) -> Result<(), PortfolioError> {
        self.close_open(canceled.event.client_order_id, Outcome::Canceled)
    }

    /// How many orders are open.
    pub fn open_orders(&self) -> usize {
        self.open.len()
    }

    /// What each strategy has done, by its number.
    pub fn strategies(&self) -> &BTreeMap<u64, StrategyBook> {
        &self.strategies
    }

    fn open_order(&mut self, client_order_id: &str) -> Result<&mut Order, PortfolioError> {
        let order = self.open.get_mut(client_order_id);
        order.ok_or_else(|| PortfolioError::NotOpen(client_order_id.to_owned()))
    }

    fn close_open(&mut self, client_order_id: String, how: Outcome) -> Result<(), PortfolioError> {
        let Some(order) = self.open.remove(&client_order_id) else {
            return Err(PortfolioError::NotOpen(client_order_id));
        };
        self.close(client_order_id, order, how);
        Ok(())
    }

    fn close(&mut self, client_order_id: String, order: Order, outcome: Outcome) {
        let book = self.strategies.entry(order.strategy).or_default();
        match outcome {
            Outcome::Filled => book.orders_filled += 1,
            Outcome::Canceled => book.orders_canceled += 1,
            Outcome::Lost => book.orders_lost += 1,
        }
        if self.closed.len() == CLOSED_KEPT {
            self.closed.pop_front();
        }
        self.closed.push_back(ClosedOrder { client_order_id, order, outcome });
    }
}

#[cfg(test)]
mod tests {
    use tapline::UnixNanos;
    use uuid::Uuid;

    use super::super::messages::EventHeader;
    use super::*;

    fn submit(id: &str, side: Side, quantity: u32, price_ticks: i64) -> SubmitOrder {
        SubmitOrder {
            command_id: Uuid::nil(),
            strategy: 1,
            client_order_id: id.to_owned(),
            side,
            quantity,
            price_ticks,
            ts_init: UnixNanos::default(),
        }
    }

    fn event(id: &str) -> EventHeader {
        EventHeader {
            event_id: Uuid::nil(),
            strategy: 1,
            client_order_id: id.to_owned(),
            venue_order_id: format!("V-{id}"),
            causation_id: Uuid::nil(),
            ts_init: UnixNanos::default(),
        }
    }

    fn fill(id: &str, quantity: u32, price_ticks: i64) -> OrderFilled {
        OrderFilled { event: event(id), quantity, price_ticks }
    }

    fn cancel(id: &str) -> CancelOrder {
        CancelOrder {
            command_id: Uuid::nil(),
            strategy: 1,
            client_order_id: id.to_owned(),
            causation_id: Uuid::nil(),
            ts_init: UnixNanos::default(),
        }
    }

    fn book(portfolio: &Portfolio) -> StrategyBook {
        portfolio.strategies()[&1]
    }

    #[test]
    fn fills_move_position_and_cash() {
        let mut portfolio = Portfolio::default();
        portfolio.submitted(submit("A", Side::Buy, 5, 100)).unwrap();
        portfolio.accepted(OrderAccepted { event: event("A") }).unwrap();
        portfolio.filled(fill("A", 2, 99)).unwrap();
        let after_two = StrategyBook {
            position: 2,
            cash_ticks: -198,
            orders_submitted: 1,
            fills: 1,
            ..StrategyBook::default()
        };
        assert_eq!((book(&portfolio), portfolio.open_orders()), (after_two, 1));
        portfolio.filled(fill("A", 3, 101)).unwrap();
        portfolio.submitted(submit("B", Side::Sell, 4, 110)).unwrap();
        portfolio.filled(fill("B", 4, 110)).unwrap();
        let after_both = StrategyBook {
            position: 1,
            cash_ticks: -198 - 303 + 440,
            orders_submitted: 2,
            orders_filled: 2,
            fills: 3,
            ..StrategyBook::default()
        };
        assert_eq!((book(&portfolio), portfolio.open_orders()), (after_both, 0));
    }

    #[test]
    fn an_order_goes_from_submitted_to_its_end() {
        let mut portfolio = Portfolio::default();
        let status = |portfolio: &Portfolio| portfolio.open["A"].status;
        portfolio.submitted(submit("A", Side::Buy, 5, 100)).unwrap();
        assert_eq!(status(&portfolio), OpenStatus::Submitted);
        portfolio.accepted(OrderAccepted { event: event("A") }).unwrap();
        assert_eq!(status(&portfolio), OpenStatus::Accepted);
        assert_eq!(portfolio.open["A"].venue_order_id.as_deref(), Some("V-A"));
        portfolio.cancel_requested(&cancel("A"));
        assert_eq!(status(&portfolio), OpenStatus::CancelRequested);
        portfolio.canceled(OrderCanceled { event: event("A") }).unwrap();
        assert_eq!((portfolio.open_orders(), book(&portfolio).orders_canceled), (0, 1));
        assert_eq!(portfolio.closed[0].outcome, Outcome::Canceled);

        let before = portfolio.clone();
        portfolio.cancel_requested(&cancel("A"));
        assert_eq!(portfolio, before, "it came too late");
    }

    #[test]
    fn what_cannot_follow_is_refused_and_changes_nothing() {
        let mut portfolio = Portfolio::default();
        portfolio.submitted(submit("A", Side::Buy, 5, i64::MAX)).unwrap();
        portfolio.filled(fill("A", 1, 1)).unwrap();
        let before = portfolio.clone();
        let refused = |result, expected| assert_eq!(result, Err(expected));
        let not_open = || PortfolioError::NotOpen("B".to_owned());
        refused(
            portfolio.submitted(submit("A", Side::Sell, 1, 1)),
            PortfolioError::AlreadyOpen("A".to_owned()),
        );
        refused(portfolio.accepted(OrderAccepted { event: event("B") }), not_open());
        refused(portfolio.filled(fill("B", 1, 1)), not_open());
        refused(portfolio.canceled(OrderCanceled { event: event("B") }), not_open());
        let client_order_id = "A".to_owned();
        refused(
            portfolio.filled(fill("A", 5, 1)),
            PortfolioError::Overfilled { client_order_id, left: 4, quantity: 5 },
        );
        refused(portfolio.filled(fill("A", 4, i64::MAX)), PortfolioError::OutOfRange);
        assert_eq!(portfolio, before);
    }

    #[test]
    fn orders_that_a_run_left_open_are_lost_to_the_next() {
        let mut portfolio = Portfolio::default();
        portfolio.submitted(submit("A", Side::Buy, 5, 100)).unwrap();
        portfolio.run_started();
        assert_eq!((portfolio.open_orders(), book(&portfolio).orders_lost), (0, 1));
        portfolio.submitted(submit("A", Side::Buy, 5, 100)).unwrap();
        assert_eq!(portfolio.open_orders(), 1, "the next run counts its orders from 1 again");
    }

    #[test]
    fn only_the_last_closed_orders_are_kept() {
        let mut portfolio = Portfolio::default();
        for n in 0..=CLOSED_KEPT {
            portfolio.submitted(submit(&n.to_string(), Side::Buy, 1, 1)).unwrap();
            portfolio.filled(fill(&n.to_string(), 1, 1)).unwrap();
        }
        assert_eq!((portfolio.closed.len(), &portfolio.closed[0].client_order_id[..]), (256, "1"));
        assert_eq!(book(&portfolio).orders_filled, 257);
    }
}
