//! Integration tests: one binary, one behaviour a module. What they share is in `support`.

mod continued_run;
mod disk_faults;
mod format_props;
mod golden;
mod reader;
mod store_suite;
mod support;
mod verifier;
