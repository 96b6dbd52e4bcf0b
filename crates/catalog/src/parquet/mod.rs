//! A catalog of market data in Parquet files. The layout stands in `docs/replay.md`.

mod catalog;
mod columns;
mod error;
mod records;
mod schema;
mod writer;

pub use catalog::ParquetCatalog;
pub use error::ParquetCatalogError;
pub use writer::CatalogFileWriter;
