use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::queued::{Row, RowStore};
use crate::spec::Settings;
use crate::system::{Reader, Stored};

/// fjall: a log-structured merge tree with a journal.
pub(super) struct Fjall {
    database: Database,
    entries: Keyspace,
    keys: Keyspace,
}

fn open(dir: &Path) -> Result<Fjall> {
    let database = Database::builder(dir).open().context("cannot open fjall")?;
    let entries = database.keyspace("entries", KeyspaceCreateOptions::default)?;
    let keys = database.keyspace("keys", KeyspaceCreateOptions::default)?;
    Ok(Fjall { database, entries, keys })
}

impl RowStore for Fjall {
    fn describe() -> String {
        "a batch a commit with PersistMode::SyncData, no compression, else as it comes".to_owned()
    }

    fn create(dir: &Path, _: &Settings) -> Result<Self> {
        open(dir)
    }

    fn commit(&mut self, first_seq: u64, rows: &[Row]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        // Keys are fresh in all workloads: of two equal ones in one batch, the later would win.
        for (seq, row) in (first_seq..).zip(rows) {
            batch.insert(&self.entries, seq.to_be_bytes(), encode(row));
            if let Some(key) = &row.key
                && !self.keys.contains_key(key.as_bytes())?
            {
                batch.insert(&self.keys, key.as_bytes(), seq.to_be_bytes());
            }
        }
        Ok(batch.commit()?)
    }

    fn close(self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn reader(dir: &Path) -> Result<Box<dyn Reader>> {
        Ok(Box::new(open(dir)?))
    }
}

impl Reader for Fjall {
    fn scan(&mut self, each: &mut dyn FnMut(&Stored<'_>)) -> Result<u64> {
        let mut count = 0;
        for row in self.entries.iter() {
            let (seq, value) = row.into_inner()?;
            count += 1;
            each(&decode(as_u64(&seq)?, &value)?);
        }
        Ok(count)
    }

    fn verify(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    fn read(&mut self, seq: u64) -> Result<Option<u64>> {
        let Some(value) = self.entries.get(seq.to_be_bytes())? else {
            return Ok(None);
        };
        let stored = decode(seq, &value)?;
        black_box(stored.payload);
        Ok(Some(stored.number))
    }

    fn lookup(&mut self, key: &str) -> Result<Option<u64>> {
        self.keys.get(key)?.map(|seq| as_u64(&seq)).transpose()
    }
}

/// `ts_init`, `ts_publish`, topic and payload type each with its length, payload.
fn encode(row: &Row) -> Vec<u8> {
    let mut value =
        Vec::with_capacity(20 + row.topic.len() + row.payload_type.len() + row.payload.len());
    value.extend_from_slice(&row.ts_init.to_be_bytes());
    value.extend_from_slice(&row.ts_publish.to_be_bytes());
    for text in [row.topic, row.payload_type] {
        value.extend_from_slice(&(text.len() as u16).to_be_bytes());
        value.extend_from_slice(text.as_bytes());
    }
    value.extend_from_slice(&row.payload);
    value
}

fn decode(seq: u64, value: &[u8]) -> Result<Stored<'_>> {
    let short = "a value is too short";
    let (ts_init, rest) = value.split_at_checked(8).context(short)?;
    let (_ts_publish, rest) = rest.split_at_checked(8).context(short)?;
    let (topic, rest) = text(rest).context(short)?;
    let (payload_type, payload) = text(rest).context(short)?;
    let number = as_u64(ts_init)?;
    Ok(Stored {
        seq,
        number,
        topic: std::str::from_utf8(topic)?,
        payload_type: std::str::from_utf8(payload_type)?,
        payload,
    })
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*len).into())
}

fn as_u64(bytes: &[u8]) -> Result<u64> {
    Ok(u64::from_be_bytes(bytes.try_into().context("a number has eight bytes")?))
}
