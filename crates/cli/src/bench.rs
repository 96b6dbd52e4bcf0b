//! `bench`: what recording costs on this machine and this disk. It has three parts: how long the
//! disk takes to sync, how soon a message is captured and durable at a given rate, and how many
//! messages are recorded at full speed.

mod paced;
mod saturated;
mod scratch;
mod syncs;

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapline::capture::{Encoder, EncoderRegistry};
use tapline::session::{EventStoreConfig, RunSession};

use self::paced::Paced;
use self::saturated::Saturated;
use self::scratch::Scratch;
use super::Outcome;
use super::engine_args::EngineArgs;
use super::error::CliError;
use super::interrupts::stop_when_interrupted;
use super::output::Output;
use super::report::Percentiles;
use super::tap::StopFlag;

#[derive(ClapArgs)]
pub(super) struct Args {
    /// A folder on the disk to measure. What is recorded there is removed at the end
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Seconds for each part that records. As fast as it goes, a second may take a gigabyte of the
    /// disk
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Bytes of payload in a message
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(0..=200_000))]
    payload_bytes: u64,
    /// Messages a second that one thread captures at a rate
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Threads that capture as fast as it goes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    producers: u64,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    dir: &'a Path,
    processors: usize,
    payload_bytes: u64,
    sync_ns: Percentiles,
    paced: Paced,
    saturated: Saturated,
}

pub(super) fn run(args: &Args) -> Result<Outcome, CliError> {
    let stop = StopFlag::default();
    stop_when_interrupted(&stop)?;
    let scratch = Scratch::make(&args.dir)?;
    let bench = Bench::new(args, &scratch, stop)?;
    let report = Report {
        dir: &args.dir,
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        payload_bytes: args.payload_bytes,
        sync_ns: (&syncs::measure(scratch.path(), &bench.stop)?).into(),
        paced: paced::measure(&bench, args.rate, args.seconds)?,
        saturated: saturated::measure(&bench, args.producers, args.seconds)?,
    };
    if bench.stop.is_set() {
        return Err(CliError::Usage("interrupted: nothing was measured to its end".to_owned()));
    }
    let mut out = Output::stdout();
    if args.json {
        out.json_line(&report);
    } else {
        report.print_text(&mut out);
    }
    out.end(Ok(Outcome::Clean))
}

/// What both recording parts share.
struct Bench {
    config: EventStoreConfig,
    registry: EncoderRegistry,
    message: Message,
    stop: StopFlag,
}

/// What is captured.
struct Message {
    payload: Vec<u8>,
}

const TOPIC: &str = "bench.message";

impl Bench {
    fn new(args: &Args, scratch: &Scratch, stop: StopFlag) -> Result<Self, CliError> {
        let settings = args.engine.settings()?;
        let mut config = settings.config.clone();
        scratch.path().clone_into(&mut config.base_dir);
        args.engine.set_up(&mut config);
        settings.check(&config)?;
        let mut registry = EncoderRegistry::new();
        let encoder = Encoder::new("BenchMessage", |message: &Message, record| {
            record.write_payload(&message.payload);
            Ok(())
        });
        registry.register(encoder).expect("the registry is empty");
        let message = Message { payload: vec![b'x'; args.payload_bytes as usize] };
        Ok(Self { config, registry, message, stop })
    }

    /// Measures on a new run, then seals it. Also returns the bytes of its file.
    fn on_a_run<T>(
        &self,
        measure: impl FnOnce(&RunSession) -> Result<T, CliError>,
    ) -> Result<(T, u64), CliError> {
        let builder = RunSession::builder(self.config.clone(), "bench".parse()?);
        let opened = builder.encoders(self.registry.clone()).on_halt(|_reason| ()).open();
        let dir = &self.config.base_dir;
        let session = opened
            .map_err(|source| CliError::Open { dir: dir.clone(), source: Box::new(source) })?;
        let measured = measure(&session).map_err(|error| {
            // The reason why nothing more is captured comes first.
            session.check_halt().map_or_else(CliError::Halted, |()| error)
        })?;
        let path = session.path().to_owned();
        match session.seal() {
            Ok(_) => {
                let bytes_file = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
                Ok((measured, bytes_file))
            }
            Err(error) => Err(CliError::Close { path, error }),
        }
    }
}

impl Report<'_> {
    fn print_text(&self, out: &mut Output) {
        let Self { dir, processors, payload_bytes, sync_ns, paced, saturated } = self;
        let dir = dir.display();
        out.line(format_args!(
            "{payload_bytes} bytes of payload a message, in {dir}, {processors} processors"
        ));
        out.line(format_args!("sync       {sync_ns}"));
        out.line(format_args!(
            "           (4 KiB written and synced, by itself: no acknowledgement is sooner)"
        ));
        let Paced { rate, rate_kept, idle_ns, capture_ns, ack_ns, .. } = paced;
        out.line(format_args!("at {rate} a second, one thread ({rate_kept:.0} a second kept)"));
        out.line(format_args!("  idle     {idle_ns}"));
        out.line(format_args!("           (this machine's own lateness, taken in turns)"));
        out.line(format_args!("  capture  {capture_ns}"));
        out.line(format_args!("           (from when a message was due)"));
        out.line(format_args!("  ack      {ack_ns}"));
        out.line(format_args!("           (from acceptance to the disk)"));
        let Saturated {
            producers, entries, durable_per_s, payload_mb_per_s, file_by_payload, ..
        } = saturated;
        out.line(format_args!("as fast as it goes, {producers} threads"));
        out.line(format_args!(
            "  durable  {durable_per_s:.0} entries/s, {payload_mb_per_s:.0} MB/s of payload, {entries} entries"
        ));
        if let Some(times) = file_by_payload {
            out.line(format_args!("  file     {times:.2} times the payload"));
        }
    }
}
