//! Compares a run's log with the model's.

use std::sync::Arc;

use tapline::internals::error_chain;
use tapline::read::{Direction, EventStoreReader, Verifier};
use tapline::store::RunReader;
use tapline::{IndexKind, RunStatus};

use crate::model::Model;
use crate::support::BOOKING;

/// The order that a booking belongs to: its index key.
pub(crate) fn order_of(amount: u64) -> String {
    format!("O-{}", amount % 5)
}

/// Checks that a sealed run verifies, and has the model's bookings.
pub(crate) fn check_sealed(
    source: Arc<dyn RunReader>,
    status: RunStatus,
    model: &Model,
) -> Result<(), String> {
    let report = Verifier::new(Arc::clone(&source)).run(|_| {});
    if !report.is_clean() || report.status != Some(status) {
        return Err(format!("the sealed run is not as it should be: {report:?}"));
    }
    check_log(&EventStoreReader::new(source), model)
}

/// Checks that the run has the model's bookings, besides its lifecycle entries.
pub(crate) fn check_log(reader: &EventStoreReader, model: &Model) -> Result<(), String> {
    let mut bookings = Vec::new();
    for (entry, seq) in reader.scan(1, u64::MAX, Direction::Forward).zip(1..) {
        let entry = entry.map_err(|error| error_chain(&error))?;
        if entry.seq != seq {
            return Err(format!("entry {} stands where {seq} should", entry.seq));
        }
        if entry.payload_type == BOOKING {
            let booked: (String, u64) =
                serde_json::from_slice(&entry.payload).map_err(|error| error_chain(&error))?;
            let found = reader.lookup(IndexKind::CLIENT_ORDER_ID, order_of(booked.1));
            let found = found.map_err(|error| error_chain(&error))?;
            let of_order = |(_, amount): &&(String, u64)| amount % 5 == booked.1 % 5;
            let first = bookings.iter().filter(of_order).count() == 0;
            if first && found != Some(seq) {
                return Err(format!("order {} leads to {found:?}", order_of(booked.1)));
            }
            bookings.push(booked);
        }
    }
    model.check(&bookings)
}
