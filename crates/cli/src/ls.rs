use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapline::internals::error_chain;
use tapline::runs::{RunListing, list_runs};
use tapline::store::{FileError, OpenSealedError};
use tapline::{RunId, RunStatus, UnixNanos};

use super::Outcome;
use super::error::CliError;
use super::holder::is_held;
use super::output::Output;
use super::passed_over::{ids, passed_over};
use super::run_arg::Place;
use super::utc;
use super::words::{bytes, path_text, recover_command};

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
    /// True if a process is recording it.
    live: bool,
    parent_run_id: Option<RunId>,
    /// Runs that this one took the place of for good. Unknown until it is sealed.
    passed_over: Option<Vec<RunId>>,
    start_ts_init: Option<UnixNanos>,
    end_ts_init: Option<UnixNanos>,
    watermark: Option<u64>,
    bytes_file: u64,
    #[serde(serialize_with = "path_text")]
    path: PathBuf,
    error: Option<String>,
}

impl Row {
    fn new(listing: RunListing, instance: &str) -> Self {
        let mut row = Self {
            run_id: listing.run_id,
            instance_id: instance.to_owned(),
            status: None,
            live: false,
            parent_run_id: None,
            passed_over: None,
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
                row.passed_over = Some(passed_over(&manifest));
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

    fn status_text(&self) -> String {
        match self.status {
            Some(RunStatus::Running) if self.live => "running".to_owned(),
            Some(RunStatus::Running) => "left behind".to_owned(),
            Some(status) => status.to_string(),
            None => "unreadable".to_owned(),
        }
    }

    /// What to know or to do about it.
    fn remark(&self) -> String {
        match (self.status, &self.error) {
            (_, Some(error)) => error.clone(),
            (Some(RunStatus::Running), None) if !self.live => {
                format!("`{}` seals it", recover_command(&self.path))
            }
            _ => match self.passed_over.as_deref() {
                None | Some([]) => String::new(),
                Some(runs) => format!("passed over {}", ids(runs)),
            },
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let place = &args.place;
    place.check_folder()?;
    // Before the list: a run that is sealed meanwhile is not taken for one that was left behind.
    let is_held = is_held(&place.folder());
    let listings =
        list_runs(&place.dir, &place.instance).map_err(|source| place.cannot_list(source))?;
    let mut rows: Vec<Row> =
        listings.into_iter().map(|listing| Row::new(listing, place.instance.as_str())).collect();
    // Who holds an instance records its newest run.
    if let Some(newest) = rows.iter_mut().rfind(|row| row.status == Some(RunStatus::Running)) {
        newest.live = is_held;
    }
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
    out.line(format_args!(
        "{:<30} {:<20} {:<17} {:>12} {:>11}",
        "run", "started (UTC)", "status", "watermark", "size"
    ));
    for row in rows {
        let run = row.run_id.map_or_else(|| row.path.display().to_string(), |id| id.to_string());
        let started = row.start_ts_init.map_or_else(|| "-".to_owned(), utc::text_to_the_second);
        let watermark = row.watermark.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
        let (status, size) = (row.status_text(), bytes(row.bytes_file));
        let line = format!("{run:<30} {started:<20} {status:<17} {watermark:>12} {size:>11}");
        out.line(format_args!("{}", format!("{line}  {}", row.remark()).trim_end()));
    }
}
