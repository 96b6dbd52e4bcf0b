//! The program: one file a command.

mod args;
mod compare;
mod finish;
mod latency;
mod throughput;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::campaign::SUBCOMMAND;
use crate::{child, systems};

/// Measures tapline, what it is compared with, and the limits of this machine
#[derive(Debug, Parser)]
#[command(name = "perf", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every workload on every system, taking turns, and judge the targets
    Compare(compare::Args),
    /// Entries a second from saturating producers, durable
    Throughput(throughput::Args),
    /// Latency of pushes and of durability at a fixed rate
    Latency(latency::Args),
    /// Make one measurement in this process
    #[command(name = SUBCOMMAND, hide = true)]
    Measure {
        /// What to measure, in JSON
        spec: String,
    },
}

/// Runs the program with the process's arguments. Exit codes: 0 all right, 1 a measurement failed,
/// 2 it could not do its work.
pub fn main() -> ExitCode {
    // Measured end to end as the program it is: see `systems::TAPLINE_PROGRAM`.
    let name = std::env::args_os().next();
    if name.is_some_and(|name| Path::new(&name) == Path::new(systems::TAPLINE_PROGRAM)) {
        return tapline_cli::main();
    }
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("perf: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Compare(args) => compare::run(&args),
        Command::Throughput(args) => throughput::run(&args),
        Command::Latency(args) => latency::run(&args),
        Command::Measure { spec } => {
            child::answer(&spec, systems::measure).map(|()| ExitCode::SUCCESS)
        }
    }
}
