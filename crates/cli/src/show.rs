use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapline::internals::sidecar_path;
use tapline::{RegisteredComponents, RunManifest, SnapshotAnchor};

use super::Outcome;
use super::error::CliError;
use super::open_run::open_run;
use super::output::Output;
use super::run_arg::Place;
use super::utc;
use super::words::{bytes, path_text};

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Run file, run id or its beginning, or `latest`
    run: PathBuf,
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
    bytes_file: u64,
    /// Bytes of the sidecar with data markers, if there is one.
    bytes_markers: Option<u64>,
    root: Option<String>,
    anchor: Option<SnapshotAnchor>,
    manifest: RunManifest,
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let path = args.place.resolve(&args.run)?;
    let report = read(&path)?;
    let mut out = Output::stdout();
    if args.json {
        out.json_line(&report);
    } else {
        print(&mut out, &report);
    }
    out.end(Ok(Outcome::Clean))
}

fn read(path: &Path) -> Result<Report<'_>, CliError> {
    let source = open_run(path)?;
    let mut manifest = source.manifest().map_err(|error| CliError::read(path, error))?;
    if !manifest.status.is_sealed() {
        // Only a seal writes it down.
        manifest.high_watermark =
            source.watermark().map_err(|error| CliError::read(path, error))?;
    }
    let failed = |error| CliError::read(path, error);
    let bytes_of = |path: &Path| path.metadata().ok().map(|metadata| metadata.len());
    Ok(Report {
        path,
        bytes_file: bytes_of(path).unwrap_or(0),
        bytes_markers: bytes_of(&sidecar_path(path)),
        root: source.root().map_err(failed)?.map(|root| root.to_string()),
        anchor: source.anchor().map_err(failed)?,
        manifest,
    })
}

fn print(out: &mut Output, report: &Report<'_>) {
    let RunManifest { run_id, instance_id, status, parent_run_id, .. } = &report.manifest;
    let manifest = &report.manifest;
    let mut line = |name: &str, value: &str| {
        let value = if value.is_empty() { "none" } else { value };
        out.line(format_args!("{name:<15} {value}"));
    };
    line("run", &format!("{run_id} of {instance_id}"));
    line("status", &status.to_string());
    line("parent", &parent_run_id.map_or_else(|| "none".to_owned(), |parent| parent.to_string()));
    line("file", &format!("{} ({})", report.path.display(), bytes(report.bytes_file)));
    line("markers", &report.bytes_markers.map_or_else(|| "none".to_owned(), bytes));
    line("started", &utc::text(manifest.start_ts_init));
    line("last ts_init", &manifest.end_ts_init.map_or_else(|| "none".to_owned(), utc::text));
    line("watermark", &manifest.high_watermark.to_string());
    line("root", report.root.as_deref().unwrap_or("none"));
    line("anchor", &report.anchor.as_ref().map_or_else(|| "none".to_owned(), anchor));
    line("binary", &manifest.binary_hash);
    line("config", &manifest.config_hash);
    line("schema version", &manifest.schema_version.to_string());
    line("seed", &manifest.seed.map_or_else(|| "none".to_owned(), |seed| seed.to_string()));
    line("flags", &manifest.feature_flags.join(", "));
    let kinds: Vec<&str> = manifest.index_kinds.iter().map(|(name, _)| name).collect();
    line("index kinds", &kinds.join(", "));
    line("crates", &versions(&manifest.crate_versions));
    line("adapters", &versions(&manifest.adapter_versions));
    let RegisteredComponents { actors, strategies, algorithms, subscriptions, endpoints } =
        &manifest.registered_components;
    line("actors", &pairs(actors.iter()));
    line("strategies", &pairs(strategies.iter()));
    line("algorithms", &pairs(algorithms.iter()));
    line("subscriptions", &subscriptions.join(", "));
    line("endpoints", &endpoints.join(", "));
}

fn anchor(anchor: &SnapshotAnchor) -> String {
    let SnapshotAnchor { high_watermark, blob_ref, content_hash } = anchor;
    format!("{blob_ref} up to entry {high_watermark}, {content_hash}")
}

fn versions(versions: &BTreeMap<String, String>) -> String {
    pairs(versions.iter().map(|(name, version)| (name.as_str(), version.as_str())))
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    pairs.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}
