use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OptionalExtension, params};

use super::queued::{Row, RowStore};
use crate::spec::Settings;
use crate::system::{Reader, Stored};

/// `SQLite`, as bundled with `rusqlite`.
pub(super) struct Sqlite(Connection);

const SCHEMA: &str = "
    CREATE TABLE entries (
        seq INTEGER PRIMARY KEY, ts_init INTEGER NOT NULL, ts_publish INTEGER NOT NULL,
        topic TEXT NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL
    );
    CREATE TABLE keys (key TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;";

fn open(dir: &Path) -> Result<Sqlite> {
    let connection = Connection::open(dir.join("log.sqlite")).context("cannot open SQLite")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    ensure!(mode == "wal", "SQLite is in journal mode {mode}, not in WAL");
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    Ok(Sqlite(connection))
}

impl RowStore for Sqlite {
    fn describe() -> String {
        let version = rusqlite::version();
        format!("version {version}, WAL, synchronous=FULL, prepared inserts, else as it comes")
    }

    fn create(dir: &Path, _: &Settings) -> Result<Self> {
        let sqlite = open(dir)?;
        sqlite.0.execute_batch(SCHEMA)?;
        Ok(sqlite)
    }

    fn commit(&mut self, first_seq: u64, rows: &[Row]) -> Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut entry = transaction.prepare_cached(
                "INSERT INTO entries (seq, ts_init, ts_publish, topic, type, payload)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let mut index =
                transaction.prepare_cached("INSERT OR IGNORE INTO keys VALUES (?1, ?2)")?;
            for (seq, row) in (first_seq.cast_signed()..).zip(rows) {
                let (ts_init, ts_publish) =
                    (row.ts_init.cast_signed(), row.ts_publish.cast_signed());
                entry.execute(params![
                    seq,
                    ts_init,
                    ts_publish,
                    row.topic,
                    row.payload_type,
                    row.payload
                ])?;
                if let Some(key) = &row.key {
                    index.execute(params![key, seq])?;
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn close(self) -> Result<()> {
        self.0.close().map_err(|(_, error)| error.into())
    }

    fn reader(dir: &Path) -> Result<Box<dyn Reader>> {
        Ok(Box::new(open(dir)?))
    }
}

impl Reader for Sqlite {
    fn scan(&mut self, each: &mut dyn FnMut(&Stored<'_>)) -> Result<u64> {
        let mut statement = self.0.prepare_cached(
            "SELECT seq, ts_init, topic, type, payload FROM entries ORDER BY seq",
        )?;
        let mut rows = statement.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            each(&Stored {
                seq: row.get::<_, i64>(0)?.cast_unsigned(),
                number: row.get::<_, i64>(1)?.cast_unsigned(),
                topic: row.get_ref(2)?.as_str()?,
                payload_type: row.get_ref(3)?.as_str()?,
                payload: row.get_ref(4)?.as_blob()?,
            });
        }
        Ok(count)
    }

    fn verify(&mut self) -> Result<Option<u64>> {
        let said: String = self.0.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        ensure!(said == "ok", "SQLite's integrity check says: {said}");
        let count: i64 = self.0.query_row("SELECT count(*) FROM entries", [], |row| row.get(0))?;
        Ok(Some(count.cast_unsigned()))
    }

    fn read(&mut self, seq: u64) -> Result<Option<u64>> {
        let mut statement = self
            .0
            .prepare_cached("SELECT ts_init, topic, type, payload FROM entries WHERE seq = ?1")?;
        let number = statement.query_row([seq.cast_signed()], |row| {
            black_box((row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?));
            row.get::<_, i64>(0)
        });
        Ok(number.optional()?.map(i64::cast_unsigned))
    }

    fn lookup(&mut self, key: &str) -> Result<Option<u64>> {
        let mut statement = self.0.prepare_cached("SELECT seq FROM keys WHERE key = ?1")?;
        let seq: Option<i64> = statement.query_row([key], |row| row.get(0)).optional()?;
        Ok(seq.map(i64::cast_unsigned))
    }
}
