//! How many entries a second become durable when producers push as fast as they can.

use std::process::ExitCode;

use anyhow::Result;

use super::args::{RunArgs, SystemArgs};
use super::finish::OutputArgs;
use crate::campaign::Case;
use crate::spec::{Measure, Settings, Stop};
use crate::systems::SystemId;

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
    let systems = &args.system.systems;
    let (campaign, heading) = args.run.prepare(REPEAT, systems.contains(&SystemId::Nautilus))?;
    let folder = args.output.folder(campaign.scratch.path())?;
    let stop = Stop { entries: args.entries, seconds: args.seconds };
    let cases = args.system.settings()?.into_iter().map(|settings| {
        let Settings { payload_bytes, keys, .. } = settings;
        let producers = settings.cores.producers.len();
        let with_keys = if keys { " with a fresh index key each" } else { "" };
        Case {
            id: format!("throughput-{producers}x{payload_bytes}"),
            workload: "throughput".to_owned(),
            title: format!("{payload_bytes} B{with_keys}, {producers} producer(s), saturated"),
            systems: systems.clone(),
            settings,
            measure: Measure::Saturated { stop },
        }
    });
    let results = campaign.run(cases.collect())?;
    args.output.finish(&folder, &heading, &results)
}
