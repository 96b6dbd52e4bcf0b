//! A database as a careful user would log messages to it: a bounded channel, and one thread that
//! commits what is pending, each commit synced.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};

use crate::instruments::{Latencies, TickClock, pin};
use crate::spec::Settings;
use crate::system::{Closed, Lane, Message, Reader, System};

/// Messages that may wait for the writer.
const QUEUE: usize = 8_192;

/// A database that keeps a row an entry, and a row a key.
pub(super) trait RowStore: Sized + Send + 'static {
    /// The most rows in one commit, where the settings say nothing; as many as can be pending.
    const ROWS_PER_COMMIT_MAX: usize = QUEUE;

    /// How it is set, and how it syncs.
    fn describe() -> String;

    fn create(dir: &Path, settings: &Settings) -> Result<Self>;

    /// Stores `rows`, the first one as `first_seq`, in one transaction, and returns when they are
    /// durable. A key that is there already keeps its `seq`.
    fn commit(&mut self, first_seq: u64, rows: &[Row]) -> Result<()>;

    /// Closes it as its user would.
    fn close(self) -> Result<()>;

    fn reader(dir: &Path) -> Result<Box<dyn Reader>>;
}

/// One message on its way through the channel.
#[derive(Debug)]
pub(super) struct Row {
    lane: usize,
    pub(super) topic: &'static str,
    pub(super) payload_type: &'static str,
    /// The message's number.
    pub(super) ts_init: u64,
    /// When it was accepted, in nanoseconds since 1970.
    pub(super) ts_publish: u64,
    pub(super) payload: Box<[u8]>,
    pub(super) key: Option<Box<str>>,
}

/// A [`RowStore`] behind its channel.
#[derive(Debug)]
pub(super) struct Queued<S> {
    writer: JoinHandle<Result<Closed>>,
    store: std::marker::PhantomData<S>,
}

#[derive(Debug)]
pub(super) struct QueuedLane {
    number: usize,
    queue: SyncSender<Row>,
    durable: Arc<AtomicU64>,
}

impl<S: RowStore> System for Queued<S> {
    type Lane = QueuedLane;

    fn describe(settings: &Settings) -> String {
        format!(
            "{}; a row an entry, up to {} rows a commit, each synced; behind a sync_channel of \
             {QUEUE}",
            S::describe(),
            rows_per_commit_max::<S>(settings)
        )
    }

    fn open(dir: &Path, settings: &Settings) -> Result<(Self, Vec<QueuedLane>)> {
        let store = S::create(dir, settings)?;
        let (sender, queue) = sync_channel(QUEUE);
        let durable: Vec<Arc<AtomicU64>> =
            settings.cores.producers.iter().map(|_| Arc::default()).collect();
        let lanes = durable.iter().cloned().enumerate();
        let lanes =
            lanes.map(|(number, durable)| QueuedLane { number, queue: sender.clone(), durable });
        let lanes = lanes.collect();
        let core = settings.cores.writer;
        let rows_max = rows_per_commit_max::<S>(settings);
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                pin(core)?;
                write(store, rows_max, &queue, &durable)
            })
            .context("cannot start the writer")?;
        Ok((Self { writer, store: std::marker::PhantomData }, lanes))
    }

    fn close(self) -> Result<Closed> {
        self.writer.join().map_err(|_| anyhow!("the writer panicked"))?
    }

    fn reader(dir: &Path, _: &Settings) -> Result<Box<dyn Reader>> {
        S::reader(dir)
    }
}

fn rows_per_commit_max<S: RowStore>(settings: &Settings) -> usize {
    settings.rows_per_commit.unwrap_or(S::ROWS_PER_COMMIT_MAX)
}

/// Commits what is pending until all lanes are gone.
fn write<S: RowStore>(
    mut store: S,
    rows_max: usize,
    queue: &Receiver<Row>,
    durable: &[Arc<AtomicU64>],
) -> Result<Closed> {
    let clock = TickClock::new();
    let mut commits = Latencies::new();
    let mut rows = Vec::with_capacity(rows_max);
    let mut next_seq = 1;
    while let Ok(first) = queue.recv() {
        rows.push(first);
        rows.extend(queue.try_iter().take(rows_max - 1));
        let began = clock.now();
        store.commit(next_seq, &rows)?;
        commits.record(clock.now() - began);
        next_seq += rows.len() as u64;
        for row in rows.drain(..) {
            durable[row.lane].fetch_add(1, Ordering::Release);
        }
    }
    store.close()?;
    Ok(Closed { entries: next_seq - 1, commits: Some(commits) })
}

impl Lane for QueuedLane {
    #[inline]
    fn push(&mut self, message: &Message<'_>) -> Result<()> {
        let Message { topic, payload_type, number, payload, key } = *message;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let row = Row {
            lane: self.number,
            topic,
            payload_type,
            ts_init: number,
            ts_publish: since_1970.as_nanos() as u64,
            payload: payload.into(),
            key: key.map(Into::into),
        };
        self.queue.send(row).map_err(|_| anyhow!("the writer has ended"))
    }

    #[inline]
    fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }
}
