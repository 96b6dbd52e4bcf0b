use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use redb::{Database, ReadOnlyTable, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::queued::{Row, RowStore};
use crate::spec::Settings;
use crate::system::{Reader, Stored};

/// `ts_init`, `ts_publish`, topic, payload type, payload.
type Value = (u64, u64, &'static str, &'static str, &'static [u8]);

const ENTRIES: TableDefinition<'_, u64, Value> = TableDefinition::new("entries");
const KEYS: TableDefinition<'_, &str, u64> = TableDefinition::new("keys");
const FILE: &str = "log.redb";

/// redb as most use it: a row an entry, its own files, its own settings.
pub(super) struct RedbRows(Database);

impl RowStore for RedbRows {
    /// The plain way: small transactions, as a node would make them that asks for nothing more.
    const ROWS_PER_COMMIT_MAX: usize = 100;

    fn describe() -> String {
        "Durability::Immediate, all as it comes".to_owned()
    }

    fn create(dir: &Path, _: &Settings) -> Result<Self> {
        let database = Database::create(dir.join(FILE)).context("cannot make a redb file")?;
        let transaction = database.begin_write()?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(KEYS)?;
        transaction.commit()?;
        Ok(Self(database))
    }

    fn commit(&mut self, first_seq: u64, rows: &[Row]) -> Result<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            let mut keys = transaction.open_table(KEYS)?;
            for (seq, row) in (first_seq..).zip(rows) {
                let Row { topic, payload_type, ts_init, ts_publish, payload, key, .. } = row;
                let value = (*ts_init, *ts_publish, *topic, *payload_type, &payload[..]);
                entries.insert(seq, value)?;
                if let Some(key) = key {
                    // The first one counts: put it back in the rare case that there was one.
                    let first = keys.insert(&**key, seq)?.map(|first| first.value());
                    if let Some(first) = first {
                        keys.insert(&**key, first)?;
                    }
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn close(self) -> Result<()> {
        Ok(())
    }

    fn reader(dir: &Path) -> Result<Box<dyn Reader>> {
        let database = Database::open(dir.join(FILE)).context("cannot open the redb file")?;
        Ok(Box::new(RedbReader { tables: Some(Tables::open(&database)?), database }))
    }
}

struct RedbReader {
    database: Database,
    /// `None` only after a failed check.
    tables: Option<Tables>,
}

struct Tables {
    entries: ReadOnlyTable<u64, Value>,
    keys: ReadOnlyTable<&'static str, u64>,
}

impl Tables {
    fn open(database: &Database) -> Result<Self> {
        use redb::ReadableDatabase;
        let transaction = database.begin_read()?;
        Ok(Self { entries: transaction.open_table(ENTRIES)?, keys: transaction.open_table(KEYS)? })
    }
}

impl RedbReader {
    fn tables(&self) -> Result<&Tables> {
        self.tables.as_ref().context("the check of the redb file failed")
    }
}

impl Reader for RedbReader {
    fn scan(&mut self, each: &mut dyn FnMut(&Stored<'_>)) -> Result<u64> {
        let mut count = 0;
        for row in self.tables()?.entries.iter()? {
            let (seq, value) = row?;
            let (number, _, topic, payload_type, payload) = value.value();
            count += 1;
            each(&Stored { seq: seq.value(), number, topic, payload_type, payload });
        }
        Ok(count)
    }

    fn verify(&mut self) -> Result<Option<u64>> {
        // The check wants the database for itself.
        self.tables = None;
        ensure!(self.database.check_integrity()?, "redb found its file damaged");
        let tables = Tables::open(&self.database)?;
        let count = tables.entries.len()?;
        self.tables = Some(tables);
        Ok(Some(count))
    }

    fn read(&mut self, seq: u64) -> Result<Option<u64>> {
        let value = self.tables()?.entries.get(seq)?;
        Ok(value.map(|value| {
            let (number, .., payload) = value.value();
            black_box(payload);
            number
        }))
    }

    fn lookup(&mut self, key: &str) -> Result<Option<u64>> {
        Ok(self.tables()?.keys.get(key)?.map(|seq| seq.value()))
    }
}
