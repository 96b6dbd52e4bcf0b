//! The library's behaviour, through its public interface: one binary, one behaviour a module. What
//! they share is in `support`.

mod capture;
mod config;
mod continued_run;
mod disk_faults;
mod format_props;
mod golden;
mod halt;
mod inline;
mod key_index;
mod layers;
mod no_drop;
mod reader;
mod store_suite;
mod support;
mod verifier;
mod writer;
