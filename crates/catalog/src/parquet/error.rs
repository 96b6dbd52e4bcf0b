use std::error::Error;
use std::io;
use std::path::PathBuf;

use tapline::UnixNanos;

use crate::catalog::TimeRange;
use crate::market_data::MarketDataClass;

/// Why a catalog of Parquet files could not be read. Reaches a replay as the source of
/// [`PlanError::Catalog`](crate::PlanError::Catalog) and
/// [`JoinError::Load`](crate::JoinError::Load).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParquetCatalogError {
    /// A folder or file could not be opened or listed.
    #[error("cannot open {path}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file, or the folder that it is to be in.
        path: PathBuf,
        /// What the system or the Parquet library says.
        source: Box<dyn Error + Send + Sync + 'static>,
    },
    /// A record was to be written into a file of another class.
    #[error("{path} is a file of class {of_file}, and cannot take a {class}")]
    OtherClass {
        /// The file.
        path: PathBuf,
        /// The record's class.
        class: MarketDataClass,
        /// The file's class.
        of_file: MarketDataClass,
    },
    /// A folder of a class is not named after an instrument.
    #[error(
        "{path} is not named after an instrument: a byte other than a letter, a digit, -, _ and . \
         is % and two upper-case hexadecimal digits"
    )]
    Instrument {
        /// The folder.
        path: PathBuf,
    },
    /// A file does not say which time it covers.
    #[error(
        "{path} is not named <from>-<to>.parquet, with two times in Unix nanoseconds, the first not \
         past the second; name it by the time it covers"
    )]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// Two files say that they cover the same time.
    #[error(
        "{first} and {second} cover the same time; take one away, or name them by what they cover"
    )]
    Overlap {
        /// The file that begins first.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A file lacks a column, or has it in another form.
    #[error("column {column} of {path} {problem}; docs/replay.md says what each class has")]
    Schema {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file is no Parquet file, or is cut off, damaged, or compressed in a way this build cannot
    /// read.
    #[error("cannot read {path} (write the file anew, or restore it from a copy)")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the Parquet library says.
        source: Box<dyn Error + Send + Sync + 'static>,
    },
    /// A row has a value that cannot be.
    #[error("row {row} of {path} has {value} as {column}, which is {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: u64,
        /// The column.
        column: &'static str,
        /// The value; `no value` where it is null.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A row is before the one ahead of it.
    #[error(
        "row {row} of {path} is at {ts_init}, before the row ahead of it; sort the file by ts_init"
    )]
    Unsorted {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: u64,
        /// Its time.
        ts_init: UnixNanos,
    },
    /// A row is outside the time its file says it covers.
    #[error("row {row} of {path} is at {ts_init}, but by its name the file covers {stated}")]
    OutsideName {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: u64,
        /// Its time.
        ts_init: UnixNanos,
        /// The time that the name states.
        stated: TimeRange,
    },
}
