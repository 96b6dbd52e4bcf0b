//! What a node's log and its cache must contain.

use crate::support::{Accounts, Ledger};

type Booking = (String, u64);

/// The log of the open run, and the cache that follows it.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// The node's cache, up to the last durable entry.
    pub(crate) live: Ledger,
    bookings: Vec<Booking>,
    /// It was refused, but may still be in the log.
    doubtful: Option<Booking>,
    amounts: u64,
}

impl Model {
    /// A number that no booking had before.
    pub(crate) fn next_amount(&mut self) -> u64 {
        self.amounts += 1;
        self.amounts
    }

    /// `RunStarted` is the first entry.
    pub(crate) fn watermark(&self) -> u64 {
        1 + self.bookings.len() as u64
    }

    pub(crate) fn booked(&mut self, account: &str, amount: u64) {
        self.bookings.push((account.to_owned(), amount));
        let seq = self.watermark();
        self.live.accounts.book(seq, account, amount);
    }

    pub(crate) fn may_have_booked(&mut self, account: &str, amount: u64) {
        self.doubtful = Some((account.to_owned(), amount));
    }

    /// Checks that these may be the bookings of a run that is open or was left behind.
    pub(crate) fn check(&self, found: &[Booking]) -> Result<(), String> {
        let doubtful = self.doubtful.iter().cloned();
        let with_doubtful: Vec<Booking> = self.bookings.iter().cloned().chain(doubtful).collect();
        if found == self.bookings || found == with_doubtful {
            return Ok(());
        }
        let (found, expected) = (found.len(), self.bookings.len());
        Err(format!("{found} bookings are there, which are not the {expected} accepted"))
    }

    /// The next boot has restored `ledger`, however the run before ended. A new run begins.
    pub(crate) fn restored(&mut self, ledger: Ledger) -> Result<(), String> {
        self.check_restored(&ledger)?;
        self.live = ledger;
        self.begin_run();
        Ok(())
    }

    /// A new run begins, whose log is empty.
    pub(crate) fn begin_run(&mut self) {
        let live = std::mem::take(&mut self.live);
        *self = Self { live, amounts: self.amounts, ..Self::default() };
    }

    /// Checks that `ledger` may be the state that a start restores now.
    pub(crate) fn check_restored(&self, ledger: &Ledger) -> Result<(), String> {
        let mut with_doubtful = self.live.accounts.clone();
        if let Some((account, amount)) = &self.doubtful {
            with_doubtful.book(0, account, *amount);
        }
        let possible = [&self.live.accounts, &with_doubtful];
        if possible.iter().any(|state| is_same(state, &ledger.accounts)) {
            return Ok(());
        }
        Err(format!("{:?} is restored, possible are {possible:?}", ledger.accounts))
    }
}

/// Compares accounts without the run of their last booking.
fn is_same(one: &Accounts, other: &Accounts) -> bool {
    (&one.by_name, one.all) == (&other.by_name, other.all)
}
