use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tapline::UnixNanos;
use tapline::bus::{BusError, MessageBus, TimeEvent};
use uuid::Uuid;

use super::Budget;
use super::market::{QUOTE_TOPIC, Quote};
use super::messages::{
    ACCOUNT_ENDPOINT, AccountState, COMMAND_ENDPOINT, CancelOrder, Ids, OrderEvent, QueryAccount,
    Side, SubmitOrder, TradingCommand,
};

/// A thread that turns quotes into orders.
#[derive(Debug)]
pub(super) struct Strategy {
    /// From 1.
    pub(super) number: u64,
    pub(super) commands: Sender<TradingCommand>,
    pub(super) events: Receiver<OrderEvent>,
    pub(super) quotes: Receiver<Quote>,
    pub(super) budget: Budget,
}

/// Orders a strategy has open at most.
const OPEN_ORDERS_MAX: u64 = 16;
/// A timer fires, and the account is queried, once in so many orders.
const TIMER_EVERY_ORDERS: u64 = 50;
const QUERY_EVERY_ORDERS: u64 = 200;
const TIMER: &str = "rebalance";
/// How long to look for quotes before looking for events again.
const QUOTE_PATIENCE: Duration = Duration::from_millis(1);

impl Strategy {
    /// Until the budget is spent and no order is open.
    pub(super) fn run(
        self,
        bus: &Rc<MessageBus>,
        is_stopped: impl Fn() -> bool,
    ) -> Result<(), BusError> {
        let desk = Rc::new(Desk {
            number: self.number,
            ids: RefCell::new(Ids::new(self.number)),
            budget: self.budget.clone(),
            orders: Cell::new(0),
            open: Cell::new(0),
            position: Cell::new(0),
        });
        desk.wire(bus, self.commands.clone())?;
        self.trade(bus, &desk, is_stopped)
    }

    fn trade(
        &self,
        bus: &MessageBus,
        desk: &Desk,
        is_stopped: impl Fn() -> bool,
    ) -> Result<(), BusError> {
        while !is_stopped() {
            // The venue's tap has captured them: published here as well, each would be encoded a
            // second time, for the writer to recognise it as a repeat.
            for event in self.events.try_iter() {
                desk.on_event(bus, &event)?;
            }
            if self.budget.is_spent() {
                if desk.open.get() == 0 {
                    break;
                }
                std::thread::yield_now();
                continue;
            }
            if let Ok(quote) = self.quotes.recv_timeout(QUOTE_PATIENCE) {
                bus.publish(QUOTE_TOPIC, &quote)?;
                desk.on_quote(bus, quote)?;
            }
        }
        Ok(())
    }
}

/// The strategy's state, which its handlers share.
struct Desk {
    number: u64,
    ids: RefCell<Ids>,
    budget: Budget,
    orders: Cell<u64>,
    open: Cell<u64>,
    position: Cell<i64>,
}

impl Desk {
    /// Connects the bus with the venue's queue and with this desk.
    fn wire(
        self: &Rc<Self>,
        bus: &Rc<MessageBus>,
        commands: Sender<TradingCommand>,
    ) -> Result<(), BusError> {
        bus.register(COMMAND_ENDPOINT, move |message| {
            if let Some(command) = message.downcast_ref::<TradingCommand>() {
                // The venue outlives its strategies, unless the run is halted.
                let _ = commands.send(command.clone());
            }
        })?;
        let desk = Rc::clone(self);
        let account_bus = Rc::downgrade(bus);
        bus.register(ACCOUNT_ENDPOINT, move |message| {
            let query = message.downcast_ref::<QueryAccount>();
            if let (Some(query), Some(bus)) = (query, account_bus.upgrade()) {
                desk.answer(&bus, query.request_id);
            }
        })?;
        bus.set_timer_handler(TIMER, |_event| {})
    }

    fn answer(&self, bus: &MessageBus, request_id: Uuid) {
        let ts_init = UnixNanos::now();
        let state = AccountState { request_id, position: self.position.get(), ts_init };
        // A refusal shows again, and ends the strategy, with its next message.
        if bus.respond(request_id, &state).is_ok() {
            self.budget.spend();
        }
    }

    fn on_quote(&self, bus: &MessageBus, quote: Quote) -> Result<(), BusError> {
        if self.open.get() >= OPEN_ORDERS_MAX {
            return Ok(());
        }
        let order = self.orders.get() + 1;
        self.orders.set(order);
        self.open.set(self.open.get() + 1);
        let (side, price_ticks) = if order.is_multiple_of(2) {
            (Side::Buy, quote.ask_ticks)
        } else {
            (Side::Sell, quote.bid_ticks)
        };
        let submit = SubmitOrder {
            command_id: self.ids.borrow_mut().next(),
            strategy: self.number,
            client_order_id: format!("S{}-{order}", self.number),
            side,
            quantity: 1 + (order % 5) as u32,
            price_ticks,
            ts_init: UnixNanos::now(),
        };
        bus.send(COMMAND_ENDPOINT, &TradingCommand::Submit(submit))?;
        self.budget.spend();
        if order.is_multiple_of(TIMER_EVERY_ORDERS) {
            self.fire_timer(bus)?;
        }
        if order.is_multiple_of(QUERY_EVERY_ORDERS) {
            self.query_account(bus)?;
        }
        Ok(())
    }

    fn on_event(&self, bus: &MessageBus, event: &OrderEvent) -> Result<(), BusError> {
        match event {
            OrderEvent::Accepted(accepted) => {
                // The order may have been filled by now; the venue knows.
                let venue_order: u64 =
                    accepted.event.venue_order_id.trim_start_matches("V-").parse().unwrap_or(0);
                if !venue_order.is_multiple_of(4) {
                    return Ok(());
                }
                let cancel = CancelOrder {
                    command_id: self.ids.borrow_mut().next(),
                    strategy: self.number,
                    client_order_id: accepted.event.client_order_id.clone(),
                    causation_id: accepted.event.event_id,
                    ts_init: UnixNanos::now(),
                };
                bus.send(COMMAND_ENDPOINT, &TradingCommand::Cancel(cancel))?;
                self.budget.spend();
            }
            OrderEvent::Filled(filled) => {
                self.position.set(self.position.get() + i64::from(filled.quantity));
                self.open.set(self.open.get() - 1);
            }
            OrderEvent::Canceled(_) => self.open.set(self.open.get() - 1),
        }
        Ok(())
    }

    fn fire_timer(&self, bus: &MessageBus) -> Result<(), BusError> {
        let now = UnixNanos::now();
        let event_id = self.ids.borrow_mut().next();
        bus.fire(&TimeEvent { name: Arc::from(TIMER), event_id, ts_event: now, ts_init: now })?;
        self.budget.spend();
        Ok(())
    }

    fn query_account(&self, bus: &MessageBus) -> Result<(), BusError> {
        let request_id = self.ids.borrow_mut().next();
        let query = QueryAccount { request_id, strategy: self.number, ts_init: UnixNanos::now() };
        bus.request(ACCOUNT_ENDPOINT, request_id, &query, |_state| {})?;
        self.budget.spend();
        Ok(())
    }
}
