//! The `tapline` program: one file a command. Data goes to stdout, everything else to stderr.
//!
//! Exit codes: 0 all right, 1 something wrong was found, 2 the command could not do its work.

mod address_space;
mod bad_lines;
mod batch;
mod bench;
mod catalog_recorder;
mod engine_args;
mod error;
mod fingerprint;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod holder;
mod input;
mod interrupts;
mod lookup;
mod ls;
mod markers;
mod meter;
mod ndjson;
mod open_run;
mod output;
mod pace;
mod passed_over;
mod record;
mod record_end;
mod record_file;
mod recover;
mod replay;
mod report;
mod retain;
mod run_arg;
mod scan;
mod settings;
mod show;
mod snapshots;
mod source;
mod spinner;
mod stderr;
mod supervise;
mod tap;
mod unpack;
mod utc;
mod verify;
mod verify_progress;
mod verify_runs;
mod verify_worker;
mod words;
mod worker;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tapline::internals::error_chain;

use interrupts::survive_file_size_limit;
use stderr::tell;

#[derive(Parser)]
#[command(name = "tapline", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Record messages into a new run: from NDJSON, or with --demo from a simulated trading node
    Record(record::Args),
    /// List an instance's runs
    Ls(ls::Args),
    /// Show what is known about a run: its manifest, snapshot anchor, root and size
    Show(show::Args),
    /// Print a run's entries as NDJSON that `record --input -`, with the same --key-kind, accepts
    /// again
    Scan(scan::Args),
    /// Print a run's entries joined with the market data of a catalog, in one order
    Replay(replay::Args),
    /// Find the first entry that mentions a key
    Lookup(lookup::Args),
    /// Seal the runs that a crash or a halt left behind, and say which one the next run continues
    /// from
    Recover(recover::Args),
    /// Say which market data had been seen, at the end of a run or when an entry was captured
    Markers(markers::Args),
    /// Check every entry, the hash chain, the index and the manifest of runs
    Verify(verify::Args),
    /// Plan which runs are kept, and with --apply remove the others
    Retain(retain::Args),
    /// Measure what recording costs on this machine and this disk; leaves nothing behind
    Bench(bench::Args),
    /// What `verify` starts for each run, in a process of its own
    #[command(hide = true)]
    VerifyWorker(verify_worker::Args),
}

/// The result of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All right.
    Clean,
    /// Something wrong was found.
    Findings,
}

/// True if stderr is a terminal, and nobody asked for no colors.
fn wants_colors() -> bool {
    let asked_for_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !asked_for_none
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    survive_file_size_limit();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    let log = log.with_ansi(wants_colors());
    // If a line of the log cannot be written, a complaint about that cannot either, and would
    // panic.
    log.log_internal_errors(false).init();
    let outcome = match cli.command {
        Command::Record(args) => record::run(&args),
        Command::Ls(args) => ls::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Lookup(args) => lookup::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Markers(args) => markers::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Retain(args) => retain::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::VerifyWorker(args) => verify_worker::run(&args),
    };
    match outcome {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        Err(error) => {
            tell(format_args!("error: {}", error_chain(&error)));
            ExitCode::from(2)
        }
    }
}
