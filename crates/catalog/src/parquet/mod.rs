//! A catalog of market data in Parquet files. The layout stands in `docs/replay.md`.

mod catalog;
mod columns;
mod error;
mod records;

pub use catalog::ParquetCatalog;
pub use error::ParquetCatalogError;
