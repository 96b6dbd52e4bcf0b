use std::hint::black_box;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tapline::read::{Direction, EventStoreReader, Verifier};
use tapline::runs::list_runs;
use tapline::store::{RunReader as Source, open_sealed_file};

use super::{INSTANCE, KEY_KIND, number_of};
use crate::system::{Reader, Stored};

/// The sealed run of a folder.
pub(super) struct RunReader {
    source: Arc<dyn Source>,
    reader: EventStoreReader,
    /// The last entry before `RunEnded`.
    last: u64,
}

impl RunReader {
    pub(super) fn open(dir: &Path, keep_bytes: Option<usize>) -> Result<Self> {
        let runs = list_runs(dir, &INSTANCE.parse().context("the instance's name")?)?;
        let run = runs.first().context("there is no run file: is it kept in memory?")?;
        let source = open_sealed_file(&run.path)?;
        let reader = match keep_bytes {
            None => EventStoreReader::new(Arc::clone(&source)),
            Some(keep_bytes) => EventStoreReader::keeping(Arc::clone(&source), keep_bytes),
        };
        let last = reader.watermark()? - 1;
        Ok(Self { source, reader, last })
    }
}

impl Reader for RunReader {
    fn scan(&mut self, each: &mut dyn FnMut(&Stored<'_>)) -> Result<u64> {
        let mut scan = self.reader.scan(1, self.last, Direction::Forward);
        let mut count = 0;
        while let Some(entry) = scan.next_ref() {
            let entry = entry?;
            count += 1;
            each(&Stored {
                seq: entry.seq(),
                number: number_of(entry.ts_init()),
                topic: entry.topic(),
                payload_type: entry.payload_type(),
                payload: entry.payload(),
            });
        }
        Ok(count)
    }

    fn verify(&mut self) -> Result<Option<u64>> {
        // On this thread alone, as the others do it.
        let verifier = Verifier::new(Arc::clone(&self.source)).threads(NonZero::<usize>::MIN);
        let report = verifier.run(|_| ());
        ensure!(report.is_clean(), "findings in a fresh run: {:?}", report.findings);
        Ok(Some(report.entries_scanned - 1))
    }

    fn read(&mut self, seq: u64) -> Result<Option<u64>> {
        let entry = self.reader.read(seq)?;
        Ok(entry.map(|entry| {
            black_box(&entry.payload[..]);
            number_of(entry.ts_init)
        }))
    }

    fn lookup(&mut self, key: &str) -> Result<Option<u64>> {
        Ok(self.reader.lookup(KEY_KIND, key)?)
    }
}
