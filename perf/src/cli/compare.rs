//! Every workload on every system.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::args::RunArgs;
use super::finish::OutputArgs;
use crate::compare::{Scale, WORKLOADS, cases};
use crate::systems::SystemId;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scale everything down to less than two minutes: whether it works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Only this workload: W1 to W9, hash, or memory, which runs only when asked for; can be given
    /// several times
    #[arg(long, value_name = "WORKLOAD")]
    only: Vec<String>,
    /// Only these systems
    #[arg(long = "system", value_enum, value_delimiter = ',')]
    systems: Vec<SystemId>,
    /// What W9 records, in the program's own NDJSON [default: ../shared/data, if it is there]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// A thousand entries each, for tests
    #[arg(long, hide = true, conflicts_with = "quick")]
    tiny: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Repetitions where not told otherwise.
const REPEAT: u32 = 3;

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let (scale, repeat) = match (args.quick, args.tiny) {
        (true, _) => (Scale::QUICK, 1),
        (_, true) => (Scale::TINY, 1),
        _ => (Scale::FULL, REPEAT),
    };
    let is_wanted = |system: &SystemId| args.systems.is_empty() || args.systems.contains(system);
    let (campaign, mut heading) = args.run.prepare(repeat, is_wanted(&SystemId::Nautilus))?;
    let folder = args.output.folder(campaign.scratch.path())?;
    let mut wanted: Vec<&str> = args.only.iter().map(String::as_str).collect();
    if wanted.is_empty() {
        wanted = WORKLOADS.to_vec();
    }
    let mut all = Vec::new();
    for workload in wanted {
        let (cases, skipped) = cases(workload, &scale, args.input.as_deref())?;
        all.extend(cases);
        if let Some(skipped) = skipped {
            heading.note(skipped);
        }
    }
    for case in &mut all {
        case.systems.retain(is_wanted);
    }
    all.retain(|case| !case.systems.is_empty());
    let results = campaign.run(all)?;
    args.output.finish(&folder, &heading, &results)
}
