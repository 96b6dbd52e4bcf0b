use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args as ClapArgs, ValueEnum};
use crossbeam_channel::unbounded;
use serde::Serialize;
use tapline::capture::EncoderRegistry;
use tapline::internals::error_chain;
use tapline::markers::{DataMarkerConfig, ExtractorRegistry};
use tapline::session::{EventStoreConfig, OpenError, RunSession};
use tapline::{
    IndexKindError, IndexKinds, InstanceId, OnUnreadableRun, RegisteredComponents, RunId,
};
use tapline_demo::{Portfolio, PortfolioCache, SnapshotFolder};

use super::Outcome;
use super::address_space;
use super::catalog_recorder::CatalogRecorder;
use super::engine_args::EngineArgs;
use super::error::CliError;
use super::fingerprint;
use super::interrupts::stop_when_interrupted;
use super::meter::AckMeter;
use super::ndjson::{self, LineParser};
use super::output::Output;
use super::passed_over::passed_over;
use super::record_end::{Recorded, finish, outcome};
use super::record_file::{self, FileRecording};
use super::snapshots::CacheKeeper;
use super::source::{Demo, Ndjson, Source, SourceArgs};
use super::supervise::supervise;
use super::tap::{Recorder, StopFlag};

#[derive(ClapArgs)]
pub(super) struct Args {
    /// Folder of the runs; ./runs where not given
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Node instance; with --demo, `demo` where not given
    #[arg(long, default_value_if("demo", "true", "demo"), default_value = "node-1")]
    instance: InstanceId,
    #[command(flatten)]
    source: SourceArgs,
    /// Threads that publish: of NDJSON, lines are dealt to them by their `producer`; with --demo,
    /// strategies
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    producers: u64,
    /// Register an index kind of this name; can be given several times
    #[arg(long = "key-kind", value_name = "NAME", value_parser = parse_kind)]
    key_kinds: Vec<String>,
    #[command(flatten)]
    engine: EngineArgs,
    /// What to do if the run that may hold what happened last cannot be continued; stop where not
    /// given
    #[arg(long, value_enum)]
    on_unreadable_run: Option<OnUnreadableRunArg>,
    /// Print `durable N` on stderr when the watermark N has moved, at most once in so many
    /// milliseconds: what is reported so survives whatever becomes of this process
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    durable_every_ms: Option<u64>,
    #[command(flatten)]
    markers: MarkerArgs,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum OnUnreadableRunArg {
    /// Make no run: the reason may pass
    Stop,
    /// Continue an older run. What the other one holds is left out for good
    PassOver,
}

#[derive(ClapArgs)]
struct MarkerArgs {
    /// Record beside the run which market data was seen, and when. Of NDJSON, that is every line
    /// whose topic begins with `data.` or `venue.`
    #[arg(long)]
    markers: bool,
    /// With --markers: mark every record of this instrument; can be given several times
    #[arg(long = "high-fidelity", value_name = "INSTRUMENT", requires = "markers")]
    high_fidelity: Vec<String>,
}

impl MarkerArgs {
    fn set_up(&self, config: &mut EventStoreConfig) {
        if self.markers {
            let markers = config.data_markers.get_or_insert_with(DataMarkerConfig::default);
            if !self.high_fidelity.is_empty() {
                markers.high_fidelity.clone_from(&self.high_fidelity);
            }
        }
    }
}

fn parse_kind(text: &str) -> Result<String, IndexKindError> {
    IndexKinds::default().register(text).map(|_kind| text.to_owned())
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    // Before the run is made: a bad setting, or an input that cannot be read, leaves no empty run
    // behind.
    let config = config(args)?;
    let source = args.source.open()?;
    address_space::warn_if_low(args.producers, &config.writer);
    let stop = StopFlag::default();
    // Also before the run is made: from its first moment on, an interrupt seals it.
    stop_when_interrupted(&stop)?;
    let acks = AckMeter::start()?;

    let (session, cache) = match open(args, &config, &source) {
        Err(error) if args.json => return refused(error),
        opened => opened?,
    };
    let halt = session.halt().clone();
    let began = Instant::now();

    let manifest = session.reader().manifest();
    let passed_over = manifest
        .map(|manifest| passed_over(&manifest))
        .map_err(|error| CliError::read(session.path(), error))?;

    let bad_lines = source.bad_lines();
    let is_input = matches!(source, Source::Ndjson(_));
    let keep = |(cache, every)| {
        let anchorer = session.snapshot_anchorer();
        CacheKeeper::start(session.follow(cache), anchorer, every)
    };
    let keeper = cache.map(keep).transpose();
    let (done, reports) = unbounded();
    let (failed, failures) = unbounded();
    let (for_all, samples) = (stop.clone(), acks.samples());
    let recorder = Recorder { session: &session, stop: for_all, done, failed, samples };
    // If a thread cannot be started, the others stop, and the run is closed in order.
    let (keeper, started) = match keeper {
        Ok(keeper) => (keeper, start(source, args, &config, &recorder)),
        Err(error) => (None, Err(error)),
    };
    let (catalog, started) =
        started.map_or_else(|error| (None, Err(error)), |catalog| (catalog, Ok(())));
    if started.is_err() {
        stop.set();
    }
    // Drops the last sender, so that the end of the threads is noticed.
    drop(recorder);
    let durable_every = args.durable_every_ms.map(Duration::from_millis);
    let measured = supervise(&session, &reports, &halt, &stop, durable_every);
    let came_to_its_end = is_input && !stop.is_set();
    let ack_ns = acks.finish();
    let catalog = catalog.map(CatalogRecorder::finish).transpose();
    let portfolio = keeper
        .map(|keeper| last_portfolio(&session, config.writer.close_timeout, keeper))
        .transpose();
    let recorded = Recorded {
        instance_id: args.instance.to_string(),
        portfolio: portfolio.as_ref().ok().and_then(Option::as_ref).map(Into::into),
        began,
        measured,
        ack_ns,
        bad_lines: &bad_lines,
        run_id: session.run_id(),
        parent_run_id: session.parent_run_id(),
        passed_over,
        writer_core: session.writer_core(),
        path: session.path().to_owned(),
        durable: session.watermark(),
    };
    let (report, closed) = finish(session, recorded);
    let came_to = started
        .and(closed)
        .and(portfolio.map(drop))
        .and(catalog.map(drop))
        .and_then(|()| failures.try_recv().map_or(Ok(()), Err))
        .and_then(|()| bad_lines.finish())
        .map(|()| outcome(&report, &bad_lines, &config.writer, came_to_its_end));
    report.print(args.json).end(came_to)
}

fn config(args: &Args) -> Result<EventStoreConfig, CliError> {
    let settings = args.engine.settings()?;
    let mut config = settings.config.clone();
    if let Some(dir) = &args.dir {
        config.base_dir.clone_from(dir);
    }
    if !args.key_kinds.is_empty() {
        config.index_kinds.clone_from(&args.key_kinds);
    }
    args.engine.set_up(&mut config);
    if let Some(names_max) = args.source.names_max {
        config.writer.names_max = names_max;
    }
    match args.on_unreadable_run {
        Some(OnUnreadableRunArg::Stop) => config.on_unreadable_run = OnUnreadableRun::Stop,
        Some(OnUnreadableRunArg::PassOver) => config.on_unreadable_run = OnUnreadableRun::PassOver,
        None => {}
    }
    args.markers.set_up(&mut config);
    settings.check(&config)?;
    // Last, since it hashes the others.
    config.identity = fingerprint::identity(&config);
    Ok(config)
}

fn open_error(config: &EventStoreConfig, source: OpenError) -> CliError {
    let (dir, source) = (config.base_dir.clone(), Box::new(source));
    match *source {
        OpenError::PassedOver { .. } => CliError::PassedOver { dir, error: source },
        _ => CliError::Open { dir, source },
    }
}

/// What `record --json` prints where no run was opened, because it would pass over another one.
#[derive(Serialize)]
struct Refused {
    error: String,
    passed_over: [RunId; 1],
}

fn refused(error: CliError) -> Result<Outcome, CliError> {
    let CliError::PassedOver { error: cause, .. } = &error else { return Err(error) };
    let OpenError::PassedOver { run_id, .. } = **cause else { return Err(error) };
    let mut out = Output::stdout();
    out.json_line(&Refused { error: error_chain(&error), passed_over: [run_id] });
    out.end(Err(error))
}

/// Opens the run. For the demo, also returns the portfolio of the last run and how often to take
/// snapshots.
fn open(
    args: &Args,
    config: &EventStoreConfig,
    source: &Source,
) -> Result<(RunSession, Option<(PortfolioCache, Duration)>), CliError> {
    let mut components = RegisteredComponents::default();
    components.actors.insert("tapline-record".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let builder = RunSession::builder(config.clone(), args.instance.clone())
        .components(components)
        // The report says if the run has halted.
        .on_halt(|_reason| ());
    match source {
        Source::Ndjson(_) => {
            let builder = builder.encoders(file_encoders()).extractors(file_extractors());
            Ok((builder.open().map_err(|source| open_error(config, source))?, None))
        }
        Source::Demo(demo) => {
            let builder =
                builder.encoders(tapline_demo::encoders()).extractors(tapline_demo::extractors());
            let mut cache =
                PortfolioCache::new(SnapshotFolder::new(&config.base_dir, &args.instance));
            let opened = builder.restore_and_open(&mut cache);
            let (session, _restored) = opened.map_err(|source| open_error(config, source))?;
            Ok((session, Some((cache, demo.snapshot_every))))
        }
    }
}

/// The portfolio at the end, after everything accepted is durable and the last snapshot is taken. A
/// halted run has reported its halt.
fn last_portfolio(
    session: &RunSession,
    patience: Duration,
    keeper: CacheKeeper<PortfolioCache>,
) -> Result<Portfolio, CliError> {
    // If this fails the run is halted. Then only what is durable counts.
    let _ = session.flush(patience);
    let cache = keeper.finish().map_err(CliError::Keep)?;
    Ok(cache.portfolio().clone())
}

fn file_encoders() -> EncoderRegistry {
    let mut registry = EncoderRegistry::new();
    registry.register(ndjson::encoder()).expect("the registry is empty");
    registry
}

fn file_extractors() -> ExtractorRegistry {
    let mut registry = ExtractorRegistry::new();
    registry.register(ndjson::extractor()).expect("the registry is empty");
    registry
}

/// Starts the threads that record `source`. Returns the one that writes its market data into a
/// catalog, if that was asked for.
fn start(
    source: Source,
    args: &Args,
    config: &EventStoreConfig,
    recorder: &Recorder<'_>,
) -> Result<Option<CatalogRecorder>, CliError> {
    let producers = args.producers;
    match source {
        Source::Ndjson(Ndjson { input, rate, bad_lines }) => {
            let kinds = config.registered_kinds();
            let kinds = kinds.map_err(|error| open_error(config, error.into()))?;
            let parser = LineParser::new(kinds, config.writer.clone());
            let recording = FileRecording { input, parser, producers, rate, bad_lines };
            record_file::start(recording, recorder)?;
            Ok(None)
        }
        Source::Demo(demo) => start_demo(&demo, producers, recorder),
    }
}

/// Starts the threads of the simulated node.
fn start_demo(
    demo: &Demo,
    strategies: u64,
    recorder: &Recorder<'_>,
) -> Result<Option<CatalogRecorder>, CliError> {
    let catalog = demo.catalog.as_deref().map(CatalogRecorder::start).transpose()?;
    let (catalog, records) = catalog.unzip();
    for participant in tapline_demo::participants(demo.entries, strategies) {
        let records = records.clone().filter(|_| participant.is_venue());
        recorder.spawn(&participant.name(), move |bus, stop| {
            if let Some(records) = records {
                tapline_demo::on_market_data(bus, move |instrument, record| {
                    // The other end outlives the venue. If it has panicked, the end says so.
                    let _ = records.send((instrument, record));
                });
            }
            // A refusal means that the run has halted. Then there is nothing left to simulate.
            if participant.run(bus, || stop.is_set()).is_err() {
                stop.set();
            }
        })?;
    }
    Ok(catalog)
}
