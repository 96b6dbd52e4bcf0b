//! How many entries a second become durable when producers push as fast as they can.

use std::sync::Barrier;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tapline::Producer;

use crate::clock::TickClock;
use crate::cores::pin;
use crate::cpu_time;
use crate::engine::{Engine, EngineArgs, EngineSetup, PATIENCE, draft};
use crate::report::{Heading, Spread, print_json};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    engine: EngineArgs,
    /// Entries in each repetition, of all producers together
    #[arg(long, default_value_t = 4_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    entries: u64,
    /// Repetitions, each with a new run
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    heading: Heading,
    entries: u64,
    repetitions: Vec<Repetition>,
    durable_per_s: Option<Spread>,
}

/// What one repetition found.
#[derive(Debug, Clone, Copy, Serialize)]
struct Repetition {
    /// From the first push until the last message of every producer is durable.
    elapsed_s: f64,
    durable_per_s: f64,
    payload_mb_per_s: f64,
    /// What an entry took a producer, waits for a full ring included.
    push_ns: f64,
    /// Processor time of all threads. A producer with a full ring is busy waiting.
    cpu_s_per_million: Option<f64>,
    /// Of that, all but the producers': the writer's, in user and kernel mode.
    writer_cpu_s_per_million: Option<f64>,
    /// Length of the closed file by bytes of payload.
    file_by_payload: Option<f64>,
    /// What the file takes on the disk by bytes of payload.
    disk_by_payload: Option<f64>,
}

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    let setup = EngineSetup::new(&args.engine)?;
    let heading = Heading::new(&setup);
    if !args.json {
        heading.print(&format!("throughput of {} entries, {} times", args.entries, args.repeat));
        print_table_heading();
    }
    let clock = TickClock::new();
    let mut repetitions = Vec::new();
    for number in 1..=args.repeat {
        let repetition = repeat(&setup, &clock, args.entries)
            .with_context(|| format!("repetition {number} of {}", args.repeat))?;
        if !args.json {
            repetition.print(number);
        }
        repetitions.push(repetition);
    }
    if args.json {
        let durable_per_s = Spread::of(repetitions.iter().map(|found| found.durable_per_s));
        return print_json(&Report { heading, entries: args.entries, repetitions, durable_per_s });
    }
    print_spreads(&repetitions);
    Ok(())
}

/// How one producer got on; times by the [`TickClock`].
struct Share {
    began: u64,
    /// When the last submit returned.
    submitted: u64,
    /// When the last message was durable.
    durable: u64,
    cpu: Option<Duration>,
}

fn repeat(setup: &EngineSetup, clock: &TickClock, entries: u64) -> Result<Repetition> {
    let engine = setup.open()?;
    let cpu_before = cpu_time::of_process();
    let producers = push_all(setup, &engine, clock, entries)?;
    let cpu = cpu_time::between(cpu_before, cpu_time::of_process());
    let file = engine.close(entries)?;

    let began = producers.iter().map(|producer| producer.began).min().unwrap_or(0);
    let durable = producers.iter().map(|producer| producer.durable).max().unwrap_or(0);
    let pushing: u64 = producers.iter().map(|producer| producer.submitted - producer.began).sum();
    let producers_cpu: Option<Duration> = producers.iter().map(|producer| producer.cpu).sum();

    let elapsed_s = (durable - began) as f64 / 1e9;
    let payload_bytes = entries as f64 * setup.settings.payload_bytes as f64;
    let by_payload = |bytes: u64| bytes as f64 / payload_bytes;
    let per_million = |cpu: Duration| cpu.as_secs_f64() * 1e6 / entries as f64;
    Ok(Repetition {
        elapsed_s,
        durable_per_s: entries as f64 / elapsed_s,
        payload_mb_per_s: payload_bytes / 1e6 / elapsed_s,
        push_ns: pushing as f64 / entries as f64,
        cpu_s_per_million: cpu.map(per_million),
        writer_cpu_s_per_million: cpu
            .zip(producers_cpu)
            .map(|(all, producers)| per_million(all.saturating_sub(producers))),
        file_by_payload: file.map(|file| by_payload(file.len)),
        disk_by_payload: file.and_then(|file| file.allocated).map(by_payload),
    })
}

/// Lets all producers push their share at the same time.
fn push_all(
    setup: &EngineSetup,
    engine: &Engine,
    clock: &TickClock,
    entries: u64,
) -> Result<Vec<Share>> {
    let cores = &setup.settings.cores.producers;
    let count = cores.len() as u64;
    let payload = setup.settings.payload();
    let payload = payload.as_slice();
    let producers: Vec<Producer> =
        cores.iter().map(|_| engine.producer()).collect::<Result<_>>()?;
    let start = &Barrier::new(cores.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(producers.into_iter().zip(cores))
            .map(|(number, (producer, core))| {
                let share = entries / count + u64::from(number < entries % count);
                scope.spawn(move || {
                    let pinned = pin(*core);
                    start.wait();
                    pinned?;
                    push(producer, payload, share, clock)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a producer's thread does not panic"))
            .collect()
    })
}

fn push(mut producer: Producer, payload: &[u8], share: u64, clock: &TickClock) -> Result<Share> {
    let cpu_before = cpu_time::of_thread();
    let began = clock.now();
    let mut last = None;
    for number in 0..share {
        last = Some(producer.submit(&draft(payload, number)).context("a submit was refused")?);
    }
    let submitted = clock.now();
    if let Some(ticket) = last {
        producer.durability().wait(ticket, PATIENCE).context("not everything became durable")?;
    }
    let durable = clock.now();
    let cpu = cpu_time::between(cpu_before, cpu_time::of_thread());
    Ok(Share { began, submitted, durable, cpu })
}

fn print_table_heading() {
    println!(
        "{:<8} {:>13} {:>13} {:>10} {:>13} {:>13} {:>13} {:>13}",
        "",
        "durable M/s",
        "payload MB/s",
        "push ns",
        "cpu s/M",
        "writer s/M",
        "file/payload",
        "disk/payload"
    );
}

/// Columns of the table for people.
const COLUMNS: usize = 7;

impl Repetition {
    fn figures(&self) -> [Option<f64>; COLUMNS] {
        [
            Some(self.durable_per_s / 1e6),
            Some(self.payload_mb_per_s),
            Some(self.push_ns),
            self.cpu_s_per_million,
            self.writer_cpu_s_per_million,
            self.file_by_payload,
            self.disk_by_payload,
        ]
    }

    fn print(&self, number: u32) {
        print_row(&number.to_string(), self.figures());
    }
}

fn print_spreads(repetitions: &[Repetition]) {
    let spread =
        |column: usize| Spread::of(repetitions.iter().filter_map(|row| row.figures()[column]));
    let spreads: [Option<Spread>; COLUMNS] = std::array::from_fn(spread);
    println!();
    print_row("min", spreads.map(|spread| spread.map(|spread| spread.min)));
    print_row("median", spreads.map(|spread| spread.map(|spread| spread.median)));
    print_row("max", spreads.map(|spread| spread.map(|spread| spread.max)));
}

fn print_row(name: &str, figures: [Option<f64>; COLUMNS]) {
    let cell = |figure: Option<f64>, digits: usize| {
        figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
    };
    let [durable, payload, push, cpu, writer, file, disk] = figures;
    println!(
        "{name:<8} {:>13} {:>13} {:>10} {:>13} {:>13} {:>13} {:>13}",
        cell(durable, 3),
        cell(payload, 0),
        cell(push, 0),
        cell(cpu, 3),
        cell(writer, 3),
        cell(file, 3),
        cell(disk, 3)
    );
}
