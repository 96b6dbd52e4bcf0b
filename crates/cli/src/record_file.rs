//! `record` from NDJSON: one thread reads and parses lines, and deals them out to the producers'
//! threads.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tapline::RunSession;
use tapline::bus::{BusError, MessageBus, TapRefusal};
use tapline::capture::CaptureError;
use tapline::internals::{RUN_STARTED_TOPIC, error_chain, is_run_ended};

use super::bad_lines::{BadLine, BadLines};
use super::batch::{BATCHES_WAITING, Batch, Dealt};
use super::error::CliError;
use super::input::{Input, InputLine};
use super::ndjson::{InputMessage, LineParser};
use super::pace::{self, Pace};
use super::tap::{Recorder, StopFlag, to_its_end};

/// What the threads of a recording from a file share.
pub(super) struct FileRecording {
    pub(super) input: Input,
    pub(super) parser: LineParser,
    pub(super) producers: u64,
    /// Messages a second over all producers.
    pub(super) rate: Option<f64>,
    pub(super) bad_lines: Arc<BadLines>,
}

/// Starts the producers' threads and the reader.
pub(super) fn start(recording: FileRecording, recorder: &Recorder<'_>) -> Result<(), CliError> {
    let mut queues = Vec::new();
    for index in 0..recording.producers {
        let (queue, batches) = bounded(BATCHES_WAITING);
        queues.push(queue);
        let bad_lines = Arc::clone(&recording.bad_lines);
        recorder.spawn(&format!("producer-{index}"), move |bus, stop| {
            publish_all(bus, stop, &batches, &bad_lines);
        })?;
    }
    let (stop, failed) = (recorder.stop.clone(), recorder.failed.clone());
    let reader = std::thread::Builder::new().name(READER.to_owned());
    let reader = reader.spawn(move || {
        if let Err(error) = deal(recording, &queues, &stop) {
            // Send the error before the queues are closed, because that ends the recording. The
            // receiver is there until the program ends.
            let _ = failed.send(error);
        }
    });
    // Not joined: it may be waiting for stdin when the recording is stopped.
    reader.map_err(CliError::Thread)?;
    Ok(())
}

const READER: &str = "reader";

/// Reads and parses lines, and deals them out by their `producer`, until the end, a stop, an input
/// that breaks off, or a panic. In each case everything read so far is handed over.
fn deal(
    mut recording: FileRecording,
    queues: &[Sender<Batch>],
    stop: &StopFlag,
) -> Result<(), CliError> {
    let mut batches: Vec<Batch> = queues.iter().map(|_| Batch::default()).collect();
    let ended = to_its_end(READER, || deal_lines(&mut recording, &mut batches, queues, stop));
    hand_over_all(&mut batches, queues);
    ended?
}

fn deal_lines(
    recording: &mut FileRecording,
    batches: &mut [Batch],
    queues: &[Sender<Batch>],
    stop: &StopFlag,
) -> Result<(), CliError> {
    // One pace for all producers: the rate counts their messages together, however unevenly they
    // are dealt.
    let mut pace = recording.rate.map(Pace::new);
    let mut text = Vec::new();
    loop {
        if !recording.input.has_line() {
            // The source pauses, for example a pipe. Hand over what came so far.
            hand_over_all(batches, queues);
        }
        let parsed = match next_message(&mut recording.input, &recording.parser, &mut text)? {
            Next::End => return Ok(()),
            Next::Blank => continue,
            Next::Message(parsed) => parsed,
        };
        match parsed {
            // Lifecycle entries belong to the run that they were scanned from. This run has its
            // own.
            Ok(message) if is_lifecycle(&message.topic, &message.payload_type) => {}
            Ok(message) => {
                let index = (message.producer % recording.producers) as usize;
                let due = pace.as_mut().map(Pace::next_due);
                let raw = recording.bad_lines.are_kept().then(|| text.as_slice().into());
                batches[index].push(Dealt { message, due, raw });
                if batches[index].is_full() && !hand_over(index, batches, queues) {
                    return Ok(());
                }
            }
            Err(bad) => recording.bad_lines.report(&bad, &text),
        }
        if stop.is_set() || recording.bad_lines.end_the_recording() {
            return Ok(());
        }
    }
}

/// Hands one batch over. If that has to wait, hands over the others first as far as there is room,
/// because their messages may be due sooner. False if the producer's thread has ended.
fn hand_over(index: usize, batches: &mut [Batch], queues: &[Sender<Batch>]) -> bool {
    if batches[index].offer(&queues[index]) {
        return true;
    }
    offer_all(batches, queues);
    batches[index].hand_over(&queues[index])
}

fn hand_over_all(batches: &mut [Batch], queues: &[Sender<Batch>]) {
    offer_all(batches, queues);
    for (batch, queue) in batches.iter_mut().zip(queues) {
        batch.hand_over(queue);
    }
}

fn offer_all(batches: &mut [Batch], queues: &[Sender<Batch>]) {
    for (batch, queue) in batches.iter_mut().zip(queues) {
        batch.offer(queue);
    }
}

/// The next line of an input.
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
        InputLine::End => Next::End,
        InputLine::TooLong => {
            let what = "the line is too long".to_owned();
            Next::Message(Err(BadLine { line: number, column: 1, what }))
        }
        InputLine::Text | InputLine::Unterminated if is_blank(text) => Next::Blank,
        InputLine::Text => Next::Message(parser.parse(number, text)),
        InputLine::Unterminated => {
            Next::Message(parser.parse(number, text).map_err(maybe_unfinished))
        }
    })
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_whitespace)
}

/// The last line of an input whose writer may have been cut off.
fn maybe_unfinished(mut bad: BadLine) -> BadLine {
    bad.what.push_str("; this last line has no line feed and may be unfinished");
    bad
}

/// True for the first entry of a run, and the last of one that was closed in order.
pub(super) fn is_lifecycle(topic: &str, payload_type: &str) -> bool {
    is_run_ended(topic, payload_type)
        || (topic == RUN_STARTED_TOPIC && payload_type == RunSession::STARTED_TYPE)
}

/// One producer's thread: publishes its messages in order, each when it is due. Ends when all are
/// published or recording ends.
fn publish_all(bus: &MessageBus, stop: &StopFlag, batches: &Receiver<Batch>, bad_lines: &BadLines) {
    while !stop.is_set() {
        let batch = match batches.recv_timeout(Duration::from_millis(100)) {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for Dealt { message, due, raw } in &batch.messages {
            let is_due = |due| pace::wait_until(due, stop);
            if bad_lines.end_before(message.line)
                || !due.is_none_or(is_due)
                || bad_lines.end_before(message.line)
            {
                return;
            }
            match publish(bus, message) {
                Ok(()) => {}
                Err(Refusal::Bad(bad)) => {
                    bad_lines.report_not_captured(&bad, raw.as_deref().unwrap_or_default());
                }
                // The run is halted. Its signal has the reason.
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
            let what = error_chain(source.cause());
            Err(Refusal::Bad(BadLine { line: message.line, column: 1, what }))
        }
        _ => Err(Refusal::Final),
    }
}

fn is_encode_error(refusal: &TapRefusal) -> bool {
    matches!(refusal.cause().downcast_ref(), Some(CaptureError::Encode { .. }))
}

#[cfg(test)]
mod tests;
