use serde::de::DeserializeOwned;
use tapline::RunSession;
use tapline::read::EntryRef;
use tapline::replay::{Applied, CacheError, StateCache};

use super::portfolio::Portfolio;
use super::snapshot_folder::SnapshotFolder;

/// The demo node's cache: its portfolio, with snapshots as JSON files.
#[derive(Debug, Clone)]
pub struct PortfolioCache {
    portfolio: Portfolio,
    snapshots: SnapshotFolder,
}

impl PortfolioCache {
    /// An empty portfolio.
    pub fn new(snapshots: SnapshotFolder) -> Self {
        Self { portfolio: Portfolio::default(), snapshots }
    }

    /// The portfolio as of the last entry that was applied.
    pub fn portfolio(&self) -> &Portfolio {
        &self.portfolio
    }
}

impl StateCache for PortfolioCache {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        Ok(self.snapshots.read(blob_ref)?)
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        self.portfolio = serde_json::from_slice(blob)?;
        Ok(())
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        let portfolio = &mut self.portfolio;
        match entry.payload_type() {
            RunSession::STARTED_TYPE => portfolio.run_started(),
            "SubmitOrder" => portfolio.submitted(decode(entry)?)?,
            "CancelOrder" => portfolio.cancel_requested(&decode(entry)?),
            "OrderAccepted" => portfolio.accepted(decode(entry)?)?,
            "OrderFilled" => portfolio.filled(decode(entry)?)?,
            "OrderCanceled" => portfolio.canceled(decode(entry)?)?,
            _ => return Ok(Applied::Ignored),
        }
        Ok(Applied::Applied)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        Ok(serde_json::to_vec(&self.portfolio)?)
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        Ok(self.snapshots.write(blob)?)
    }
}

fn decode<T: DeserializeOwned>(entry: &EntryRef<'_>) -> Result<T, serde_json::Error> {
    serde_json::from_slice(entry.payload())
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;

    use tapline::bus::MessageBus;
    use tapline::capture::BusCaptureAdapter;
    use tapline::engine::{EventStoreWriter, WriterConfig};
    use tapline::read::EventStoreReader;
    use tapline::replay::{
        CacheFollower, ReplayError, RestoreError, restore_snapshot_and_replay_tail,
    };
    use tapline::store::{EventStore, MemoryBackend, RunReader};
    use tapline::{Clock, HaltSignal, RunManifest, UnixNanos};
    use uuid::Uuid;

    use super::super::messages::{
        COMMAND_ENDPOINT, EventHeader, OrderAccepted, OrderEvent, OrderFilled, Side, SubmitOrder,
        TradingCommand, encoders,
    };
    use super::*;

    /// A node's bus with its tap, over a run in memory.
    struct Node {
        bus: Rc<MessageBus>,
        writer: EventStoreWriter,
        reader: Arc<dyn RunReader>,
    }

    impl Node {
        fn start() -> Self {
            let mut store = MemoryBackend::default();
            let start = UnixNanos::new(1);
            let run_id = "1703462400000000000-0123abcd".parse().unwrap();
            store.open_run(RunManifest::new("node-1".parse().unwrap(), run_id, start)).unwrap();
            let reader = store.reader().unwrap();
            let writer = EventStoreWriter::inline(
                Box::new(store),
                Clock::Realtime,
                HaltSignal::new(),
                WriterConfig::default(),
            )
            .unwrap();
            let bus = Rc::new(MessageBus::new());
            bus.register(COMMAND_ENDPOINT, |_command| {}).unwrap();
            let producer = writer.producer().unwrap();
            bus.set_tap(Box::new(BusCaptureAdapter::new(Arc::new(encoders()), producer)));
            Self { bus, writer, reader }
        }

        fn submit(&self, n: u64, side: Side) {
            let submit = SubmitOrder {
                command_id: Uuid::from_u64_pair(1, n),
                strategy: 1,
                client_order_id: format!("S1-{n}"),
                side,
                quantity: 2,
                price_ticks: 100,
                ts_init: UnixNanos::new(n),
            };
            self.bus.send(COMMAND_ENDPOINT, &TradingCommand::Submit(submit)).unwrap();
        }

        fn publish(&self, event: &OrderEvent) {
            self.bus.publish("events.order.SIM", event).unwrap();
        }

        fn reader(&self) -> EventStoreReader {
            EventStoreReader::new(Arc::clone(&self.reader))
        }
    }

    fn header(n: u64, event: u64) -> EventHeader {
        EventHeader {
            event_id: Uuid::from_u64_pair(0, n * 10 + event),
            strategy: 1,
            client_order_id: format!("S1-{n}"),
            venue_order_id: format!("V-{n}"),
            causation_id: Uuid::from_u64_pair(1, n),
            ts_init: UnixNanos::new(n),
        }
    }

    fn fill(n: u64) -> OrderEvent {
        OrderEvent::Filled(OrderFilled { event: header(n, 2), quantity: 2, price_ticks: 100 })
    }

    fn empty_cache(base: &tempfile::TempDir) -> PortfolioCache {
        PortfolioCache::new(SnapshotFolder::new(base.path(), &"node-1".parse().unwrap()))
    }

    #[test]
    fn a_restart_has_the_portfolio_of_the_node_before() {
        let base = tempfile::tempdir().unwrap();
        let node = Node::start();
        let mut follower = CacheFollower::new(empty_cache(&base), node.reader(), 0);
        node.submit(1, Side::Buy);
        node.publish(&OrderEvent::Accepted(OrderAccepted { event: header(1, 1) }));
        node.submit(2, Side::Sell);
        assert_eq!(follower.catch_up().unwrap(), 3);
        let anchor = follower.snapshot().unwrap();
        assert_eq!(anchor.high_watermark, 3);
        node.writer.record_snapshot_anchor(&anchor.blob_ref, anchor.content_hash).unwrap();
        node.publish(&fill(1));
        follower.catch_up().unwrap();

        let mut restored = empty_cache(&base);
        let report = restore_snapshot_and_replay_tail(&mut restored, &node.reader()).unwrap();
        assert_eq!((report.snapshot_seq, report.to_seq, report.applied), (Some(3), 4, 1));
        assert_eq!(restored.portfolio(), follower.cache().portfolio());
        let book = restored.portfolio().strategies()[&1];
        assert_eq!((book.position, book.cash_ticks, book.fills), (2, -200, 1));
        assert_eq!(restored.portfolio().open_orders(), 1);
    }

    #[test]
    fn messages_of_other_types_are_ignored() {
        let base = tempfile::tempdir().unwrap();
        let node = Node::start();
        let query = super::super::messages::QueryAccount {
            request_id: Uuid::nil(),
            strategy: 1,
            ts_init: UnixNanos::default(),
        };
        node.bus.publish("account.SIM", &query).unwrap();
        let mut cache = empty_cache(&base);
        let report = restore_snapshot_and_replay_tail(&mut cache, &node.reader()).unwrap();
        assert_eq!((report.applied, report.ignored), (0, 1));
        assert_eq!(cache.portfolio(), &Portfolio::default());
    }

    #[test]
    fn an_event_of_an_order_that_is_not_open_is_an_error() {
        let base = tempfile::tempdir().unwrap();
        let node = Node::start();
        node.publish(&fill(7));
        let error = restore_snapshot_and_replay_tail(&mut empty_cache(&base), &node.reader());
        let Err(RestoreError::Replay(ReplayError::Apply { seq: 1, source, .. })) = error else {
            panic!("{error:?}");
        };
        assert_eq!(source.to_string(), "order S1-7 is not open");
    }
}
