//! The `tapline` program as a user meets it: commands, output, messages, exit codes, signals.

mod as_a_user;
mod bad_input;
mod bad_lines;
mod bench;
mod clock;
mod config;
mod demo;
mod disk_full;
mod disk_lost;
mod disks;
mod figures;
mod input_forms;
mod interrupt;
mod left_behind;
mod lookup;
mod ls;
mod markers;
mod passed_over;
mod payloads;
mod real_input;
mod recover;
mod retain;
mod round_trip;
mod rounds;
mod run_names;
mod running;
mod scan;
mod show;
mod sources;
mod support;
#[cfg(unix)]
mod tamper;
mod unread;
mod verify;
mod verify_runs;
mod verify_worker;
