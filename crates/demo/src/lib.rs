//! A simulated trading node: strategies and a venue, each on a thread with its own bus and tap,
//! that cause each other's messages.
//!
//! ```text
//! strategy 1 ─┐ SubmitOrder, CancelOrder ┌─────────┐
//! strategy 2 ─┼─────────────────────────▶│  venue  │
//! strategy 3 ─┘◀──────────────────────── └─────────┘
//!               quotes, OrderAccepted, OrderFilled, OrderCanceled
//! ```
//!
//! A command is captured where a strategy sends it, an order event where the venue publishes it:
//! before anybody else sees it. Timers and account queries stay on the strategy's bus. Market data
//! passes the taps uncaptured: it has no encoder. With a sidecar it is marked: the venue's on the
//! venue's bus, and each quote once more on the bus of each strategy it reaches.

mod market;
mod market_records;
mod messages;
mod portfolio;
mod portfolio_cache;
mod snapshot_folder;
mod strategy;
mod tape;
mod venue;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crossbeam_channel::{bounded, unbounded};
use tapline::bus::{BusError, MessageBus};

pub use market::extractors;
pub use market_records::on_market_data;
pub use messages::encoders;
pub use portfolio::{Portfolio, StrategyBook};
pub use portfolio_cache::PortfolioCache;
pub use snapshot_folder::SnapshotFolder;
use strategy::Strategy;
use venue::Venue;

/// Quotes that may wait for a strategy; it misses those that come while it is busy.
const QUOTES_WAITING: usize = 64;

/// A strategy or the venue: what one thread of the node does.
#[derive(Debug)]
pub struct Participant(Role);

#[derive(Debug)]
enum Role {
    Strategy(Strategy),
    Venue(Venue),
}

/// The participants of a node with so many `strategies`. Each has to run on a thread of its own.
/// They stop by themselves when about `entries` messages are captured.
pub fn participants(entries: u64, strategies: u64) -> Vec<Participant> {
    let budget = Budget::new(entries);
    let (commands, venue_inbox) = unbounded();
    let mut participants = Vec::new();
    let mut links = Vec::new();
    for number in 1..=strategies {
        let (events, event_inbox) = unbounded();
        let (quotes, quote_inbox) = bounded(QUOTES_WAITING);
        links.push(venue::StrategyLink { events, quotes });
        let strategy = Strategy {
            number,
            commands: commands.clone(),
            events: event_inbox,
            quotes: quote_inbox,
            budget: budget.clone(),
        };
        participants.push(Participant(Role::Strategy(strategy)));
    }
    // The venue closes when the last strategy has gone.
    drop(commands);
    let venue = Venue { commands: venue_inbox, strategies: links, budget };
    participants.push(Participant(Role::Venue(venue)));
    participants
}

impl Participant {
    /// A name for its thread: `strategy-1` and so on, or `venue`.
    pub fn name(&self) -> String {
        match &self.0 {
            Role::Strategy(strategy) => format!("strategy-{}", strategy.number),
            Role::Venue(_) => "venue".to_owned(),
        }
    }

    /// True for the venue: all market data comes from it, and is published on its bus first.
    pub fn is_venue(&self) -> bool {
        matches!(self.0, Role::Venue(_))
    }

    /// Trades on `bus`, whose tap captures, until the node has brought forth enough messages. A
    /// strategy stops early when `is_stopped` says so, and the venue when all strategies have gone.
    /// Blocks until then.
    ///
    /// An error means that the bus took no more messages, as after a halt.
    pub fn run(self, bus: &Rc<MessageBus>, is_stopped: impl Fn() -> bool) -> Result<(), BusError> {
        match self.0 {
            Role::Strategy(strategy) => strategy.run(bus, is_stopped),
            Role::Venue(venue) => venue.run(bus),
        }
    }
}

/// How many more messages the node is to bring forth.
#[derive(Debug, Clone)]
struct Budget(Arc<AtomicI64>);

impl Budget {
    fn new(entries: u64) -> Self {
        Self(Arc::new(AtomicI64::new(i64::try_from(entries).unwrap_or(i64::MAX))))
    }

    /// Counts one captured message.
    fn spend(&self) {
        // Relaxed: a count, nothing is published through it.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= 0
    }
}
