//! Bytes that must not change: a newer version of this program must read what an older one wrote.
//!
//! The tests compare the files in `tests/golden` with what the engine writes now. If they differ,
//! the format has changed, but existing run files have the old one. That takes a new format
//! version. To write the files anew on purpose, run the tests with `TAPLINE_BLESS=1` set, and check
//! the difference before you commit it.

mod decode;
mod document;
mod files;
mod run;
mod sidecar;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use tapline::{Headers, IndexKind};
use uuid::Uuid;

use crate::support::{Message, hex};

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

fn golden(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| {
        panic!("cannot read tests/golden/{name}: {error}; TAPLINE_BLESS=1 writes it")
    })
}

/// Asserts that a golden file holds exactly `text`. Writes the file if `TAPLINE_BLESS` is set.
fn assert_golden(name: &str, text: &str) {
    if std::env::var_os("TAPLINE_BLESS").is_some_and(|bless| bless == "1") {
        fs::write(path(name), text).unwrap();
    }
    let golden = golden(name);
    let differs = golden.lines().zip(text.lines()).position(|(golden, now)| golden != now);
    assert!(
        golden == text,
        "the format has changed: tests/golden/{name} differs from what is written now, first in \
         line {}.\nRun files in the field have the old format. If the change is meant, raise the \
         format version, write the golden files anew with TAPLINE_BLESS=1, and bring \
         docs/format.md up to date.\nNow:\n{text}",
        differs.unwrap_or(golden.lines().count().min(text.lines().count())) + 1,
    );
}

/// The rows of a table, byte strings as hexadecimal digits.
fn hex_rows<K>(
    transaction: &ReadTransaction,
    table: TableDefinition<'_, K, &[u8]>,
) -> BTreeMap<K, String>
where
    K: for<'a> Key<SelfType<'a> = K> + Ord,
{
    let rows = transaction.open_table(table).unwrap();
    let rows = rows.iter().unwrap().map(Result::unwrap);
    rows.map(|(key, row)| (key.value(), hex::encode(row.value()))).collect()
}

/// Puts such rows into a table.
fn put_hex_rows<K>(
    transaction: &WriteTransaction,
    table: TableDefinition<'_, K, &[u8]>,
    rows: &BTreeMap<K, String>,
) where
    K: for<'a> Key<SelfType<'a> = K> + Ord,
{
    let mut table = transaction.open_table(table).unwrap();
    for (key, row) in rows {
        table.insert(key, hex::decode(row).as_slice()).unwrap();
    }
}

/// The two messages of the golden frame: one with every optional part, one with none.
fn messages() -> [Message; 2] {
    let full = Message {
        headers: Headers {
            correlation_id: Some(Uuid::from_u128(0xc0c0_c0c0)),
            causation_id: Some(Uuid::from_u128(0xcaca_caca)),
        },
        identity: Some(Uuid::from_u128(0x1d1d_1d1d)),
        ..Message::new("orders", "Submit", 1_700_000_000_000_000_000, b"{\"qty\":5}")
    };
    [
        full.order("O-1").key(IndexKind::VENUE_ORDER_ID, "V-9"),
        Message::new("orders", "Fill", 1_700_000_000_000_000_002, b""),
    ]
}
