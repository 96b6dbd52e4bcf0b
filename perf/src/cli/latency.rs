//! What a push costs its caller, and how soon an entry is durable, at a fixed rate.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use super::args::{RunArgs, SystemArgs, Workload};
use super::finish::OutputArgs;
use crate::measure::pacing::Schedule;
use crate::spec::Measure;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    system: SystemArgs,
    /// Messages a second, of all producers together
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=Schedule::RATE_MAX))]
    rate: u64,
    /// Seconds to measure
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds to send at the same rate before, without measuring
    #[arg(long, default_value_t = 1.0)]
    warmup_seconds: f64,
    /// Seconds to measure the idle machine, once before and once after
    #[arg(long, default_value_t = 3.0)]
    idle_seconds: f64,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
}

const REPEAT: u32 = 1;

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let Args { rate, seconds, warmup_seconds, idle_seconds, .. } = *args;
    let most = Schedule::SECONDS_MAX as f64 / 2.0;
    for given in [seconds, warmup_seconds, idle_seconds] {
        ensure!((0.0..=most).contains(&given), "{given} seconds: 0 to {most} are possible");
    }
    let how = format!("at {rate}/s");
    let measure = Measure::Paced { rate, seconds, warmup_seconds, idle_seconds };
    let workload = Workload { name: "latency", how: &how, measure };
    args.system.measure(&args.run, &args.output, REPEAT, &workload)
}
