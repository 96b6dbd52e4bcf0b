//! `record` from NDJSON: one thread reads, parses and deals lines out to the producers' threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::error::CliError;
use super::input::{Input, Line};
use super::ndjson::{BadLine, InputMessage, LineParser};
use super::tap::{Recorder, StopFlag};
use crate::bus::{BusError, MessageBus, TapRefusal};
use crate::capture::CaptureError;
use crate::lifecycle::{RUN_STARTED_TOPIC, RUN_STARTED_TYPE, is_run_ended};

/// Lines that were no messages, and what is done about them.
#[derive(Default)]
pub(super) struct BadLines {
    count: AtomicU64,
    strict: bool,
}

/// More bad lines than this are counted only.
const BAD_LINES_SHOWN_MAX: u64 = 100;

impl BadLines {
    pub(super) fn new(strict: bool) -> Self {
        Self { count: AtomicU64::new(0), strict }
    }

    pub(super) fn count(&self) -> u64 {
        // Relaxed: read when the threads that count are done.
        self.count.load(Ordering::Relaxed)
    }

    /// Reports a bad line; says whether recording is to stop.
    fn report(&self, bad: &BadLine) -> bool {
        match self.count.fetch_add(1, Ordering::Relaxed) {
            shown if shown < BAD_LINES_SHOWN_MAX => eprintln!("{bad}"),
            BAD_LINES_SHOWN_MAX => eprintln!("further bad lines are counted, but not shown"),
            _ => {}
        }
        self.strict
    }
}

/// What the threads of a recording from a file share.
pub(super) struct FileRecording {
    pub(super) input: Input,
    pub(super) parser: LineParser,
    pub(super) producers: u64,
    /// Messages a second over all producers.
    pub(super) rate: Option<f64>,
    pub(super) bad_lines: Arc<BadLines>,
    /// What ended reading early.
    pub(super) failed: Sender<CliError>,
}

type Batch = Vec<InputMessage>;

/// Messages handed to a producer's thread at a time, and such batches waiting for it.
const BATCH_MESSAGES: usize = 256;
const BATCHES_WAITING: usize = 8;

/// Starts the producers' threads and the reader.
pub(super) fn start(recording: FileRecording, recorder: &Recorder<'_>) -> Result<(), CliError> {
    let per_producer = recording.rate.map(|rate| rate / recording.producers as f64);
    let mut queues = Vec::new();
    for index in 0..recording.producers {
        let (queue, batches) = bounded(BATCHES_WAITING);
        queues.push(queue);
        let bad_lines = Arc::clone(&recording.bad_lines);
        recorder.spawn(&format!("producer-{index}"), move |bus, stop| {
            publish_all(bus, stop, &batches, per_producer.map(Pace::new), &bad_lines);
        })?;
    }
    let stop = recorder.stop.clone();
    let reader = std::thread::Builder::new().name("reader".to_owned());
    let reader = reader.spawn(move || {
        let failed = recording.failed.clone();
        if let Err(error) = deal(recording, &queues, &stop) {
            // The receiver is there until the program ends.
            let _ = failed.send(error);
        }
    });
    // Not joined: it may be waiting for stdin when recording is stopped.
    reader.map_err(CliError::Thread)?;
    Ok(())
}

/// Reads, parses, and deals lines out by their `producer`, until the end, a stop, or an input that
/// breaks off: what came before is handed over all the same.
fn deal(
    mut recording: FileRecording,
    queues: &[Sender<Batch>],
    stop: &StopFlag,
) -> Result<(), CliError> {
    let mut batches: Vec<Batch> = queues.iter().map(|_| Batch::new()).collect();
    let ended = deal_lines(&mut recording, &mut batches, queues, stop);
    hand_over_all(&mut batches, queues);
    ended
}

fn deal_lines(
    recording: &mut FileRecording,
    batches: &mut [Batch],
    queues: &[Sender<Batch>],
    stop: &StopFlag,
) -> Result<(), CliError> {
    let mut text = Vec::new();
    loop {
        if !recording.input.has_line() {
            // The source pauses, as a pipe does: what came so far is not kept waiting.
            hand_over_all(batches, queues);
        }
        let parsed = match next_message(&mut recording.input, &recording.parser, &mut text)? {
            Next::End => return Ok(()),
            Next::Blank => continue,
            Next::Message(parsed) => parsed,
        };
        match parsed {
            // They belong to the run they were scanned from; this run has its own.
            Ok(message) if is_lifecycle(&message) => {}
            Ok(message) => {
                let index = (message.producer % recording.producers) as usize;
                batches[index].push(message);
                if batches[index].len() == BATCH_MESSAGES
                    && !hand_over(&mut batches[index], &queues[index])
                {
                    return Ok(());
                }
            }
            Err(bad) if recording.bad_lines.report(&bad) => return Ok(()),
            Err(_) => {}
        }
        if stop.is_set() {
            return Ok(());
        }
    }
}

/// What the next line of an input holds.
pub(super) enum Next {
    Message(Result<InputMessage, BadLine>),
    Blank,
    End,
}

/// Reads the next line into `text` and parses it.
pub(super) fn next_message(
    input: &mut Input,
    parser: &LineParser,
    text: &mut Vec<u8>,
) -> Result<Next, CliError> {
    let line = input.next(text)?;
    let number = input.line_number();
    Ok(match line {
        Line::End => Next::End,
        Line::TooLong => {
            let what = "the line is too long".to_owned();
            Next::Message(Err(BadLine { line: number, column: 1, what }))
        }
        Line::Text if text.iter().all(u8::is_ascii_whitespace) => Next::Blank,
        Line::Text => Next::Message(parser.parse(number, text)),
    })
}

fn is_lifecycle(message: &InputMessage) -> bool {
    let (topic, payload_type) = (&*message.topic, &*message.payload_type);
    is_run_ended(topic, payload_type)
        || (topic == RUN_STARTED_TOPIC && payload_type == RUN_STARTED_TYPE)
}

fn hand_over_all(batches: &mut [Batch], queues: &[Sender<Batch>]) {
    for (batch, queue) in batches.iter_mut().zip(queues) {
        hand_over(batch, queue);
    }
}

/// False when the producer's thread has ended.
fn hand_over(batch: &mut Batch, queue: &Sender<Batch>) -> bool {
    batch.is_empty() || queue.send(std::mem::take(batch)).is_ok()
}

/// One producer's thread: publishes what it is dealt, in order.
fn publish_all(
    bus: &MessageBus,
    stop: &StopFlag,
    batches: &Receiver<Batch>,
    mut pace: Option<Pace>,
    bad_lines: &BadLines,
) {
    while !stop.is_set() {
        let batch = match batches.recv_timeout(Duration::from_millis(100)) {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for message in &batch {
            if let Some(pace) = &mut pace
                && !pace.wait_for_next(stop)
            {
                return;
            }
            match publish(bus, message) {
                Err(Refusal::Bad(bad)) if bad_lines.report(&bad) => return stop.set(),
                Ok(()) | Err(Refusal::Bad(_)) => {}
                // The run is halted; why is with its signal.
                Err(Refusal::Final) => return stop.set(),
            }
        }
    }
}

enum Refusal {
    Bad(BadLine),
    Final,
}

fn publish(bus: &MessageBus, message: &InputMessage) -> Result<(), Refusal> {
    let Err(error) = bus.publish(&message.topic, message) else {
        return Ok(());
    };
    match error {
        BusError::Refused { source } if is_encode_error(&source) => {
            let what = source.to_string();
            Err(Refusal::Bad(BadLine { line: message.line, column: 1, what }))
        }
        _ => Err(Refusal::Final),
    }
}

fn is_encode_error(refusal: &TapRefusal) -> bool {
    matches!(refusal.cause().downcast_ref(), Some(CaptureError::Encode { .. }))
}

/// Spreads messages evenly over time. A message that is late does not delay the next.
struct Pace {
    interval: Duration,
    next: Instant,
}

/// Shorter waits are spent yielding.
const SLEEP_MIN: Duration = Duration::from_millis(1);

impl Pace {
    fn new(per_second: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / per_second), next: Instant::now() }
    }

    /// Waits until the next message is due. False when recording is to stop.
    fn wait_for_next(&mut self, stop: &StopFlag) -> bool {
        loop {
            let left = self.next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.next += self.interval;
                return true;
            }
            if stop.is_set() {
                return false;
            }
            if left > SLEEP_MIN {
                // Short of the time that is due, since a sleep ends late; and not for long, so that
                // a stop is noticed.
                std::thread::sleep((left / 2).min(Duration::from_millis(100)));
            } else {
                std::thread::yield_now();
            }
        }
    }
}
