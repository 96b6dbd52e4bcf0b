//! Runs joined with market data, through the crate's public interface.

mod at_entry;
mod inputs;
mod join;
mod market;
#[cfg(feature = "parquet")]
mod parquet;
mod runs;

/// Asserts that a value matches a pattern, and says what it was if not.
macro_rules! assert_matches {
    ($value:expr, $($pattern:tt)+) => {
        match $value {
            $($pattern)+ => {}
            other => panic!("expected {}, got {other:?}", stringify!($($pattern)+)),
        }
    };
}
use assert_matches;
