use std::path::Path;

use tapline::UnixNanos;

use super::columns::IntegerColumns;
use super::error::ParquetCatalogError;
use super::schema::{
    ACTIONS, AGGRESSORS, LAST, LEVELS, SIDES, TS_EVENT, TS_INIT, columns_of, value_at,
};
use crate::catalog::{CatalogError, TimeRange};
use crate::market_data::{
    Bar, BookDelta, BookDeltas, BookDepth10, BookLevel, MarketDataClass, MarketRecord, Quote, Trade,
};

/// The rows of one file within a stretch of time, in their order. Checks that the file is sorted
/// and covers what its name states, as far as it is read.
pub(super) struct Records {
    columns: IntegerColumns,
    class: MarketDataClass,
    range: TimeRange,
    stated: TimeRange,
    /// The next row in the present batch.
    index: usize,
    last: UnixNanos,
    ended: bool,
}

impl Records {
    pub(super) fn open(
        path: &Path,
        class: MarketDataClass,
        range: TimeRange,
        stated: TimeRange,
    ) -> Result<Self, ParquetCatalogError> {
        let columns = IntegerColumns::open(path, columns_of(class))?;
        let last = UnixNanos::default();
        Ok(Self { columns, class, range, stated, index: 0, last, ended: false })
    }

    fn step(&mut self) -> Result<Option<MarketRecord>, ParquetCatalogError> {
        while let Some((index, ts_init)) = self.next_row()? {
            if ts_init > self.range.to {
                break;
            }
            if ts_init >= self.range.from {
                return self.record(index, ts_init).map(Some);
            }
        }
        Ok(None)
    }

    /// The place of the next row in the batch, and its time.
    fn next_row(&mut self) -> Result<Option<(usize, UnixNanos)>, ParquetCatalogError> {
        if self.index == self.columns.len() {
            if !self.columns.next_batch()? {
                return Ok(None);
            }
            self.index = 0;
        }
        let index = self.index;
        self.index += 1;
        Ok(Some((index, self.checked_time(index)?)))
    }

    fn checked_time(&mut self, index: usize) -> Result<UnixNanos, ParquetCatalogError> {
        let ts_init = UnixNanos::new(self.unsigned(TS_INIT, index)?);
        let place = || (self.columns.path().to_owned(), self.columns.row(index));
        if ts_init < self.last {
            let (path, row) = place();
            return Err(ParquetCatalogError::Unsorted { path, row, ts_init });
        }
        if !self.stated.contains(ts_init) {
            let ((path, row), stated) = (place(), self.stated);
            return Err(ParquetCatalogError::OutsideName { path, row, ts_init, stated });
        }
        self.last = ts_init;
        Ok(ts_init)
    }

    /// The message that begins with this row. Each of its changes is a row.
    fn deltas(
        &mut self,
        mut index: usize,
        ts_init: UnixNanos,
    ) -> Result<MarketRecord, ParquetCatalogError> {
        let mut deltas = Vec::new();
        loop {
            let ts_event = UnixNanos::new(self.unsigned(TS_EVENT, index)?);
            deltas.push(self.delta(index)?);
            match self.columns.value(LAST, index) {
                1 => return Ok(MarketRecord::BookDeltas(BookDeltas { ts_event, ts_init, deltas })),
                0 => {}
                _ => {
                    let allowed = "none of 0 (more follow), 1 (the last of its message)";
                    return Err(self.bad_value(LAST, index, allowed));
                }
            }
            let Some((next, next_ts_init)) = self.next_row()? else {
                return Err(self.bad_value(LAST, index, "not 1, although no row follows"));
            };
            if next_ts_init != ts_init {
                let problem = "not the time of the row ahead, which is of the same message";
                return Err(self.bad_value(TS_INIT, next, problem));
            }
            index = next;
        }
    }

    fn delta(&self, index: usize) -> Result<BookDelta, ParquetCatalogError> {
        Ok(BookDelta {
            action: self.value_of(
                &ACTIONS,
                2,
                index,
                "none of 0 (add), 1 (update), 2 (delete), 3 (clear)",
            )?,
            side: self.value_of(&SIDES, 3, index, "none of 0 (none), 1 (bid), 2 (ask)")?,
            price: self.columns.value(4, index),
            size: self.unsigned(5, index)?,
            // An id may have all 64 bits, and is not compared.
            order_id: self.columns.value(6, index).cast_unsigned(),
            sequence: self.unsigned(7, index)?,
        })
    }

    /// The ten levels whose prices begin at column `first`.
    fn levels(
        &self,
        first: usize,
        index: usize,
    ) -> Result<[BookLevel; LEVELS], ParquetCatalogError> {
        let mut levels = [BookLevel::default(); LEVELS];
        for (column, level) in (first..).zip(&mut levels) {
            *level = BookLevel {
                price: self.columns.value(column, index),
                size: self.unsigned(column + LEVELS, index)?,
                orders: self.unsigned(column + 2 * LEVELS, index)?,
            };
        }
        Ok(levels)
    }

    /// The record that begins with this row.
    fn record(
        &mut self,
        index: usize,
        ts_init: UnixNanos,
    ) -> Result<MarketRecord, ParquetCatalogError> {
        let ts_event = UnixNanos::new(self.unsigned(TS_EVENT, index)?);
        let price = |column| self.columns.value(column, index);
        let size = |column| self.unsigned(column, index);
        Ok(match self.class {
            MarketDataClass::BookDeltas => self.deltas(index, ts_init)?,
            MarketDataClass::BookDepth10 => MarketRecord::BookDepth10(Box::new(BookDepth10 {
                ts_event,
                ts_init,
                bids: self.levels(2, index)?,
                asks: self.levels(2 + 3 * LEVELS, index)?,
            })),
            MarketDataClass::Quote => MarketRecord::Quote(Quote {
                ts_event,
                ts_init,
                bid_price: price(2),
                ask_price: price(3),
                bid_size: size(4)?,
                ask_size: size(5)?,
            }),
            MarketDataClass::Trade => MarketRecord::Trade(Trade {
                ts_event,
                ts_init,
                price: price(2),
                size: size(3)?,
                aggressor: self.value_of(
                    &AGGRESSORS,
                    4,
                    index,
                    "none of 0 (unknown), 1 (buyer), 2 (seller)",
                )?,
            }),
            MarketDataClass::Bar => MarketRecord::Bar(Bar {
                ts_event,
                ts_init,
                open: price(2),
                high: price(3),
                low: price(4),
                close: price(5),
                volume: size(6)?,
            }),
        })
    }

    fn unsigned(&self, column: usize, index: usize) -> Result<u64, ParquetCatalogError> {
        let value = self.columns.value(column, index);
        u64::try_from(value).map_err(|_| self.bad_value(column, index, "below 0"))
    }

    fn value_of<T: Copy>(
        &self,
        values: &[T],
        column: usize,
        index: usize,
        problem: &'static str,
    ) -> Result<T, ParquetCatalogError> {
        let value = value_at(values, self.columns.value(column, index));
        value.ok_or_else(|| self.bad_value(column, index, problem))
    }

    fn bad_value(&self, column: usize, index: usize, problem: &'static str) -> ParquetCatalogError {
        ParquetCatalogError::Value {
            path: self.columns.path().to_owned(),
            row: self.columns.row(index),
            column: self.columns.name(column),
            value: self.columns.value(column, index).to_string(),
            problem,
        }
    }
}

impl Iterator for Records {
    type Item = Result<MarketRecord, CatalogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.step().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record.map(|record| record.map_err(Into::into))
    }
}
