//! The behaviour of the engine, for each way in which frames become durable. Each file of this
//! folder is a module of each suite.
#![expect(clippy::duplicate_mod, reason = "one suite, two configurations")]

/// The suite, with `$overlap_bytes_min` as the setting of that name.
macro_rules! engine_suite {
    ($name:ident, $overlap_bytes_min:expr) => {
        #[path = "."]
        mod $name {
            mod capture;
            mod halt;
            mod limits;
            mod no_drop;
            mod waiting;
            mod writer;

            /// The settings every test starts from.
            fn defaults() -> tapline::engine::WriterConfig {
                tapline::engine::WriterConfig {
                    overlap_bytes_min: $overlap_bytes_min,
                    ..tapline::engine::WriterConfig::default()
                }
            }
        }
    };
}

engine_suite!(committed_by_the_writer, 128 << 20);
engine_suite!(committed_by_the_committer, 0);
