use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use tapline::engine::WriterConfig;

use super::finish::OutputArgs;
use crate::campaign::{Campaign, Case, Scratch};
use crate::instruments::{CoreChoice, Placement};
use crate::report::Heading;
use crate::spec::{Disk, Measure, Settings};
use crate::systems::SystemId;

/// How to run, whatever is measured.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Repetitions, each in new processes on new files
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) repeat: Option<u32>,
    /// Where systems keep their files meanwhile: the disk that is measured [default: target/perf]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Read everything back after each measurement and compare it with what was pushed
    #[arg(long)]
    check: bool,
    /// The program that measures nautilus [default: where perf/peers/nautilus/build.sh puts it]
    #[arg(long, value_name = "FILE")]
    nautilus: Option<PathBuf>,
}

/// Where `perf/peers/nautilus/build.sh` has put its program: beside this one, where all is built
/// into one folder, or else into its own.
fn built_nautilus() -> Option<PathBuf> {
    const NAME: &str = "nautilus-peer";
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name(NAME));
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/nautilus/target/release");
    beside.into_iter().chain([own.join(NAME)]).find(|path| path.exists())
}

impl RunArgs {
    /// The campaign, and the report's heading, which says so if nautilus is wanted and not there.
    pub(super) fn prepare(
        &self,
        repeat_default: u32,
        wants_nautilus: bool,
    ) -> Result<(Campaign, Heading)> {
        let scratch = Scratch::below(self.dir.as_deref())?;
        let repeat = self.repeat.unwrap_or(repeat_default);
        let mut heading = Heading::new(scratch.path(), repeat);
        let nautilus = self.nautilus.clone().or_else(built_nautilus);
        if wants_nautilus && nautilus.is_none() {
            heading.note(
                "nautilus is not measured: build it with perf/peers/nautilus/build.sh".to_owned(),
            );
        }
        Ok((Campaign { scratch, repeat, check: self.check, nautilus }, heading))
    }
}

/// What is measured, and how it is set.
#[derive(Debug, clap::Args)]
pub(super) struct SystemArgs {
    /// The systems to measure, taking turns
    #[arg(long = "system", value_enum, value_delimiter = ',', default_value = "tapline")]
    systems: Vec<SystemId>,
    /// Bytes of payload in each message; several make a case each
    #[arg(long, default_value = "256", value_name = "BYTES", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    payload: Vec<u32>,
    /// Producers, each on a thread of its own; several make a case each
    #[arg(long, default_value = "1", value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    producers: Vec<u16>,
    /// Give each message an index key of its own
    #[arg(long)]
    keys: bool,
    /// How tapline writes run files
    #[arg(long, value_enum, default_value_t = Disk::Logged)]
    disk_mode: Disk,
    /// Keep tapline's entries in memory instead of files; as --disk-mode memory
    #[arg(long, conflicts_with = "disk_mode")]
    memory: bool,
    /// The most bytes in one commit, of tapline and of the bare write
    #[arg(long, default_value_t = WriterConfig::default().batch_bytes_max, value_name = "BYTES")]
    batch_bytes: usize,
    /// Lines of 64 bytes in each producer's ring, of tapline and of the bare ring
    #[arg(long, default_value_t = WriterConfig::default().ring_lines, value_name = "LINES")]
    ring_lines: usize,
    /// Let tapline's writer spin when idle, instead of yielding and sleeping
    #[arg(long)]
    spin: bool,
    /// `fjall`, `sqlite` and `redb-rows`: the most rows in one commit [default: what is pending;
    /// redb: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8192))]
    rows_per_commit: Option<u32>,
    /// The writer's core, or `none` [default: the last, where there are two or more]
    #[arg(long, value_name = "CORE")]
    writer_core: Option<CoreChoice>,
    /// The first producer's core, or `none`; further producers take the next ones, except the
    /// writer's [default: the first, where there are two or more]
    #[arg(long, value_name = "CORE")]
    producer_core: Option<CoreChoice>,
}

impl SystemArgs {
    /// One for each number of producers and size of payload.
    fn settings(&self) -> Result<Vec<Settings>> {
        let mut all = Vec::new();
        for producers in &self.producers {
            for payload in &self.payload {
                all.push(Settings {
                    payload_bytes: *payload as usize,
                    keys: self.keys,
                    cores: Placement::new(
                        (*producers).into(),
                        self.producer_core,
                        self.writer_core,
                    )?,
                    disk: if self.memory { Disk::Memory } else { self.disk_mode },
                    batch_bytes: self.batch_bytes,
                    ring_lines: self.ring_lines,
                    spin: self.spin,
                    rows_per_commit: self.rows_per_commit.map(|rows| rows as usize),
                    keep_bytes: None,
                });
            }
        }
        Ok(all)
    }

    /// One measurement for each number of producers and size of payload, and the way it went.
    pub(super) fn measure(
        &self,
        run: &RunArgs,
        output: &OutputArgs,
        repeat_default: u32,
        workload: &Workload<'_>,
    ) -> Result<ExitCode> {
        let wants_nautilus = self.systems.contains(&SystemId::Nautilus);
        let (campaign, heading) = run.prepare(repeat_default, wants_nautilus)?;
        let folder = output.folder(campaign.scratch.path())?;
        let cases = self.settings()?.into_iter().map(|settings| {
            let Settings { payload_bytes, keys, .. } = settings;
            let producers = settings.cores.producers.len();
            let with_keys = if keys { " with a fresh index key each" } else { "" };
            let Workload { name, how, measure } = workload;
            Case {
                id: format!("{name}-{producers}x{payload_bytes}"),
                workload: (*name).to_owned(),
                title: format!("{payload_bytes} B{with_keys}, {producers} producer(s), {how}"),
                systems: self.systems.clone(),
                settings,
                measure: measure.clone(),
            }
        });
        let results = campaign.run(cases.collect())?;
        output.finish(&folder, &heading, &results)
    }
}

/// What a command measures, however systems are set.
#[derive(Debug)]
pub(super) struct Workload<'a> {
    /// Begins the names of its files.
    pub(super) name: &'a str,
    /// How messages come, for people.
    pub(super) how: &'a str,
    pub(super) measure: Measure,
}
