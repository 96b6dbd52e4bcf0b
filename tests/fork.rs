//! A process that forks while a run is open: the child can do nothing to the run, and nothing
//! hangs. A binary of its own, because a child has none of the other tests' threads either.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tapline::capture::CaptureError;
use tapline::engine::{AnchorRequestError, CloseError, ProducerError, WaitError};
use tapline::read::Direction;
use tapline::runs::SweepError;
use tapline::session::{OpenError, SessionBuilder};
use tapline::{
    ContentHash, Encoder, EncoderRegistry, EntryDraft, EventStoreConfig, MessageBus, RunSession,
    SubmitError,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn builder(folder: &Path, instance: &str, is_inline: bool) -> SessionBuilder {
    let mut registry = EncoderRegistry::new();
    let order = Encoder::new("Order", |order: &u64, record| {
        record.write_payload(&order.to_le_bytes());
        Ok(())
    });
    registry.register(order).expect("the first");
    RunSession::builder(EventStoreConfig::new(folder), instance.parse().expect("an id"))
        .encoders(registry)
        .options(|options| options.is_inline = is_inline)
}

/// Runs `child` in a child process, and returns whether it returned without a panic.
#[expect(unsafe_code, reason = "no safe crate forks")]
fn in_child(child: impl FnOnce()) -> bool {
    // SAFETY: the child calls `child` and ends. It may allocate: glibc holds its own locks while
    // it forks.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "the system forks");
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
        // SAFETY: ends this process at once, without what the parent registered for its exit.
        unsafe { libc::_exit(i32::from(outcome.is_err())) };
    }
    let began = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: the child above is waited for once, and `status` lives.
        if unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } == pid {
            return status == 0;
        }
        if began.elapsed() > PATIENCE {
            // SAFETY: it is the child above, and not reaped yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            panic!("the child hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Publishes on a bus of a run, forks, and looks at what is left of the run afterwards.
fn fork_in_a_run(is_inline: bool, child: impl FnOnce(RunSession, Rc<MessageBus>)) {
    let folder = tempfile::tempdir().expect("a folder");
    let session = builder(folder.path(), "node-1", is_inline).open().expect("a run");
    let bus = Rc::new(MessageBus::new());
    session.tap(&bus).expect("open");
    let before = bus.publish("orders", &1_u64).expect("captured").ticket().expect("logged");
    session.wait_durable(before, PATIENCE).expect("durable");

    // The child gets the copies, the parent keeps what is its own.
    let mut parts = Some((session, bus));
    let went_well = in_child(|| {
        let (session, bus) = parts.take().expect("copied");
        child(session, bus);
    });
    assert!(went_well, "the child panicked");

    let (session, bus) = parts.take().expect("the parent's own");
    let locked = builder(folder.path(), "node-1", is_inline).open().err();
    assert!(matches!(locked, Some(OpenError::Sweep(SweepError::Locked { .. }))), "{locked:?}");
    bus.publish("orders", &3_u64).expect("the parent goes on");
    let report = session.seal().expect("the parent seals");
    assert_eq!(report.watermark, 4, "RunStarted, two orders, RunEnded");

    let instance = "node-1".parse().expect("an id");
    let run_id = report.manifest.run_id;
    let reader = tapline::EventStoreReader::open_sealed(folder.path(), &instance, run_id);
    let reader = reader.expect("sealed");
    assert!(reader.verifier().expect_root(report.root).run(|_| {}).is_clean());
    let entries = reader.scan(1, u64::MAX, Direction::Forward);
    let payloads: Vec<_> = entries.map(|entry| entry.expect("sound").payload).collect();
    assert_eq!(payloads[1..3], [1_u64, 3].map(|order| order.to_le_bytes().to_vec()));
    builder(folder.path(), "node-1", is_inline).open().expect("the folder is free");
}

/// Everything that a child may try. Each call returns at once.
fn try_everything(session: &RunSession, bus: &MessageBus) {
    let refused = bus.publish("orders", &2_u64).expect_err("there is no writer here");
    let refused = std::error::Error::source(&refused).expect("why");
    let refused = refused.downcast_ref::<CaptureError>().expect("the tap's");
    let is_forked = matches!(refused, CaptureError::Submit { source: SubmitError::Forked, .. });
    assert!(is_forked, "{refused}");
    assert!(matches!(session.producers().producer(), Err(ProducerError::Forked)));
    assert_eq!(session.flush(PATIENCE), Err(WaitError::Forked));
    let anchorer = session.snapshot_anchorer();
    let anchored = anchorer.record("blob", ContentHash::of(b"blob"));
    assert!(matches!(anchored, Err(AnchorRequestError::Forked)), "{anchored:?}");
}

#[test]
fn a_child_is_refused_at_once() {
    for is_inline in [false, true] {
        fork_in_a_run(is_inline, |session, bus| {
            let began = Instant::now();
            try_everything(&session, &bus);
            assert!(matches!(session.seal(), Err(CloseError::Forked)));
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        });
    }
}

#[test]
fn a_child_that_drops_the_run_leaves_it_alone() {
    for is_inline in [false, true] {
        fork_in_a_run(is_inline, |session, bus| {
            let began = Instant::now();
            drop(bus);
            drop(session);
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        });
    }
}

/// A producer that the parent made is refused too, and so is one of a child's child.
#[test]
fn a_producer_is_refused_in_every_generation() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = builder(folder.path(), "node-1", false).open().expect("a run");
    let mut producer = session.producers().producer().expect("open");
    let draft = EntryDraft { topic: "t", payload_type: "T", ..EntryDraft::default() };
    let ticket = producer.submit(&draft).expect("accepted");
    let went_well = in_child(|| {
        assert_eq!(producer.submit(&draft), Err(SubmitError::Forked));
        assert_eq!(producer.durability().wait(ticket, PATIENCE), Err(WaitError::Forked));
        assert!(in_child(|| assert_eq!(producer.submit(&draft), Err(SubmitError::Forked))));
    });
    assert!(went_well);
    producer.submit(&draft).expect("the parent goes on");
    drop(producer);
    assert_eq!(session.seal().expect("sealed").watermark, 4);
}

/// What a child opens itself is its own.
#[test]
fn a_child_can_open_a_run_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = builder(folder.path(), "node-1", false).open().expect("a run");
    let went_well = in_child(|| {
        let own = builder(folder.path(), "node-2", false).open().expect("a run of its own");
        let bus = Rc::new(MessageBus::new());
        own.tap(&bus).expect("open");
        let ticket = bus.publish("orders", &1_u64).expect("captured").ticket().expect("logged");
        own.wait_durable(ticket, PATIENCE).expect("durable");
        assert_eq!(own.seal().expect("sealed").watermark, 3);
    });
    assert!(went_well);
    assert_eq!(session.seal().expect("sealed").watermark, 2);
}
