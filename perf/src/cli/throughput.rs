//! How many entries a second become durable when producers push as fast as they can.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use super::args::{RunArgs, SystemArgs, Workload};
use super::finish::OutputArgs;
use crate::spec::{Measure, Stop};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    system: SystemArgs,
    /// The most entries in each repetition, of all producers together
    #[arg(long, default_value_t = 4_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    entries: u64,
    /// The most seconds that producers push in each repetition
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
}

const REPEAT: u32 = 5;

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let Args { entries, seconds, .. } = *args;
    ensure!(seconds > 0.0 && seconds.is_finite(), "{seconds} seconds: give more than 0");
    let measure = Measure::Saturated { stop: Stop { entries, seconds } };
    let workload = Workload { name: "throughput", how: "saturated", measure };
    args.system.measure(&args.run, &args.output, REPEAT, &workload)
}
