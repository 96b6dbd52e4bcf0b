//! All that can be read of a run.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapline::read::{Direction, EventStoreReader};
use tapline::store::RunReader;
use tapline::{Entry, Hash, IndexKind, RunManifest, SnapshotAnchor};

/// How long a damaged run is read.
const PATIENCE: Duration = Duration::from_secs(3);

/// Everything that can be read of a run, in each way there is to read it.
#[derive(Debug, PartialEq)]
pub struct Content {
    manifest: RunManifest,
    root: Option<Hash>,
    anchor: Option<SnapshotAnchor>,
    forward: Vec<Entry>,
    reverse: Vec<Entry>,
    by_seq: Vec<Option<Entry>>,
    by_key: Vec<Option<u64>>,
    names: Vec<(u32, String)>,
}

impl Content {
    /// Reads it. The first error ends it.
    pub fn read(source: &Arc<dyn RunReader>) -> Result<Self, Box<dyn Error>> {
        let reader = EventStoreReader::new(Arc::clone(source));
        let scan = |direction| reader.scan(1, u64::MAX, direction).collect::<Result<Vec<_>, _>>();
        let forward = scan(Direction::Forward)?;
        let reverse = scan(Direction::Reverse)?;
        let keys: BTreeSet<(IndexKind, String)> =
            forward.iter().flat_map(|entry| entry.keys.iter().cloned()).collect();
        let seqs = 0..=forward.len() as u64 + 1;
        Ok(Self {
            manifest: reader.manifest()?,
            root: source.root()?,
            anchor: reader.anchor()?,
            by_seq: seqs.map(|seq| reader.read(seq)).collect::<Result<_, _>>()?,
            by_key: keys
                .iter()
                .map(|(kind, key)| reader.lookup(*kind, key))
                .collect::<Result<_, _>>()?,
            names: source.names(0)?,
            forward,
            reverse,
        })
    }

    /// Reads all that can be read of a run that is damaged, past every error that a scan goes on
    /// behind. Asks nothing more when that has taken [`PATIENCE`]: for one question redb may need
    /// seconds.
    pub fn read_what_there_is(source: &Arc<dyn RunReader>) {
        let began = Instant::now();
        let is_patient = || began.elapsed() < PATIENCE;
        let reader = EventStoreReader::new(Arc::clone(source));
        for direction in [Direction::Forward, Direction::Reverse] {
            let mut scan = reader.scan(0, u64::MAX, direction);
            while is_patient()
                && let Some(entry) = scan.next_ref()
            {
                let Ok(entry) = entry else {
                    continue;
                };
                let _ = reader.read(entry.seq());
                for (kind, key) in entry.keys().take_while(|_| is_patient()) {
                    let _ = reader.lookup(kind, key);
                }
            }
        }
        let questions: [fn(&EventStoreReader) -> bool; 4] = [
            |reader| reader.replay_plan().is_ok(),
            |reader| reader.watermark().is_ok(),
            |reader| reader.manifest().is_ok(),
            |reader| reader.keys(IndexKind::CLIENT_ORDER_ID).filter(Result::is_err).count() == 0,
        ];
        for ask in questions.iter().take_while(|_| is_patient()) {
            let _ = ask(&reader);
        }
        for seq in [0, 1, u64::MAX - 1, u64::MAX].into_iter().take_while(|_| is_patient()) {
            let _ = (reader.read(seq), reader.scan(seq, seq, Direction::Forward).count());
        }
    }
}
