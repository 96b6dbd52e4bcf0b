//! What a push costs its caller, and how soon an entry is durable, at a fixed rate.
//!
//! Measured open-loop, see [`super::pacing`]. The producers' threads do nothing else, so everything
//! that delays them, the machine's own pauses included, is in the figures; those pauses are
//! measured beside, on the same cores and in the same way, to tell the two apart.

use anyhow::{Context, Result, ensure};

use super::ack::{AckProbe, Acks};
use super::idle;
use super::pacing::{Schedule, wait_until};
use super::payload::{Key, message, payload};
use super::producers::{both, on_their_cores, wait_durable};
use super::timeline::Samples;
use crate::instruments::{Latencies, TickClock, pin};
use crate::outcome::{Figure, Outcome};
use crate::spec::{Measure, PATIENCE, Settings, Spec};
use crate::system::{Lane, System};

/// How many messages a second are followed until they are durable.
const ACK_SAMPLES_PER_SECOND: u64 = 20_000;

/// The share of the rate that counts as having kept it.
const KEPT_UP: f64 = 0.99;

/// Time for the producers' threads to be in place before the first message is due.
const START_DELAY_NS: u64 = 20_000_000;

/// Points of the pictures of latency over time.
const INTERVAL_MS: u64 = 100;

pub(super) fn run<S: System>(spec: &Spec, outcome: &mut Outcome) -> Result<()> {
    let Measure::Paced { rate, seconds, warmup_seconds, idle_seconds } = spec.measure else {
        unreachable!("the caller has looked");
    };
    let settings = &spec.settings;
    let clock = TickClock::new();
    outcome.set(Figure::TimerNs, timer_overhead(&clock, settings.cores.producers[0])?);
    let before = idle::measure(&clock, rate, idle_seconds, &settings.cores)?;

    let (system, lanes) = S::open(&spec.dir, settings).context("cannot open the system")?;
    let producers = lanes.len() as u64;
    let start = clock.now() + START_DELAY_NS;
    let pacer = Pacer {
        clock: &clock,
        settings,
        schedule: Schedule { rate, producers, producer: 0, start },
        seconds,
        warmup_seconds,
    };
    let lanes = on_their_cores(lanes, &settings.cores, |producer, lane| pacer.run(producer, lane));
    let closed = system.close().context("cannot close the system");
    let (closed, lanes) = both(closed, lanes)?;
    let measured = Measured::merge(lanes);
    closed.holds(measured.sent)?;
    let after = idle::measure(&clock, rate, idle_seconds, &settings.cores)?;

    outcome.entries = measured.sent;
    if let Some(commits) = closed.commits {
        outcome.keep("commit", commits, &[(Figure::CommitP50, 0.5)]);
    }
    outcome.keep("hiccup_before", before, &[]);
    outcome.keep("hiccup_after", after, &[]);
    measured.report(start + nanos(warmup_seconds), rate, outcome);
    Ok(())
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// What reading the clock costs on a producer's core.
fn timer_overhead(clock: &TickClock, core: Option<usize>) -> Result<f64> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| pin(core).map(|()| clock.overhead_ns()));
        thread.join().expect("reading the clock does not panic")
    })
}

/// What was measured; durations in nanoseconds.
struct Measured {
    /// The push call.
    capture: Latencies,
    /// From the time a message was due until its push returned.
    from_intended: Latencies,
    over_time: Samples,
    /// From acceptance until durable, of a sample, see [`AckProbe`].
    acks: Acks,
    /// By how much a wait that began in time ended late, before the push: what the machine did. A
    /// pause that falls into a push is in `capture` instead.
    hiccup: Latencies,
    /// Messages sent, with those of the warm-up.
    sent: u64,
    /// Whether it fell so far behind that it gave up.
    gave_up: bool,
    /// When the last push returned, by the [`TickClock`].
    ended: u64,
}

impl Measured {
    fn merge(lanes: Vec<Self>) -> Self {
        let mut lanes = lanes.into_iter();
        let mut all = lanes.next().expect("there is a producer");
        for lane in lanes {
            all.capture.merge(&lane.capture);
            all.from_intended.merge(&lane.from_intended);
            all.over_time.merge(lane.over_time);
            all.acks.latencies.merge(&lane.acks.latencies);
            all.acks.samples.merge(lane.acks.samples);
            all.acks.missed += lane.acks.missed;
            all.hiccup.merge(&lane.hiccup);
            all.sent += lane.sent;
            all.gave_up |= lane.gave_up;
            all.ended = all.ended.max(lane.ended);
        }
        all
    }

    fn report(self, began: u64, rate: u64, outcome: &mut Outcome) {
        let elapsed_s = self.ended.saturating_sub(began) as f64 / 1e9;
        let achieved = self.capture.count() as f64 / elapsed_s;
        outcome.set(Figure::AchievedPerS, achieved);
        if achieved < KEPT_UP * rate as f64 && !self.gave_up {
            outcome.warnings.push(format!("sent {achieved:.0} messages a second, not {rate}"));
        }
        if self.gave_up {
            outcome.warnings.push(format!(
                "could not keep up with {rate}/s and was stopped early: its latencies are those of \
                 an ever longer queue"
            ));
        }
        if self.acks.missed > 0 {
            let missed = self.acks.missed;
            outcome.warnings.push(format!("{missed} ack samples could not be taken"));
        }
        use Figure as F;
        let capture = [(F::CaptureP50, 0.5), (F::CaptureP99, 0.99), (F::CaptureP999, 0.999)];
        outcome.keep("capture", self.capture, &capture);
        let intended = [(F::IntendedP50, 0.5), (F::IntendedP999, 0.999)];
        outcome.keep("capture_from_intended", self.from_intended, &intended);
        outcome.keep("hiccup", self.hiccup, &[(F::HiccupP999, 0.999)]);
        outcome.keep("ack", self.acks.latencies, &[(F::AckP50, 0.5), (F::AckP99, 0.99)]);
        for (name, samples) in
            [("capture_from_intended", self.over_time), ("ack", self.acks.samples)]
        {
            outcome.timelines.insert(name.to_owned(), samples.timeline(INTERVAL_MS));
        }
    }
}

/// What all producers' threads do.
struct Pacer<'a> {
    clock: &'a TickClock,
    settings: &'a Settings,
    /// Of producer 0.
    schedule: Schedule,
    seconds: f64,
    /// Messages due in this time are sent but not measured.
    warmup_seconds: f64,
}

impl Pacer<'_> {
    fn run<L: Lane>(&self, producer: u64, mut lane: L) -> Result<Measured> {
        let schedule = Schedule { producer, ..self.schedule };
        let (clock, interval, producers) = (self.clock, schedule.interval(), schedule.producers);
        let warmup = schedule.messages_in(self.warmup_seconds);
        let messages = schedule.messages_in(self.warmup_seconds + self.seconds);
        ensure!(messages > warmup, "no message is due in the time to measure; measure longer");
        let began = schedule.due(warmup);
        let give_up_after = nanos(self.warmup_seconds + self.seconds);
        // Odd, so as not to beat with commits of a round number of messages.
        let every = (schedule.rate / producers / ACK_SAMPLES_PER_SECOND.div_ceil(producers)) | 1;
        let mut acks = AckProbe::new(every, messages, began);
        let mut over_time = Samples::with_room_for(messages - warmup);
        let [mut capture, mut from_intended, mut hiccup] =
            std::array::from_fn(|_| Latencies::new());
        let (mut sent, mut gave_up, mut ended) = (0, false, 0);
        let payload = payload(self.settings);
        let mut key = Key::default();

        while sent < messages && !gave_up {
            let due = schedule.due(sent);
            let number = sent * producers + producer;
            let key = self.settings.keys.then(|| key.of(number));
            let message = message(&payload, number, key);
            let woken_late = wait_until(clock, due, |now| acks.poll(&lane, now));

            let called = clock.now();
            let pushed = lane.push(&message);
            let returned = clock.now();

            // Only from here on is there time for anything but the message.
            pushed.with_context(|| format!("message {number} was refused"))?;
            sent += 1;
            if sent <= warmup {
                continue;
            }
            let late = returned.saturating_sub(due);
            capture.record(returned.saturating_sub(called));
            from_intended.record(late);
            over_time.record(due - began, late);
            if let Some(delay) = woken_late {
                hiccup.record_delay(delay, interval);
            }
            acks.pushed(sent, returned);
            ended = returned;
            gave_up = late > give_up_after;
        }
        let acks = acks.finish(&lane, clock, PATIENCE)?;
        wait_durable(&lane, sent, clock)?;
        Ok(Measured { capture, from_intended, over_time, acks, hiccup, sent, gave_up, ended })
    }
}
