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
//! A command is captured where a strategy sends it. An order event is published twice, by the venue
//! and by the strategy it reaches, and becomes one entry, by its event id. Timers and account
//! queries stay on the strategy's bus. Market data passes the taps uncaptured: it has no encoder. With a sidecar it is
//! marked: the venue's on the venue's bus, and each quote once more on the bus of each strategy it reaches.

mod market;
mod messages;
mod portfolio;
mod portfolio_cache;
mod snapshot_folder;
mod strategy;
mod tape;
mod venue;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crossbeam_channel::{bounded, unbounded};

use super::error::CliError;
use super::tap::Recorder;

pub(super) use market::extractors;
pub(super) use messages::encoders;
pub(super) use portfolio::{Portfolio, StrategyBook};
pub(super) use portfolio_cache::PortfolioCache;
pub(super) use snapshot_folder::SnapshotFolder;
use strategy::Strategy;
use venue::Venue;

/// Quotes that may wait for a strategy; it misses those that come while it is busy.
const QUOTES_WAITING: usize = 64;

/// Starts the node's threads. They stop by themselves when about `entries` messages are captured.
pub(super) fn start(
    entries: u64,
    strategies: u64,
    recorder: &Recorder<'_>,
) -> Result<(), CliError> {
    let budget = Budget::new(entries);
    let (commands, venue_inbox) = unbounded();
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
        recorder.spawn(&format!("strategy-{number}"), move |bus, stop| strategy.run(bus, stop))?;
    }
    // The venue closes when the last strategy has gone.
    drop(commands);
    let venue = Venue { commands: venue_inbox, strategies: links, budget };
    recorder.spawn("venue", move |bus, stop| venue.run(bus, stop))
}

/// How many more messages the node is to bring forth.
#[derive(Clone)]
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
