//! Simulated power cuts, disk faults and whole histories of a node.
//!
//! ```text
//! cargo run --release -p sim -- cuts --seeds 100
//! cargo run --release -p sim -- faults --seeds 100
//! cargo run --release -p sim -- rot --seeds 100
//! cargo run --release -p sim -- history --seeds 100 --steps 60
//! ```
//!
//! A seed that fails is printed with what went wrong, and fails again: `--seed N --seeds 1`.
//! `docs/reliability.md` has what is simulated, how much of it was run, and what it found.

mod blocked;
mod cache;
mod campaign;
mod crash;
mod cuts;
mod faults;
mod history;
mod log_check;
mod model;
mod rot;
mod sidecar;
mod stores;
mod support;
mod tape;
mod volume;
mod workload;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};

use campaign::{Counts, Extent};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Cuts off runs after each thing they do to the disk, and boots.
    Cuts(Seeds),
    /// Lets each operation of a disk fail in turn, and boots.
    Faults(Seeds),
    /// Flips a bit of what a run has left, over and over, and boots.
    Rot(Seeds),
    /// Lives through whole histories of a node.
    History {
        #[command(flatten)]
        seeds: Seeds,
        /// Steps of each history.
        #[arg(long, default_value_t = 60)]
        steps: u64,
        /// Prints what happens, step by step.
        #[arg(long)]
        tell: bool,
    },
}

#[derive(Args)]
struct Seeds {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long = "seeds", default_value_t = 20)]
    count: u64,
    /// Begins no seed after that many seconds.
    #[arg(long, default_value_t = 86_400)]
    seconds: u64,
}

impl Seeds {
    fn extent(&self) -> Extent {
        let time = Duration::from_secs(self.seconds);
        Extent { first_seed: self.seed, seeds: self.count, time }
    }
}

fn main() -> ExitCode {
    let began = Instant::now();
    let (counts, failures) = match Cli::parse().command {
        Command::Cuts(seeds) => campaign::run(seeds.extent(), cuts::run),
        Command::Faults(seeds) => campaign::run(seeds.extent(), faults::run),
        Command::Rot(seeds) => {
            // redb panics over some kinds of damage. The panics are caught; without this hook, each
            // would be printed here.
            std::panic::set_hook(Box::new(|_| ()));
            campaign::run(seeds.extent(), rot::run)
        }
        Command::History { seeds, steps, tell } => {
            let telling = history::Telling { steps, is_told: tell };
            campaign::run(seeds.extent(), |seed, scratch, counts| {
                history::run(seed, telling, scratch, counts)
            })
        }
    };
    print(&counts, began.elapsed());
    for (seed, error) in &failures {
        println!("seed {seed} FAILED: {error}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(counts: &Counts, time: Duration) {
    let rows = [
        ("seeds", counts.seeds),
        ("power cuts, all different", counts.cuts),
        ("boots cut off in turn", counts.boots_cut),
        ("operations that failed", counts.faults),
        ("of them told at once", counts.faults_told),
        ("operations in runs with a fault", counts.operations_under_fault),
        ("bits that flipped", counts.flips),
        ("of them told", counts.flips_told),
        ("steps", counts.steps),
        ("reboots", counts.reboots),
    ];
    for (what, count) in rows.into_iter().filter(|(_, count)| *count > 0) {
        println!("{count:>12} {what}");
    }
    println!("{:>12.1} s", time.as_secs_f64());
    if counts.fingerprint != 0 {
        println!("fingerprint {:016x}: the same for the same seeds and steps", counts.fingerprint);
    }
}
