use std::path::PathBuf;

use clap::Args as ClapArgs;
use tapline::bus::topic_matches;
use tapline::internals::error_chain;
use tapline::read::{Direction, EntryRef};

use super::Outcome;
use super::error::CliError;
use super::ndjson::OutputLine;
use super::open_run::open_reader;
use super::output::Output;
use super::run_arg::Place;
use super::stderr::tell;

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Run file, run id or its beginning, or `latest`
    run: PathBuf,
    /// First entry
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Last entry; the last of the run where it is not given
    #[arg(long)]
    to: Option<u64>,
    /// Highest `seq` first
    #[arg(long)]
    reverse: bool,
    /// Only entries whose topic matches: `*` any run of characters, `?` one
    #[arg(long)]
    topic: Option<String>,
    /// Only entries of this payload type
    #[arg(long = "type")]
    payload_type: Option<String>,
    #[command(flatten)]
    place: Place,
    /// One JSON object a line, as without it
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let (from, to) = (args.from, args.to.unwrap_or(u64::MAX));
    if from > to {
        return Err(CliError::Usage(format!("--from {from} is behind --to {to}")));
    }
    let path = args.place.resolve(&args.run)?;
    let reader = open_reader(&path)?;
    let kinds = reader.manifest().map_err(|error| CliError::read(&path, error))?.index_kinds;
    let direction = if args.reverse { Direction::Reverse } else { Direction::Forward };
    let wanted = |entry: &EntryRef<'_>| {
        args.topic.as_deref().is_none_or(|pattern| topic_matches(pattern, entry.topic()))
            && args.payload_type.as_deref().is_none_or(|wanted| wanted == entry.payload_type())
    };

    let mut outcome = Outcome::Clean;
    let mut nothing_matches = true;
    let mut out = Output::stdout();
    let mut scan = reader.scan(from, to, direction);
    while out.is_open()
        && let Some(entry) = scan.next_ref()
    {
        match entry {
            Ok(entry) if wanted(&entry) => {
                nothing_matches = false;
                out.json_line(&OutputLine::new(&entry, &kinds));
            }
            Ok(_) => {}
            Err(error) => {
                tell(format_args!("{}: {}", path.display(), error_chain(&error)));
                outcome = Outcome::Findings;
            }
        }
    }
    if nothing_matches && args.chooses() {
        tell(format_args!("no entry matches in {}", path.display()));
        outcome = Outcome::Findings;
    }
    out.end(Ok(outcome))
}

impl Args {
    /// True if it was asked for certain entries, and not for all.
    fn chooses(&self) -> bool {
        self.from > 1 || self.to.is_some() || self.topic.is_some() || self.payload_type.is_some()
    }
}
