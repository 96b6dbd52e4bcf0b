//! The library's behaviour through its public interface, in one binary. Each behaviour is a module.
//! Shared helpers are in `support`.

mod config;
mod continued_run;
mod disk_faults;
mod engine;
mod file_length;
mod format_props;
mod golden;
mod halt_callbacks;
mod inline;
mod key_index;
mod large_records;
mod log;
mod markers;
mod os_threads;
mod overlap;
mod reader;
mod replay;
mod retention;
mod rows;
mod session;
mod store_suite;
mod support;
mod verifier;
