use std::path::Path;

use tapline::UnixNanos;

use super::columns::IntegerColumns;
use super::error::ParquetCatalogError;
use crate::catalog::{CatalogError, TimeRange};
use crate::market_data::{Aggressor, Bar, MarketDataClass, MarketRecord, Quote, Trade};

/// The columns of each class; what else a file has is not looked at.
const QUOTE: [&str; 6] = ["ts_init", "ts_event", "bid_price", "ask_price", "bid_size", "ask_size"];
const TRADE: [&str; 5] = ["ts_init", "ts_event", "price", "size", "aggressor"];
const BAR: [&str; 7] = ["ts_init", "ts_event", "open", "high", "low", "close", "volume"];
/// First in each.
const TS_INIT: usize = 0;
const TS_EVENT: usize = 1;

const fn columns_of(class: MarketDataClass) -> &'static [&'static str] {
    match class {
        MarketDataClass::Quote => &QUOTE,
        MarketDataClass::Trade => &TRADE,
        MarketDataClass::Bar => &BAR,
    }
}

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
        loop {
            if self.index == self.columns.len() {
                if !self.columns.next_batch()? {
                    return Ok(None);
                }
                self.index = 0;
            }
            let index = self.index;
            self.index += 1;
            let ts_init = self.checked_time(index)?;
            if ts_init > self.range.to {
                return Ok(None);
            }
            if ts_init >= self.range.from {
                return self.record(index, ts_init).map(Some);
            }
        }
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

    fn record(
        &self,
        index: usize,
        ts_init: UnixNanos,
    ) -> Result<MarketRecord, ParquetCatalogError> {
        let ts_event = UnixNanos::new(self.unsigned(TS_EVENT, index)?);
        let price = |column| self.columns.value(column, index);
        let size = |column| self.unsigned(column, index);
        Ok(match self.class {
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
                aggressor: self.aggressor(4, index)?,
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

    fn aggressor(&self, column: usize, index: usize) -> Result<Aggressor, ParquetCatalogError> {
        match self.columns.value(column, index) {
            0 => Ok(Aggressor::Unknown),
            1 => Ok(Aggressor::Buyer),
            2 => Ok(Aggressor::Seller),
            _ => Err(self.bad_value(column, index, "none of 0 (unknown), 1 (buyer), 2 (seller)")),
        }
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
