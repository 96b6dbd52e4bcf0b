use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapline::internals::error_chain;
use tapline::runs::{RunListing, list_runs};
use tapline::store::{FileError, OpenSealedError};
use tapline::{RunId, RunStatus, UnixNanos};

use super::Outcome;
use super::error::CliError;
use super::output::Output;
use super::run_arg::Place;

#[derive(ClapArgs)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    run_id: Option<RunId>,
    instance_id: String,
    status: Option<RunStatus>,
    parent_run_id: Option<RunId>,
    start_ts_init: Option<UnixNanos>,
    end_ts_init: Option<UnixNanos>,
    watermark: Option<u64>,
    bytes_file: u64,
    path: PathBuf,
    error: Option<String>,
}

impl Row {
    fn new(listing: RunListing, instance: &str) -> Self {
        let mut row = Self {
            run_id: listing.run_id,
            instance_id: instance.to_owned(),
            status: None,
            parent_run_id: None,
            start_ts_init: listing.run_id.map(RunId::start),
            end_ts_init: None,
            watermark: None,
            bytes_file: listing.bytes_file,
            path: listing.path,
            error: None,
        };
        match listing.manifest {
            Ok(manifest) => {
                row.run_id = Some(manifest.run_id);
                row.status = Some(manifest.status);
                row.parent_run_id = manifest.parent_run_id;
                row.start_ts_init = Some(manifest.start_ts_init);
                row.end_ts_init = manifest.end_ts_init;
                row.watermark = Some(manifest.high_watermark);
            }
            Err(OpenSealedError::File(FileError::NotSealed { .. })) => {
                row.status = Some(RunStatus::Running);
            }
            Err(error) => row.error = Some(error_chain(&error)),
        }
        row
    }
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let Place { dir, instance } = &args.place;
    let listings = list_runs(dir, instance)
        .map_err(|source| CliError::List { path: args.place.folder(), source })?;
    let rows: Vec<Row> =
        listings.into_iter().map(|listing| Row::new(listing, instance.as_str())).collect();
    let unreadable = rows.iter().any(|row| row.error.is_some());
    let mut out = Output::stdout();
    if args.json {
        out.json_line(&rows);
    } else {
        print_table(&mut out, &rows, args);
    }
    out.end(Ok(if unreadable { Outcome::Findings } else { Outcome::Clean }))
}

fn print_table(out: &mut Output, rows: &[Row], args: &Args) {
    if rows.is_empty() {
        return out.line(format_args!("no runs in {}", args.place.folder().display()));
    }
    out.line(format_args!("{:<30} {:<17} {:>12} {:>14}", "run", "status", "watermark", "bytes"));
    for row in rows {
        let run = row.run_id.map_or_else(|| row.path.display().to_string(), |id| id.to_string());
        let status = row.status.map_or_else(|| "unreadable".to_owned(), |s| s.to_string());
        let watermark = row.watermark.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
        let error = row.error.as_deref().unwrap_or_default();
        let bytes = row.bytes_file;
        out.line(format_args!("{run:<30} {status:<17} {watermark:>12} {bytes:>14}  {error}"));
    }
}
