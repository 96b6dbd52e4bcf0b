use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapline::internals::sidecar_path;
use tapline::markers::{MarkerFold, MarkerReader, MarkerStoreError};
use tapline::{
    DataMarkerClass, MarkerManifest, RunId, RunStatus, StreamCursor, StreamDictEntry, UnixNanos,
};

use super::Outcome;
use super::error::CliError;
use super::open_run::{open_reader, open_sidecar};
use super::output::Output;
use super::run_arg::Place;
use super::utc;
use super::words::path_text;

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Run file, run id or its beginning, or `latest`
    run: PathBuf,
    /// What had been seen when this entry was captured; at the end of the run where it is not given
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    at: Option<u64>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "path_text")]
    path: &'a Path,
    run_id: RunId,
    status: RunStatus,
    /// The requested entry.
    at: Option<u64>,
    snapshots: u64,
    hifi: u64,
    gaps: u64,
    /// How many markers are missing before that entry.
    missing: u64,
    streams: Vec<Row>,
}

/// A stream, and how far it had come.
#[derive(Serialize)]
struct Row {
    slot: u32,
    data_cls: DataMarkerClass,
    identifier: String,
    count: u64,
    ts_init_hi: Option<UnixNanos>,
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let run = args.place.resolve(&args.run)?;
    if let Some(at) = args.at {
        check_entry(&run, at)?;
    }
    let path = sidecar_path(&run);
    let (manifest, streams, fold) = read(&path, args.at.unwrap_or(u64::MAX))
        .map_err(|source| CliError::Markers { path: PathBuf::from(&path), source })?;
    let report = Report {
        path: &path,
        run_id: manifest.run_id,
        status: manifest.status,
        at: args.at,
        snapshots: manifest.counts.snapshots,
        hifi: manifest.counts.hifi,
        gaps: manifest.counts.gaps,
        missing: fold.missing,
        streams: rows(streams, &fold.cursors),
    };
    let mut out = Output::stdout();
    if args.json {
        out.json_line(&report);
    } else {
        print(&mut out, &report);
    }
    out.end(Ok(Outcome::Clean))
}

/// Fails if the run ends before the entry `at`.
pub(super) fn check_entry(run: &Path, at: u64) -> Result<(), CliError> {
    let reader = open_reader(run)?;
    let last = reader.watermark().map_err(|error| CliError::read(run, error))?;
    if at > last {
        let what = format!("{} has no entry {at}; its last is {last}", run.display());
        return Err(CliError::Usage(what));
    }
    Ok(())
}

fn read(
    path: &Path,
    before: u64,
) -> Result<(MarkerManifest, Vec<StreamDictEntry>, MarkerFold), MarkerStoreError> {
    let reader = MarkerReader::new(open_sidecar(path)?);
    Ok((reader.manifest()?, reader.streams()?, reader.fold_before(before)?))
}

fn rows(streams: Vec<StreamDictEntry>, cursors: &BTreeMap<u32, StreamCursor>) -> Vec<Row> {
    let row = |stream: StreamDictEntry| {
        let StreamDictEntry { slot, data_cls, identifier } = stream;
        let cursor = cursors.get(&slot);
        let count = cursor.map_or(0, |cursor| cursor.count);
        let ts_init_hi = cursor.map(|cursor| cursor.ts_init_hi);
        Row { slot, data_cls, identifier, count, ts_init_hi }
    };
    streams.into_iter().map(row).collect()
}

fn print(out: &mut Output, report: &Report<'_>) {
    let Report { path, run_id, status, snapshots, hifi, gaps, missing, .. } = report;
    out.line(format_args!("{}: run {run_id}, {status}", path.display()));
    out.line(format_args!("{snapshots} snapshots, {hifi} high-fidelity markers, {gaps} gaps"));
    match report.at {
        Some(at) => out.line(format_args!("seen when entry {at} was captured:")),
        None => out.line(format_args!("seen in all:")),
    }
    if *missing > 0 {
        out.line(format_args!("  {missing} markers are missing before: counts may lag behind"));
    }
    for Row { data_cls, identifier, count, ts_init_hi, .. } in &report.streams {
        let hi = ts_init_hi.map_or_else(|| "-".to_owned(), utc::text);
        out.line(format_args!("  {data_cls:<12} {identifier:<24} {count:>12}  up to {hi}"));
    }
}
