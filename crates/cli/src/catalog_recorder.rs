//! Writes the market data of the simulated node into a catalog, on a thread of its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use tapline::UnixNanos;
use tapline_catalog::{
    CatalogFileWriter, MarketDataClass, MarketRecord, ParquetCatalog, ParquetCatalogError,
};

use super::error::CliError;
use super::tap::to_its_end;

/// A record, and its instrument or type of bar.
pub(super) type Recorded = (&'static str, MarketRecord);

/// Records that may wait for the disk. The venue waits when there are more.
const RECORDS_WAITING: usize = 4096;

/// Takes records until the last sender is dropped.
pub(super) struct CatalogRecorder {
    thread: JoinHandle<Result<(), CliError>>,
}

impl CatalogRecorder {
    /// Starts the thread. What it writes covers the time from now on.
    pub(super) fn start(folder: &Path) -> Result<(Self, Sender<Recorded>), CliError> {
        const NAME: &str = "catalog";
        let (sender, records) = bounded(RECORDS_WAITING);
        let (catalog, from) = (ParquetCatalog::new(folder), UnixNanos::now());
        let write = move || to_its_end(NAME, || write(&catalog, from, &records))?;
        let thread = std::thread::Builder::new().name(NAME.to_owned()).spawn(write);
        Ok((Self { thread: thread.map_err(CliError::Thread)? }, sender))
    }

    /// Waits until all is written. Every sender must be dropped by then.
    pub(super) fn finish(self) -> Result<(), CliError> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Goes on to take records after an error, so that the venue need not wait for ever.
fn write(
    catalog: &ParquetCatalog,
    from: UnixNanos,
    records: &Receiver<Recorded>,
) -> Result<(), CliError> {
    let written = write_all(catalog, from, records);
    records.iter().for_each(drop);
    written.map_err(CliError::Catalog)
}

fn write_all(
    catalog: &ParquetCatalog,
    from: UnixNanos,
    records: &Receiver<Recorded>,
) -> Result<(), ParquetCatalogError> {
    let mut files: HashMap<(MarketDataClass, &str), CatalogFileWriter> = HashMap::new();
    for (instrument, record) in records {
        let class = record.class();
        let file = match files.entry((class, instrument)) {
            Entry::Occupied(file) => file.into_mut(),
            Entry::Vacant(free) => {
                free.insert(CatalogFileWriter::create(catalog, class, instrument, from)?)
            }
        };
        file.push(&record)?;
    }
    let to = UnixNanos::now();
    files.into_values().try_for_each(|file| file.finish(to).map(drop))
}
