//! A small cache, for tests of replay.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tapline::read::EntryRef;
use tapline::replay::{Applied, CacheError, StateCache};

use super::Message;

/// Accounts. Each is a fold of its bookings that depends on their order. One more account folds all
/// bookings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accounts {
    pub(crate) by_name: BTreeMap<String, u64>,
    pub(crate) all: u64,
    /// The amount booked last, by account: like the numbers of orders, none may come twice.
    pub(crate) newest: BTreeMap<String, u64>,
    /// The last applied entry.
    pub(crate) last_seq: u64,
}

impl Accounts {
    pub(crate) fn book(&mut self, seq: u64, account: &str, amount: u64) {
        let fold = |state: u64| state.wrapping_mul(31).wrapping_add(amount);
        let state = self.by_name.entry(account.to_owned()).or_default();
        *state = fold(*state);
        self.newest.insert(account.to_owned(), amount);
        self.all = fold(self.all);
        self.last_seq = seq;
    }

    /// Books what `payload` says. Fails if it is no booking.
    pub(crate) fn book_payload(&mut self, seq: u64, payload: &[u8]) -> Result<(), CacheError> {
        let (account, amount) = serde_json::from_slice::<(String, u64)>(payload)?;
        self.book(seq, &account, amount);
        Ok(())
    }
}

/// The payload type of a booking; a [`Ledger`] ignores all others.
pub(crate) const BOOKING: &str = "Booking";

/// A message that a [`Ledger`] applies.
pub(crate) fn booking(account: &str, amount: u64) -> Message {
    let payload = serde_json::to_vec(&(account, amount)).expect("plain data");
    Message::new("bookings", BOOKING, amount, &payload)
}

/// Bookings `from` to `to`, of two accounts in turn.
pub(crate) fn bookings(from: u64, to: u64) -> Vec<Message> {
    (from..=to).map(|n| booking(if n.is_multiple_of(2) { "even" } else { "odd" }, n)).collect()
}

/// The accounts after bookings 1 to `to`, all of one run.
pub(crate) fn accounts_at(to: u64) -> Accounts {
    let mut accounts = Accounts::default();
    for (seq, message) in (1..).zip(bookings(1, to)) {
        accounts.book_payload(seq, &message.payload).expect("a booking");
    }
    accounts
}

/// Where ledgers keep their snapshots, by name. Survives the ledgers.
pub(crate) type Vault = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// What a ledger fails to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unable {
    Load,
    TakeOver,
    ToBlob,
    Keep,
}

/// A cache of [`Accounts`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) accounts: Accounts,
    pub(crate) vault: Vault,
    pub(crate) unable: Option<Unable>,
    /// Every entry it was given, in order.
    pub(crate) given: Vec<u64>,
}

impl Ledger {
    pub(crate) fn with_vault(vault: &Vault) -> Self {
        Self { vault: Arc::clone(vault), ..Self::default() }
    }

    pub(crate) fn unable(unable: Unable) -> Self {
        Self { unable: Some(unable), ..Self::default() }
    }

    fn check(&self, what: Unable) -> Result<(), CacheError> {
        if self.unable == Some(what) { Err(format!("unable to {what:?}").into()) } else { Ok(()) }
    }
}

impl StateCache for Ledger {
    fn load_blob(&self, blob_ref: &str) -> Result<Option<Vec<u8>>, CacheError> {
        self.check(Unable::Load)?;
        Ok(self.vault.lock().expect("no panic").get(blob_ref).cloned())
    }

    fn take_over(&mut self, blob: &[u8]) -> Result<(), CacheError> {
        self.check(Unable::TakeOver)?;
        self.accounts = serde_json::from_slice(blob)?;
        Ok(())
    }

    fn apply(&mut self, entry: &EntryRef<'_>) -> Result<Applied, CacheError> {
        self.given.push(entry.seq());
        if entry.payload_type() != BOOKING {
            return Ok(Applied::Ignored);
        }
        self.accounts.book_payload(entry.seq(), entry.payload())?;
        Ok(Applied::Applied)
    }

    fn to_blob(&self) -> Result<Vec<u8>, CacheError> {
        self.check(Unable::ToBlob)?;
        Ok(serde_json::to_vec(&self.accounts)?)
    }

    fn keep_blob(&mut self, blob: &[u8]) -> Result<String, CacheError> {
        self.check(Unable::Keep)?;
        let mut vault = self.vault.lock().expect("no panic");
        let blob_ref = format!("snapshot-{}", vault.len());
        vault.insert(blob_ref.clone(), blob.to_vec());
        Ok(blob_ref)
    }
}
