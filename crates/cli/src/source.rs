//! What `record` records: lines of NDJSON or the simulated node, as the arguments and stdin say.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;

use super::error::CliError;
use super::input::Input;

#[derive(Args)]
pub(super) struct SourceArgs {
    /// Read NDJSON from this file, or from stdin for `-`; plain or zstd. Without it and --demo,
    /// what is piped or redirected to stdin is read
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    input: Option<String>,
    /// Record a simulated trading node
    #[arg(long)]
    demo: bool,
    /// With --demo: how many messages to capture; 200000 where not given
    #[arg(long)]
    entries: Option<u64>,
    /// With --demo: milliseconds between two snapshots of the node's portfolio; 1000 where not
    /// given
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    snapshot_every_ms: Option<u64>,
    /// With NDJSON: messages a second, over all producers; as fast as possible where not given
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,
    /// With NDJSON: stop at the first bad line
    #[arg(long)]
    strict: bool,
}

/// What is recorded, ready to be read.
pub(super) enum Source {
    Ndjson(Ndjson),
    Demo(Demo),
}

/// Lines of NDJSON.
pub(super) struct Ndjson {
    pub(super) input: Input,
    /// Messages a second; `None` is as fast as possible.
    pub(super) rate: Option<f64>,
    /// True: stop at the first bad line.
    pub(super) strict: bool,
}

/// The simulated node.
pub(super) struct Demo {
    /// How many messages to capture.
    pub(super) entries: u64,
    pub(super) snapshot_every: Duration,
}

impl SourceArgs {
    /// Chooses the source and opens it. Refuses options that the source would ignore, and a
    /// terminal as stdin unless it was asked for.
    pub(super) fn open(&self) -> Result<Source, CliError> {
        if self.demo {
            return self.demo().map(Source::Demo);
        }
        let path = match &self.input {
            Some(path) => path,
            None if io::stdin().is_terminal() => return Err(nothing_to_record()),
            None => "-",
        };
        self.ndjson(path).map(Source::Ndjson)
    }

    fn demo(&self) -> Result<Demo, CliError> {
        const NOT_HERE: &str = "NDJSON (--input FILE, --input -), not with --demo";
        refuse("--rate", self.rate.is_some(), NOT_HERE)?;
        refuse("--strict", self.strict, NOT_HERE)?;
        let entries = self.entries.unwrap_or(200_000);
        let snapshot_every = Duration::from_millis(self.snapshot_every_ms.unwrap_or(1000));
        Ok(Demo { entries, snapshot_every })
    }

    fn ndjson(&self, path: &str) -> Result<Ndjson, CliError> {
        const NOT_HERE: &str = "--demo, not with NDJSON";
        refuse("--entries", self.entries.is_some(), NOT_HERE)?;
        refuse("--snapshot-every-ms", self.snapshot_every_ms.is_some(), NOT_HERE)?;
        Ok(Ndjson { input: Input::open(path)?, rate: self.rate, strict: self.strict })
    }
}

/// Refuses an option that belongs to another source.
fn refuse(option: &str, is_given: bool, goes_with: &str) -> Result<(), CliError> {
    if is_given {
        return Err(CliError::Usage(format!("{option} goes with {goes_with}")));
    }
    Ok(())
}

fn nothing_to_record() -> CliError {
    let what = "there is nothing to record: give --input FILE for a file of NDJSON, --input - for \
                NDJSON on stdin, or --demo for a simulated trading node";
    CliError::Usage(what.to_owned())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if rate >= 0.001 && rate.is_finite() {
        Ok(rate)
    } else {
        Err("a rate is at least 0.001 messages a second".to_owned())
    }
}
