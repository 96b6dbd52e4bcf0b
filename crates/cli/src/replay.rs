use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapline::internals::sidecar_path;
use tapline::markers::MarkerReader;
use tapline::read::{Direction, EventStoreReader};
use tapline::{IndexKinds, UnixNanos};
use tapline_catalog::{
    DataRequest, EmptyCatalog, MarketDataClass, MarketRecord, ParquetCatalog, PlanError,
    PlannedInputs, ReplayCatalog, ReplayInputs, ReplayItem, StreamAtEntry, TimeRange,
    join_at_entry,
};

use super::Outcome;
use super::error::CliError;
use super::ndjson::OutputLine;
use super::open_run::{open_reader, open_sidecar};
use super::output::Output;
use super::record_file::is_lifecycle;
use super::run_arg::Place;
use super::stderr::tell;
use super::words::parse_seconds;

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Run file, run id or its beginning, or `latest`
    run: PathBuf,
    /// Folder of the market data: <class>/<instrument>/<from>-<to>.parquet. Without it, entries
    /// alone
    #[arg(long, value_name = "DIR")]
    catalog: Option<PathBuf>,
    /// First entry
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Last entry; the last of the run where it is not given
    #[arg(long)]
    to: Option<u64>,
    /// Only this class: `book_deltas`, `book_depth10`, `quote`, `trade` or `bar`; can be given several times
    #[arg(long = "class", value_name = "CLASS", requires = "catalog", value_parser = parse_class)]
    classes: Vec<MarketDataClass>,
    /// Only this instrument or type of bar; can be given several times
    #[arg(long = "instrument", value_name = "ID", requires = "catalog")]
    instruments: Vec<String>,
    /// Refuse where the catalog does not have all of the time between the first entry and the last
    #[arg(long, requires = "catalog")]
    require: bool,
    /// Instead: what had been seen of each stream when this entry was captured, by the run's data
    /// markers, with the last records
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(requires = "catalog", conflicts_with_all = ["from", "to", "require", "classes", "instruments"])]
    at: Option<u64>,
    /// With --at: how far back records go, from the last one that had been seen: 5s, 10min
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_seconds)]
    lookback: u64,
    #[command(flatten)]
    place: Place,
    /// One JSON object a line, as without it
    #[arg(long)]
    json: bool,
}

fn parse_class(text: &str) -> Result<MarketDataClass, String> {
    let known = MarketDataClass::ALL;
    known.into_iter().find(|class| class.as_str() == text).ok_or_else(|| {
        let names = known.map(MarketDataClass::as_str);
        format!("expected one of {}", names.join(", "))
    })
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let path = args.place.resolve(&args.run)?;
    match (&args.catalog, args.at) {
        (Some(catalog), Some(at)) => replay_at(args, &path, &ParquetCatalog::new(catalog), at),
        (Some(folder), None) => {
            let catalog = ParquetCatalog::new(folder);
            let reader = open_reader(&path)?;
            let data = requests(args, folder, &catalog, &path, &reader)?;
            replay(args, &path, &reader, data, &catalog)
        }
        (None, _) => replay(args, &path, &open_reader(&path)?, Vec::new(), &EmptyCatalog),
    }
}

/// A record as a line of output.
#[derive(Serialize)]
struct MarketLine<'a> {
    instrument: &'a str,
    #[serde(flatten)]
    record: &'a MarketRecord,
}

fn replay(
    args: &Args,
    path: &Path,
    reader: &EventStoreReader,
    data: Vec<DataRequest>,
    catalog: &dyn ReplayCatalog,
) -> Result<Outcome, CliError> {
    let kinds = reader.manifest().map_err(|error| CliError::read(path, error))?.index_kinds;
    let (from_seq, to_seq) = (args.from, args.to.unwrap_or(u64::MAX));
    let inputs = ReplayInputs { from_seq, to_seq, data };
    let planned = match inputs.plan(catalog) {
        Err(PlanError::Missing(missing)) => {
            for missing in &missing {
                tell(format_args!("the catalog lacks {missing}"));
            }
            return Ok(Outcome::Findings);
        }
        planned => planned?,
    };
    let mut out = Output::stdout();
    let counts = print_all(&planned, reader, catalog, &kinds, &mut out);
    let counts = counts.map_err(|source| CliError::Replay { path: path.to_owned(), source })?;
    if out.is_open() {
        counts.tell(&planned);
    }
    let outcome = if counts.is_empty() { Outcome::Findings } else { Outcome::Clean };
    out.end(Ok(outcome))
}

fn print_all(
    planned: &PlannedInputs,
    reader: &EventStoreReader,
    catalog: &dyn ReplayCatalog,
    kinds: &IndexKinds,
    out: &mut Output,
) -> Result<Counts, tapline_catalog::JoinError> {
    let mut counts = Counts::default();
    for item in planned.replay(reader, catalog) {
        match item? {
            ReplayItem::Entry(entry) => {
                counts.entries += 1;
                out.json_line(&OutputLine::of(&entry, kinds));
            }
            ReplayItem::Market { instrument, record } => {
                let stream = (record.class(), instrument.to_owned());
                *counts.records.entry(stream).or_default() += 1;
                out.json_line(&MarketLine { instrument, record: &record });
            }
        }
        if !out.is_open() {
            break;
        }
    }
    Ok(counts)
}

/// What was replayed.
#[derive(Default)]
struct Counts {
    entries: u64,
    records: BTreeMap<(MarketDataClass, String), u64>,
}

impl Counts {
    fn is_empty(&self) -> bool {
        self.entries == 0 && self.records.is_empty()
    }

    /// Says it on stderr, with what the catalog does not have.
    fn tell(&self, planned: &PlannedInputs) {
        let entries = self.entries;
        let records = self
            .records
            .iter()
            .map(|((class, instrument), count)| format!(", {count} {class} of {instrument}"));
        tell(format_args!("{entries} entries{}", records.collect::<String>()));
        for missing in planned.missing() {
            tell(format_args!("the catalog lacks {missing}"));
        }
    }
}

/// Requests for all streams of the catalog that are wanted, over the time of the entries.
fn requests(
    args: &Args,
    folder: &Path,
    catalog: &ParquetCatalog,
    path: &Path,
    reader: &EventStoreReader,
) -> Result<Vec<DataRequest>, CliError> {
    let list_error = |source| CliError::ListCatalog { path: folder.to_owned(), source };
    let mut streams = catalog.streams().map_err(list_error)?;
    streams.retain(|(class, instrument)| {
        (args.classes.is_empty() || args.classes.contains(class))
            && (args.instruments.is_empty() || args.instruments.contains(instrument))
    });
    if streams.is_empty() {
        let what = "has no market data of that kind: it is in <class>/<instrument>/*.parquet";
        return Err(CliError::Usage(format!("the catalog {} {what}", folder.display())));
    }
    let Some(range) = time_of(args, path, reader)? else { return Ok(Vec::new()) };
    let request =
        |(class, instrument)| DataRequest { class, instrument, range, required: args.require };
    Ok(streams.into_iter().map(request).collect())
}

/// The time from the first captured entry to the last, by their `ts_init`. The entries of the run
/// itself do not count: they have the time of the recording, which may be another.
fn time_of(
    args: &Args,
    path: &Path,
    reader: &EventStoreReader,
) -> Result<Option<TimeRange>, CliError> {
    let mut scan = reader.scan(args.from, args.to.unwrap_or(u64::MAX), Direction::Forward);
    let mut range: Option<TimeRange> = None;
    while let Some(entry) = scan.next_ref() {
        let entry = entry.map_err(|error| CliError::read(path, error))?;
        if is_lifecycle(entry.topic(), entry.payload_type()) {
            continue;
        }
        let at = entry.ts_init();
        let TimeRange { from, to } = range.unwrap_or(TimeRange { from: at, to: at });
        range = Some(TimeRange { from: from.min(at), to: to.max(at) });
    }
    Ok(range)
}

/// A stream as the node knew it, as a line of output.
#[derive(Serialize)]
struct StreamLine<'a> {
    class: MarketDataClass,
    instrument: &'a str,
    /// How many records had been seen.
    count: u64,
    ts_init_hi: UnixNanos,
    /// How many of the last records may have come after the entry.
    uncertain: usize,
    missing: Vec<[UnixNanos; 2]>,
    records: &'a [MarketRecord],
}

fn replay_at(
    args: &Args,
    path: &Path,
    catalog: &ParquetCatalog,
    at: u64,
) -> Result<Outcome, CliError> {
    super::markers::check_entry(path, at)?;
    let sidecar = sidecar_path(path);
    let source = open_sidecar(&sidecar)
        .map_err(|source| CliError::Markers { path: PathBuf::from(&sidecar), source })?;
    let lookback_ns = args.lookback.saturating_mul(1_000_000_000);
    let streams = join_at_entry(&MarkerReader::new(source), catalog, at, lookback_ns)
        .map_err(|source| CliError::JoinMarkers { path: PathBuf::from(&sidecar), source })?;
    let mut out = Output::stdout();
    for StreamAtEntry { stream, cursor, records, missing, uncertain } in &streams {
        out.json_line(&StreamLine {
            class: stream.data_cls.into(),
            instrument: &stream.identifier,
            count: cursor.count,
            ts_init_hi: cursor.ts_init_hi,
            uncertain: *uncertain,
            missing: missing.iter().map(|range| [range.from, range.to]).collect(),
            records,
        });
    }
    if streams.is_empty() {
        tell(format_args!("no market data had been seen when entry {at} was captured"));
    }
    out.end(Ok(if streams.is_empty() { Outcome::Findings } else { Outcome::Clean }))
}
