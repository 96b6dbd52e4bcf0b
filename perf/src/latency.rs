//! What a submit costs its caller, and how soon an entry is durable, at a fixed rate.
//!
//! Measured open-loop, see [`crate::pacing`]. The producers' threads do nothing else, so everything
//! that delays them, the machine's own pauses included, is in the figures; those pauses are measured
//! beside, on the same cores and in the same way, to tell the two apart.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tapline::Producer;

use crate::ack::{AckProbe, Acks};
use crate::clock::TickClock;
use crate::cores::pin;
use crate::engine::{EngineArgs, EngineSetup, PATIENCE, draft};
use crate::histogram::{Latencies, Percentiles};
use crate::pacing::{Schedule, wait_until};
use crate::report::{Heading, print_json, print_percentiles, print_percentiles_heading};
use crate::{hgrm, idle};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    engine: EngineArgs,
    /// Messages a second, of all producers together
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=Schedule::RATE_MAX))]
    rate: u64,
    /// Seconds to measure
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=Schedule::SECONDS_MAX / 2))]
    seconds: u64,
    /// Seconds to send at the same rate before, without measuring
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=Schedule::SECONDS_MAX / 2))]
    warmup_seconds: u64,
    /// Seconds to measure the idle machine, once before and once after
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=Schedule::SECONDS_MAX))]
    idle_seconds: u64,
    /// Write the histograms to this folder, as files for `HdrHistogram` plotters
    #[arg(long, value_name = "DIR")]
    hgrm: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// How many messages a second are followed until they are durable.
const ACK_SAMPLES_PER_SECOND: u64 = 2_000;

/// Time for the producers' threads to be in place before the first message is due.
const START_DELAY_NS: u64 = 20_000_000;

#[derive(Debug, Serialize)]
struct Report {
    heading: Heading,
    rate: u64,
    seconds: u64,
    timer_overhead_ns: f64,
    achieved_rate: f64,
    ack_samples_missed: u64,
    capture_ns: Percentiles,
    capture_from_intended_ns: Percentiles,
    ack_ns: Percentiles,
    hiccup_before_ns: Percentiles,
    hiccup_during_ns: Percentiles,
    hiccup_after_ns: Percentiles,
}

/// What was measured; durations in nanoseconds.
struct Measured {
    /// The submit call.
    capture: Latencies,
    /// From the time a message was due until its submit returned.
    capture_from_intended: Latencies,
    /// From acceptance until durable, of a sample, see [`AckProbe`].
    ack: Latencies,
    ack_missed: u64,
    /// Gaps between readings of the clock in the waits between messages, as in [`idle::measure`].
    /// A gap that falls into a submit is in `capture` instead.
    hiccup_during: Latencies,
    /// When the last submit returned, by the [`TickClock`].
    ended: u64,
}

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    let setup = EngineSetup::new(&args.engine)?;
    let heading = Heading::new(&setup);
    let cores = &setup.settings.cores;
    let clock = TickClock::new();
    let timer_overhead_ns = timer_overhead(&clock, cores.producers[0])?;

    let before = idle::measure(&clock, args.rate, args.idle_seconds, cores)?;
    let (measured, achieved_rate) = measure(args, &setup, &clock)?;
    let after = idle::measure(&clock, args.rate, args.idle_seconds, cores)?;

    let histograms = [
        ("capture", &measured.capture),
        ("capture_from_intended", &measured.capture_from_intended),
        ("ack", &measured.ack),
        ("hiccup_before", &before),
        ("hiccup_during", &measured.hiccup_during),
        ("hiccup_after", &after),
    ];
    if let Some(dir) = &args.hgrm {
        for (name, latencies) in histograms {
            hgrm::write(dir, name, latencies)?;
        }
    }
    if args.json {
        return print_json(&Report {
            heading,
            rate: args.rate,
            seconds: args.seconds,
            timer_overhead_ns,
            achieved_rate,
            ack_samples_missed: measured.ack_missed,
            capture_ns: measured.capture.percentiles(),
            capture_from_intended_ns: measured.capture_from_intended.percentiles(),
            ack_ns: measured.ack.percentiles(),
            hiccup_before_ns: before.percentiles(),
            hiccup_during_ns: measured.hiccup_during.percentiles(),
            hiccup_after_ns: after.percentiles(),
        });
    }
    heading.print(&format!(
        "latency at {} messages/s for {} s after {} s of warm-up",
        args.rate, args.seconds, args.warmup_seconds
    ));
    print_percentiles_heading();
    for (name, latencies) in histograms {
        print_percentiles(name, latencies);
    }
    println!("\nachieved {achieved_rate:.0} messages/s");
    println!("each duration includes {timer_overhead_ns:.1} ns of reading the clock");
    if measured.ack_missed > 0 {
        println!("warning: {} ack samples could not be taken", measured.ack_missed);
    }
    Ok(())
}

/// What reading the clock costs on a producer's core. On a thread of its own: threads inherit the
/// core of the one that starts them.
fn timer_overhead(clock: &TickClock, core: Option<usize>) -> Result<f64> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| pin(core).map(|()| clock.overhead_ns()));
        thread.join().expect("reading the clock does not panic")
    })
}

/// Runs the engine, and says what rate was reached with the measured messages.
fn measure(args: &Args, setup: &EngineSetup, clock: &TickClock) -> Result<(Measured, f64)> {
    let cores = &setup.settings.cores.producers;
    let count = cores.len() as u64;
    let payload = setup.settings.payload();
    let payload = payload.as_slice();
    let every = (args.rate / count / ACK_SAMPLES_PER_SECOND.div_ceil(count)).max(1);
    let engine = setup.open()?;
    let producers: Vec<Producer> =
        cores.iter().map(|_| engine.producer()).collect::<Result<_>>()?;
    let start = clock.now() + START_DELAY_NS;
    let threads = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(producers.into_iter().zip(cores))
            .map(|(number, (producer, core))| {
                let schedule =
                    Schedule { rate: args.rate, producers: count, producer: number, start };
                let plan = Plan {
                    schedule,
                    warmup: schedule.messages_in(args.warmup_seconds),
                    messages: schedule.messages_in(args.warmup_seconds + args.seconds),
                    ack_every: every,
                };
                scope.spawn(move || {
                    pin(*core)?;
                    plan.run(producer, payload, clock)
                })
            })
            .collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("a producer's thread does not panic"));
        joined.collect::<Result<Vec<Measured>>>()
    })?;
    let sent = (args.warmup_seconds + args.seconds) * args.rate;
    engine.close(sent)?;
    let measured = Measured::merge(threads);
    let measuring_from = start + args.warmup_seconds * 1_000_000_000;
    let elapsed_s = measured.ended.saturating_sub(measuring_from) as f64 / 1e9;
    let achieved_rate = measured.capture.percentiles().count as f64 / elapsed_s;
    Ok((measured, achieved_rate))
}

/// What one producer's thread does.
#[derive(Debug, Clone, Copy)]
struct Plan {
    schedule: Schedule,
    /// The first messages, which are sent but not measured.
    warmup: u64,
    /// All messages.
    messages: u64,
    ack_every: u64,
}

impl Plan {
    fn run(self, mut producer: Producer, payload: &[u8], clock: &TickClock) -> Result<Measured> {
        let interval = self.schedule.interval();
        let mut measured = Measured::new();
        let mut acks = AckProbe::new(producer.durability(), self.ack_every);
        for message in 0..self.messages {
            let due = self.schedule.due(message);
            let gap = wait_until(clock, due, |now| acks.poll(now));
            let draft = draft(payload, message);

            let called = clock.now();
            let ticket = producer.submit(&draft);
            let returned = clock.now();

            // Only from here on is there time for anything but the message.
            let ticket = ticket.with_context(|| format!("message {message} was refused"))?;
            if message < self.warmup {
                continue;
            }
            measured.capture.record(returned.saturating_sub(called));
            measured.capture_from_intended.record(returned.saturating_sub(due));
            if let Some(gap) = gap {
                measured.hiccup_during.record_gap(gap, interval);
            }
            acks.submitted(ticket, returned);
            measured.ended = returned;
        }
        let Acks { latencies, missed } = acks.finish(clock, PATIENCE)?;
        ensure!(self.messages > self.warmup, "no message was due in the time to measure");
        (measured.ack, measured.ack_missed) = (latencies, missed);
        Ok(measured)
    }
}

impl Measured {
    fn new() -> Self {
        Self {
            capture: Latencies::new(),
            capture_from_intended: Latencies::new(),
            ack: Latencies::new(),
            ack_missed: 0,
            hiccup_during: Latencies::new(),
            ended: 0,
        }
    }

    fn merge(threads: Vec<Self>) -> Self {
        let mut all = Self::new();
        for thread in threads {
            all.capture.merge(&thread.capture);
            all.capture_from_intended.merge(&thread.capture_from_intended);
            all.ack.merge(&thread.ack);
            all.ack_missed += thread.ack_missed;
            all.hiccup_during.merge(&thread.hiccup_during);
            all.ended = all.ended.max(thread.ended);
        }
        all
    }
}
