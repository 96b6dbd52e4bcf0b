use std::collections::HashMap;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use tapline::UnixNanos;
use tapline::bus::{BusError, MessageBus};
use uuid::Uuid;

use super::Budget;
use super::market::Quote;
use super::messages::{
    CancelOrder, EventHeader, Ids, OrderAccepted, OrderCanceled, OrderEvent, OrderFilled,
    SubmitOrder, TradingCommand,
};
use super::tape::Tape;

/// The thread that stands for the exchange: accepts orders, fills some, cancels the others, quotes.
#[derive(Debug)]
pub(super) struct Venue {
    pub(super) commands: Receiver<TradingCommand>,
    /// By strategy number, from 1.
    pub(super) strategies: Vec<StrategyLink>,
    pub(super) budget: Budget,
}

#[derive(Debug)]
pub(super) struct StrategyLink {
    pub(super) events: Sender<OrderEvent>,
    pub(super) quotes: Sender<Quote>,
}

/// How long the venue waits for a command before it quotes again.
const QUOTE_INTERVAL: Duration = Duration::from_micros(50);
/// Of so many orders one is left open until its strategy cancels it.
const UNFILLED_ONE_IN: u64 = 4;

impl Venue {
    /// Until all strategies have gone.
    pub(super) fn run(&self, bus: &MessageBus) -> Result<(), BusError> {
        let mut session = Session {
            venue: self,
            bus,
            ids: Ids::new(0),
            orders: 0,
            open: HashMap::new(),
            tape: Tape::new(),
        };
        session.trade()
    }
}

struct Session<'a> {
    venue: &'a Venue,
    bus: &'a MessageBus,
    ids: Ids,
    orders: u64,
    /// Orders that are neither filled nor cancelled, by client order id, with their venue order id.
    open: HashMap<String, String>,
    tape: Tape,
}

impl Session<'_> {
    fn trade(&mut self) -> Result<(), BusError> {
        loop {
            match self.venue.commands.recv_timeout(QUOTE_INTERVAL) {
                Ok(TradingCommand::Submit(order)) => self.submit(&order)?,
                Ok(TradingCommand::Cancel(cancel)) => self.cancel(&cancel)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.quote()?;
        }
    }

    fn quote(&mut self) -> Result<(), BusError> {
        // A walk that needs no random source: up on three quotes, down on the next three.
        let quote = self.tape.quote(self.bus, (self.orders / 3).is_multiple_of(2))?;
        for strategy in &self.venue.strategies {
            // A strategy that is busy misses a quote, as it would in life.
            let _ = strategy.quotes.try_send(quote);
        }
        Ok(())
    }

    fn submit(&mut self, order: &SubmitOrder) -> Result<(), BusError> {
        self.orders += 1;
        let venue_order_id = format!("V-{}", self.orders);
        let accepted =
            self.header(order.strategy, &order.client_order_id, &venue_order_id, order.command_id);
        self.emit(OrderEvent::Accepted(OrderAccepted { event: accepted }))?;
        if self.orders.is_multiple_of(UNFILLED_ONE_IN) {
            self.open.insert(order.client_order_id.clone(), venue_order_id);
            return Ok(());
        }
        let event =
            self.header(order.strategy, &order.client_order_id, &venue_order_id, order.command_id);
        let (quantity, price_ticks) = (order.quantity, order.price_ticks);
        self.emit(OrderEvent::Filled(OrderFilled { event, quantity, price_ticks }))?;
        self.tape.trade(self.bus, price_ticks, quantity)
    }

    fn cancel(&mut self, cancel: &CancelOrder) -> Result<(), BusError> {
        // An order that was filled meanwhile cannot be cancelled.
        let Some(venue_order_id) = self.open.remove(&cancel.client_order_id) else {
            return Ok(());
        };
        let event = self.header(
            cancel.strategy,
            &cancel.client_order_id,
            &venue_order_id,
            cancel.command_id,
        );
        self.emit(OrderEvent::Canceled(OrderCanceled { event }))
    }

    fn header(
        &mut self,
        strategy: u64,
        client_order_id: &str,
        venue_order_id: &str,
        causation_id: Uuid,
    ) -> EventHeader {
        EventHeader {
            event_id: self.ids.next(),
            strategy,
            client_order_id: client_order_id.to_owned(),
            venue_order_id: venue_order_id.to_owned(),
            causation_id,
            ts_init: UnixNanos::now(),
        }
    }

    /// Publishes an event on the venue's bus, then hands it to the strategy it is for.
    fn emit(&mut self, event: OrderEvent) -> Result<(), BusError> {
        self.bus.publish("events.order.SIM", &event)?;
        self.venue.budget.spend();
        let index = event.header().strategy as usize - 1;
        // A strategy that has gone no longer wants it.
        let _ = self.venue.strategies[index].events.send(event);
        Ok(())
    }
}
