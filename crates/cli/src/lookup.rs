use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::Outcome;
use super::error::CliError;
use super::open_run::open_reader;
use super::output::Output;
use super::run_arg::Place;
use super::stderr::tell;

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Run file, run id or its beginning, or `latest`
    run: PathBuf,
    /// Index kind: `client_order_id`, `venue_order_id`, or one registered for the run
    kind: String,
    /// The key
    key: String,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Mention<'a> {
    kind: &'a str,
    key: &'a str,
    seq: Option<u64>,
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let path = args.place.resolve(&args.run)?;
    let reader = open_reader(&path)?;
    let manifest = reader.manifest().map_err(|error| CliError::read(&path, error))?;
    let Some(kind) = manifest.index_kinds.get(&args.kind) else {
        let known: Vec<&str> = manifest.index_kinds.iter().map(|(name, _)| name).collect();
        return Err(CliError::UnknownKind { name: args.kind.clone(), known: known.join(", ") });
    };
    let seq = reader.lookup(kind, &args.key).map_err(|error| CliError::read(&path, error))?;
    let mut out = Output::stdout();
    if args.json {
        out.json_line(&Mention { kind: &args.kind, key: &args.key, seq });
    } else {
        match seq {
            Some(seq) => out.line(format_args!("{seq}")),
            None => tell(format_args!("no entry mentions {} {:?}", args.kind, args.key)),
        }
    }
    out.end(Ok(if seq.is_some() { Outcome::Clean } else { Outcome::Findings }))
}
