//! What `record` records: lines of NDJSON or the simulated node, as the arguments and stdin say.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::bad_lines::{BadLines, KeptLines};
use super::error::CliError;
use super::input::Input;

#[derive(Args)]
pub(super) struct SourceArgs {
    /// Read NDJSON from this file, or from stdin for `-`; plain, zstd or gzip. Without it and
    /// --demo, what is piped or redirected to stdin is read
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    input: Option<PathBuf>,
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
    /// With --demo: write the venue's market data into the catalog in this folder, for `replay`
    #[arg(long, value_name = "DIR")]
    catalog: Option<PathBuf>,
    /// With NDJSON: messages a second, over all producers; as fast as possible where not given
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,
    /// With NDJSON: stop at the first bad line
    #[arg(long)]
    strict: bool,
    /// With NDJSON: stop when more than so many lines were bad
    #[arg(long, value_name = "N", conflicts_with = "strict")]
    max_bad_lines: Option<u64>,
    /// With NDJSON: append bad lines, as they came, to this file
    #[arg(long, value_name = "FILE")]
    bad_lines: Option<PathBuf>,
    /// With NDJSON: how many different topics and types one producer can use, 2 to 1048576; 65536
    /// where not given
    #[arg(long, value_name = "N", value_parser = parse_names_max)]
    pub(super) names_max: Option<usize>,
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
    pub(super) bad_lines: Arc<BadLines>,
}

/// The simulated node.
pub(super) struct Demo {
    /// How many messages to capture.
    pub(super) entries: u64,
    pub(super) snapshot_every: Duration,
    /// Where its market data goes.
    pub(super) catalog: Option<PathBuf>,
}

impl Source {
    /// What becomes of bad lines. The simulated node has none.
    pub(super) fn bad_lines(&self) -> Arc<BadLines> {
        match self {
            Self::Ndjson(ndjson) => Arc::clone(&ndjson.bad_lines),
            Self::Demo(_) => Arc::new(BadLines::new(None, None)),
        }
    }
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
            None => Path::new("-"),
        };
        self.ndjson(path).map(Source::Ndjson)
    }

    fn demo(&self) -> Result<Demo, CliError> {
        const NOT_HERE: &str = "NDJSON (--input FILE, --input -), not with --demo";
        refuse("--rate", self.rate.is_some(), NOT_HERE)?;
        refuse("--strict", self.strict, NOT_HERE)?;
        refuse("--max-bad-lines", self.max_bad_lines.is_some(), NOT_HERE)?;
        refuse("--names-max", self.names_max.is_some(), NOT_HERE)?;
        refuse("--bad-lines", self.bad_lines.is_some(), NOT_HERE)?;
        let entries = self.entries.unwrap_or(200_000);
        let snapshot_every = Duration::from_millis(self.snapshot_every_ms.unwrap_or(1000));
        Ok(Demo { entries, snapshot_every, catalog: self.catalog.clone() })
    }

    fn ndjson(&self, path: &Path) -> Result<Ndjson, CliError> {
        const NOT_HERE: &str = "--demo, not with NDJSON";
        refuse("--entries", self.entries.is_some(), NOT_HERE)?;
        refuse("--catalog", self.catalog.is_some(), NOT_HERE)?;
        refuse("--snapshot-every-ms", self.snapshot_every_ms.is_some(), NOT_HERE)?;
        let input = Input::open(path)?;
        let kept = self.bad_lines.as_ref().map(|file| KeptLines::open(file, path)).transpose()?;
        let max = if self.strict { Some(0) } else { self.max_bad_lines };
        let bad_lines = Arc::new(BadLines::new(max, kept));
        Ok(Ndjson { input, rate: self.rate, bad_lines })
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

fn parse_names_max(text: &str) -> Result<usize, String> {
    let names_max = text.parse().map_err(|error| format!("{error}"))?;
    let allowed = 2..=1 << 20;
    if allowed.contains(&names_max) {
        return Ok(names_max);
    }
    Err(format!("it is from {} to {}", allowed.start(), allowed.end()))
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if rate >= 0.001 && rate.is_finite() {
        Ok(rate)
    } else {
        Err("a rate is at least 0.001 messages a second".to_owned())
    }
}
