//! What the demo's threads say to each other, and how it is captured.

use std::any::Any;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use tapline::capture::{EncodeError, Encoder, EncoderRegistry, OnEncodeError, RecordBuilder};
use tapline::{Headers, IndexKind, UnixNanos};

use super::market;

pub(super) const COMMAND_ENDPOINT: &str = "exec.SIM";
pub(super) const ACCOUNT_ENDPOINT: &str = "account.SIM";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    Buy,
    Sell,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SubmitOrder {
    pub(super) command_id: Uuid,
    pub(super) strategy: u64,
    pub(super) client_order_id: String,
    pub(super) side: Side,
    pub(super) quantity: u32,
    pub(super) price_ticks: i64,
    pub(super) ts_init: UnixNanos,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct CancelOrder {
    pub(super) command_id: Uuid,
    pub(super) strategy: u64,
    pub(super) client_order_id: String,
    /// The event that made the strategy change its mind.
    pub(super) causation_id: Uuid,
    pub(super) ts_init: UnixNanos,
}

/// An envelope: captured as the command inside.
#[derive(Debug, Clone)]
pub(super) enum TradingCommand {
    Submit(SubmitOrder),
    Cancel(CancelOrder),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OrderAccepted {
    pub(super) event: EventHeader,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OrderFilled {
    pub(super) event: EventHeader,
    pub(super) quantity: u32,
    pub(super) price_ticks: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OrderCanceled {
    pub(super) event: EventHeader,
}

/// What all order events have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EventHeader {
    pub(super) event_id: Uuid,
    pub(super) strategy: u64,
    pub(super) client_order_id: String,
    pub(super) venue_order_id: String,
    /// The command that caused the event.
    pub(super) causation_id: Uuid,
    pub(super) ts_init: UnixNanos,
}

/// An envelope: captured as the event inside.
#[derive(Debug, Clone)]
pub(super) enum OrderEvent {
    Accepted(OrderAccepted),
    Filled(OrderFilled),
    Canceled(OrderCanceled),
}

impl OrderEvent {
    pub(super) fn header(&self) -> &EventHeader {
        match self {
            Self::Accepted(OrderAccepted { event })
            | Self::Filled(OrderFilled { event, .. })
            | Self::Canceled(OrderCanceled { event }) => event,
        }
    }
}

/// A request for the account's state.
#[derive(Debug, Serialize)]
pub(super) struct QueryAccount {
    pub(super) request_id: Uuid,
    pub(super) strategy: u64,
    pub(super) ts_init: UnixNanos,
}

/// The response to it.
#[derive(Debug, Serialize)]
pub(super) struct AccountState {
    pub(super) request_id: Uuid,
    pub(super) position: i64,
    pub(super) ts_init: UnixNanos,
}

/// Distinct ids without a random source: the thread, and a count.
pub(super) struct Ids {
    thread: u64,
    last: u64,
}

impl Ids {
    pub(super) fn new(thread: u64) -> Self {
        Self { thread, last: 0 }
    }

    pub(super) fn next(&mut self) -> Uuid {
        self.last += 1;
        Uuid::from_u64_pair(self.thread, self.last)
    }
}

/// How the node's messages are captured. The registry is strict: a type that is neither captured
/// nor market data does not pass. A command that cannot be recorded is not sent.
#[expect(clippy::missing_panics_doc, reason = "no type is registered twice")]
pub fn encoders() -> EncoderRegistry {
    let mut registry = EncoderRegistry::with_defaults();
    register(&mut registry).expect("each type is registered once");
    market::pass(&mut registry).expect("each type is registered once");
    registry.strict()
}

fn register(registry: &mut EncoderRegistry) -> Result<(), tapline::capture::RegisterError> {
    registry.register(
        Encoder::new("SubmitOrder", |command: &SubmitOrder, record| {
            record.add_key(IndexKind::CLIENT_ORDER_ID, &command.client_order_id);
            json(record, command, command.ts_init, None)
        })
        .identified_by(|command| Some(command.command_id))
        .on_error(OnEncodeError::Refuse),
    )?;
    registry.register(
        Encoder::new("CancelOrder", |command: &CancelOrder, record| {
            record.add_key(IndexKind::CLIENT_ORDER_ID, &command.client_order_id);
            json(record, command, command.ts_init, Some(command.causation_id))
        })
        .identified_by(|command| Some(command.command_id))
        .on_error(OnEncodeError::Refuse),
    )?;
    registry.register_envelope(|command: &TradingCommand| -> &(dyn Any + 'static) {
        match command {
            TradingCommand::Submit(command) => command,
            TradingCommand::Cancel(command) => command,
        }
    })?;
    registry.register(order_event("OrderAccepted", |accepted: &OrderAccepted| &accepted.event))?;
    registry.register(order_event("OrderFilled", |filled: &OrderFilled| &filled.event))?;
    registry.register(order_event("OrderCanceled", |canceled: &OrderCanceled| &canceled.event))?;
    registry.register_envelope(|event: &OrderEvent| -> &(dyn Any + 'static) {
        match event {
            OrderEvent::Accepted(event) => event,
            OrderEvent::Filled(event) => event,
            OrderEvent::Canceled(event) => event,
        }
    })?;
    registry.register(Encoder::new("QueryAccount", |query: &QueryAccount, record| {
        json(record, query, query.ts_init, None)
    }))?;
    registry.register(Encoder::new("AccountState", |state: &AccountState, record| {
        json(record, state, state.ts_init, Some(state.request_id))
    }))
}

fn order_event<T: Serialize + 'static>(
    payload_type: &str,
    header: fn(&T) -> &EventHeader,
) -> Encoder<T> {
    Encoder::new(payload_type, move |event: &T, record| {
        let EventHeader { client_order_id, venue_order_id, causation_id, ts_init, .. } =
            header(event);
        record.add_key(IndexKind::CLIENT_ORDER_ID, client_order_id);
        record.add_key(IndexKind::VENUE_ORDER_ID, venue_order_id);
        json(record, event, *ts_init, Some(*causation_id))
    })
    .identified_by(move |event| Some(header(event).event_id))
}

fn json<T: Serialize>(
    record: &mut RecordBuilder,
    message: &T,
    ts_init: UnixNanos,
    causation_id: Option<Uuid>,
) -> Result<(), EncodeError> {
    record.set_ts_init(ts_init);
    record.set_headers(Headers { correlation_id: None, causation_id });
    Ok(serde_json::to_writer(record, message)?)
}
