//! Measures the engine: how fast it makes entries durable, and what a submit costs its caller.
//!
//! ```text
//! cargo run --release -p perf -- throughput
//! cargo run --release -p perf -- latency --rate 100000 --seconds 10
//! ```
//!
//! Every report begins with the machine and the settings, prints every repetition, and warns of
//! what makes its figures doubtful.

mod ack;
mod clock;
mod cores;
mod cpu_time;
mod engine;
mod hgrm;
mod histogram;
mod idle;
mod latency;
mod machine;
mod pacing;
mod report;
mod throughput;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(version, about = "Measures the tapline engine on this machine")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Entries a second from saturating producers, durable
    Throughput(throughput::Args),
    /// Latency of submits and of durability at a fixed rate
    Latency(latency::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Throughput(args) => throughput::run(&args),
        Command::Latency(args) => latency::run(&args),
    }
}
