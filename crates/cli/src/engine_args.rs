use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use tapline::engine::CorePin;
use tapline::session::EventStoreConfig;
use tapline::store::DiskMode;

use super::error::CliError;
use super::settings::Settings;

/// How the engine is set up, where a command records.
#[derive(Args)]
pub(super) struct EngineArgs {
    /// Settings of the engine: TOML, or JSON if the name ends in .json. A variable such as
    /// `TAPLINE_RING_LINES` is used before what the file says, and an option before both
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The core the writer thread is pinned to: auto (the last of four or more), none, or a number;
    /// auto where not given
    #[arg(long, value_parser = parse_core)]
    writer_core: Option<CorePin>,
    /// How long a full ring may stay full before the run halts, 1 ms to 1 h; 10000 where not given.
    /// Longer than a live node would allow, since what is recorded here can wait for a slow disk
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    halt_threshold_ms: Option<u64>,
    /// How the run file is written; direct where not given
    #[arg(long, value_enum)]
    disk_mode: Option<DiskModeArg>,
}

#[derive(Clone, Copy, ValueEnum)]
enum DiskModeArg {
    /// Large pages past the page cache, where the file system can
    Direct,
    /// Everything through the page cache
    Buffered,
}

fn parse_core(text: &str) -> Result<CorePin, String> {
    match text {
        "auto" => Ok(CorePin::Auto),
        "none" => Ok(CorePin::None),
        number => number
            .parse()
            .map(CorePin::Core)
            .map_err(|_| "expected auto, none or the number of a core".to_owned()),
    }
}

impl EngineArgs {
    /// The settings as file and environment give them.
    pub(super) fn settings(&self) -> Result<Settings, CliError> {
        Settings::read(self.config.as_deref())
    }

    pub(super) fn set_up(&self, config: &mut EventStoreConfig) {
        if let Some(core) = self.writer_core {
            config.writer.writer_core = core;
        }
        if let Some(millis) = self.halt_threshold_ms {
            config.writer.halt_threshold = Duration::from_millis(millis);
        }
        match self.disk_mode {
            Some(DiskModeArg::Direct) => config.disk_mode = DiskMode::Direct,
            Some(DiskModeArg::Buffered) => config.disk_mode = DiskMode::Buffered,
            None => {}
        }
    }
}
