//! A node with two threads that answer each other, recorded and read back.
//!
//! `cargo run --release --example embed`

use std::error::Error;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};

use tapline::bus::BusError;
use tapline::read::Direction;
use tapline::{
    BusCaptureAdapter, Encoder, EncoderRegistry, EventStoreConfig, EventStoreReader, Headers,
    MessageBus, RunSession,
};
use uuid::Uuid;

const ROUNDS: u128 = 1000;

/// A message that names the one it answers.
struct Answer {
    id: Uuid,
    to: Option<Uuid>,
}

/// One side: publishes an answer to everything it receives, on its own tapped bus.
fn answer(
    topic: &str,
    tap: BusCaptureAdapter,
    inbox: &Receiver<Uuid>,
    outbox: &Sender<Uuid>,
) -> Result<(), BusError> {
    let bus = Rc::new(MessageBus::new());
    bus.set_tap(Box::new(tap));
    let outbox = outbox.clone();
    // The engine has the message when this runs, so its place in the order is settled before the
    // other thread can see it.
    bus.subscribe("*", move |message| {
        if let Some(answer) = message.downcast_ref::<Answer>() {
            let _ = outbox.send(answer.id);
        }
    });
    while let Ok(received) = inbox.recv() {
        if received.as_u128() > ROUNDS {
            break;
        }
        let answer = Answer { id: Uuid::from_u128(received.as_u128() + 1), to: Some(received) };
        bus.publish(topic, &answer)?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut registry = EncoderRegistry::new();
    registry.register(Encoder::new("Answer", |answer: &Answer, record| {
        record.set_headers(Headers { correlation_id: None, causation_id: answer.to });
        record.write_payload(answer.id.as_bytes());
        Ok(())
    }))?;
    let session = RunSession::builder(EventStoreConfig::new("./runs"), "embed".parse()?)
        .encoders(registry)
        .on_halt(|reason| eprintln!("stop trading: {reason}"))
        .open()?;

    let (to_left, left) = channel();
    let (to_right, right) = channel();
    let (left_tap, right_tap) = (session.adapter()?, session.adapter()?);
    to_left.send(Uuid::nil())?;
    let (back_to_left, back_to_right) = (to_left.clone(), to_right.clone());
    let left = std::thread::spawn(move || answer("left", left_tap, &left, &back_to_right));
    let right = std::thread::spawn(move || answer("right", right_tap, &right, &back_to_left));
    drop((to_left, to_right));
    left.join().expect("no panic")?;
    right.join().expect("no panic")?;

    let path = session.path().to_owned();
    let report = session.seal()?;
    println!("{} entries in {}, root {}", report.watermark, path.display(), report.root);

    let reader = EventStoreReader::open_sealed_file(&path)?;
    let verified = reader.verifier().expect_root(report.root).run(|_| {});
    assert!(verified.is_clean(), "{:?}", verified.findings);
    let mut previous = None;
    for entry in reader.scan(1, u64::MAX, Direction::Forward) {
        let entry = entry?;
        if entry.payload_type == "Answer" {
            let id = Uuid::from_slice(&entry.payload)?;
            assert!(previous.is_none_or(|previous| Some(previous) == entry.headers.causation_id));
            previous = Some(id);
        }
    }
    println!("every answer stands right behind what it answers");
    Ok(())
}
