//! What the reader hands over to producers, also if it does not reach its end, and what producers
//! do with it.

use std::any::Any;
use std::cell::RefCell;
use std::io::{Cursor, Read};
use std::rc::Rc;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use tapline::Captured;
use tapline::IndexKinds;
use tapline::bus::{BusTap, MessageBus, TapRefusal};
use tapline::capture::{CaptureError, EncodeError, OnEncodeError};
use tapline::engine::WriterConfig;
use uuid::Uuid;

use super::{FileRecording, deal, publish_all};
use crate::bad_lines::BadLines;
use crate::batch::Batch;
use crate::error::CliError;
use crate::input::Input;
use crate::ndjson::{InputMessage, LineParser};
use crate::tap::StopFlag;

/// A source that makes its reader panic.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _to: &mut [u8]) -> std::io::Result<usize> {
        panic!("as asked");
    }
}

/// Lines with a payload of `payload_bytes`, for producer 0, 1, 0, 1, …
fn lines(count: usize, payload_bytes: usize) -> Cursor<Vec<u8>> {
    let payload = "x".repeat(payload_bytes - 2);
    let line = |n: usize| {
        let producer = n % 2;
        format!(
            "{{\"topic\":\"t\",\"type\":\"T\",\"producer\":{producer},\"payload\":\"{payload}\"}}\n"
        )
    };
    Cursor::new((0..count).map(line).collect::<String>().into_bytes())
}

/// Deals lines out to two producers. Returns how reading ended, and what each producer was handed.
fn deal_to_two(
    source: impl Read + Send + 'static,
    rate: Option<f64>,
) -> (Result<(), CliError>, [Vec<Batch>; 2]) {
    // Large enough for everything: a reader that needs more input first hands over what it has.
    let input = Input::reading("test", source, 8 << 20).unwrap();
    let parser = LineParser::new(IndexKinds::default(), WriterConfig::default());
    let bad_lines = Arc::new(BadLines::new(None, None));
    let recording = FileRecording { input, parser, producers: 2, rate, bad_lines };
    // Nobody takes anything meanwhile.
    let queues = [bounded(100), bounded(100)].into_iter();
    let (queues, batches): (Vec<Sender<Batch>>, Vec<Receiver<Batch>>) = queues.unzip();
    let ended = deal(recording, &queues, &StopFlag::default());
    let handed = |of: usize| batches[of].try_iter().collect::<Vec<Batch>>();
    (ended, [handed(0), handed(1)])
}

fn lengths(batches: &[Batch]) -> Vec<usize> {
    batches.iter().map(|batch| batch.messages.len()).collect()
}

#[test]
fn a_panicking_reader_hands_over_its_lines() {
    let (ended, handed) = deal_to_two(lines(21, 100).chain(Broken), None);
    let said = ended.unwrap_err().to_string();
    assert_eq!(said, "thread reader panicked: as asked; what came after is not recorded");
    assert_eq!(handed.each_ref().map(|batches| lengths(batches)), [[11], [10]]);
}

#[test]
fn a_batch_is_limited_by_count_and_bytes() {
    let (ended, handed) = deal_to_two(lines(1200, 10), None);
    ended.unwrap();
    for batches in handed {
        assert_eq!(lengths(&batches), [256, 256, 88]);
    }
    let (ended, handed) = deal_to_two(lines(40, 100 << 10), None);
    ended.unwrap();
    for batches in handed {
        assert_eq!(lengths(&batches), [3, 3, 3, 3, 3, 3, 2]);
    }
}

#[test]
fn the_rate_covers_all_producers() {
    let (ended, handed) = deal_to_two(lines(100, 10), Some(10.0));
    ended.unwrap();
    let dealt = handed.iter().flatten().flat_map(|batch| &batch.messages);
    let mut due: Vec<_> = dealt.map(|dealt| (dealt.message.line, dealt.due.unwrap())).collect();
    due.sort_unstable();
    assert_eq!(due.len(), 100);
    for (n, (line, at)) in (0_u64..).zip(&due) {
        assert_eq!((*line, at.duration_since(due[0].1).as_millis()), (n + 1, u128::from(n) * 100));
    }
}

/// Lets messages pass and keeps their lines. Line `bad_line` cannot be encoded.
struct EncodeErrorAt {
    bad_line: u64,
    passed: Rc<RefCell<Vec<u64>>>,
}

impl BusTap for EncodeErrorAt {
    fn on_publish(&mut self, _topic: &str, message: &dyn Any) -> Result<Captured, TapRefusal> {
        let line = message.downcast_ref::<InputMessage>().expect("nothing else is published").line;
        if line == self.bad_line {
            let (payload_type, policy) = ("T".to_owned(), OnEncodeError::Refuse);
            let source = EncodeError::new("as asked");
            return Err(TapRefusal::new(CaptureError::Encode { payload_type, policy, source }));
        }
        self.passed.borrow_mut().push(line);
        Ok(Captured::NotListed)
    }

    fn on_send(&mut self, _endpoint: &str, _message: &dyn Any) -> Result<Captured, TapRefusal> {
        unreachable!("messages are published")
    }

    fn on_response(&mut self, _id: Uuid, _message: &dyn Any) -> Result<Captured, TapRefusal> {
        unreachable!("messages are published")
    }
}

/// Lets one producer publish what it was handed. Returns the lines that passed its tap.
fn publish_handed(
    handed: Vec<Batch>,
    bad_line: u64,
    bad_lines: &BadLines,
    stop: &StopFlag,
) -> Vec<u64> {
    let passed = Rc::new(RefCell::new(Vec::new()));
    let bus = MessageBus::new();
    bus.set_tap(Box::new(EncodeErrorAt { bad_line, passed: Rc::clone(&passed) }));
    // Left open, as while a reader waits for its source.
    let (queue, batches) = bounded(100);
    for batch in handed {
        queue.send(batch).unwrap();
    }
    publish_all(&bus, stop, &batches, bad_lines);
    passed.take()
}

#[test]
fn a_bad_line_costs_other_producers_nothing() {
    let (ended, [of_0, of_1]) = deal_to_two(lines(1200, 10), None);
    ended.unwrap();
    let (bad_lines, stop) = (BadLines::new(Some(0), None), StopFlag::default());
    // Lines count from 1, and the first is for producer 0.
    let before: Vec<u64> = (1..401).step_by(2).collect();
    assert_eq!(publish_handed(of_0, 401, &bad_lines, &stop), before);
    let before: Vec<u64> = (2..401).step_by(2).collect();
    assert_eq!(publish_handed(of_1, 0, &bad_lines, &stop), before);
    assert_eq!((bad_lines.count(), bad_lines.end_the_recording(), stop.is_set()), (1, true, false));
}
