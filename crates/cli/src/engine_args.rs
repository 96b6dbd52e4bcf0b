use std::time::Duration;

use clap::{Args, ValueEnum};

use tapline::engine::CorePin;
use tapline::session::EventStoreConfig;
use tapline::store::DiskMode;

/// How the engine is set up, where a command records.
#[derive(Args)]
pub(super) struct EngineArgs {
    /// The core the writer thread is pinned to: auto (the last of four or more), none, or a number
    #[arg(long, default_value = "auto", value_parser = parse_core)]
    writer_core: CorePin,
    /// How long a full ring may stay full before the run halts, 1 ms to 1 h. Longer than a live
    /// node would allow, since what is recorded here can wait for a slow disk
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    halt_threshold_ms: u64,
    /// How the run file is written
    #[arg(long, value_enum, default_value_t = DiskModeArg::Direct)]
    disk_mode: DiskModeArg,
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
    pub(super) fn set_up(&self, config: &mut EventStoreConfig) {
        config.writer.writer_core = self.writer_core;
        config.writer.halt_threshold = Duration::from_millis(self.halt_threshold_ms);
        config.disk_mode = match self.disk_mode {
            DiskModeArg::Direct => DiskMode::Direct,
            DiskModeArg::Buffered => DiskMode::Buffered,
        };
    }
}
