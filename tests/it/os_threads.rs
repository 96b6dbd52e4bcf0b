//! What the engine's threads request from Linux: their cores, and short sleeps.

#![cfg(target_os = "linux")]

use std::fs;

use tapline::engine::{CorePin, WriterConfig};

use crate::support::{Engine, PATIENCE, draft};

/// The threads of this process with this name. The system keeps 15 bytes of it.
fn threads_named(name: &str) -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("this process is there");
    let ids = tasks.map(|task| task.expect("listed").file_name().into_string().expect("a number"));
    // Threads of other tests may end meanwhile.
    ids.filter(|id| {
        fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|comm| comm.trim() == name)
    })
    .collect()
}

/// The cores that a thread may use, as the system lists them.
fn cores_of(id: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(cores.trim().to_owned())
}

#[test]
fn threads_stay_on_their_configured_cores() {
    let cores = cores_of("self").expect("this process has some");
    let last = cores.rsplit([',', '-']).next().expect("one at least");
    let number = last.parse().expect("a number");
    let core = CorePin::Core(number);
    let config = WriterConfig {
        writer_core: core,
        committer_core: core,
        overlap_bytes_min: 0,
        ..WriterConfig::default()
    };
    let engine = Engine::start(config);
    let mut producer = engine.writer.producer().expect("the run is open");
    producer.submit(&draft("pinned", b"")).expect("room");
    engine.writer.flush(PATIENCE).expect("both are at work");
    for name in ["tapline-writer", "tapline-committ"] {
        let pinned = threads_named(name).iter().any(|id| cores_of(id).as_deref() == Some(last));
        assert!(pinned, "{name} on core {last}");
    }
    assert_eq!(engine.writer.writer_core(), Some(number));
}

/// A core that there is not is a warning.
#[test]
fn a_thread_that_cannot_be_pinned_still_records() {
    for writer_core in [CorePin::None, CorePin::Core(1 << 20)] {
        let engine = Engine::start(WriterConfig { writer_core, ..WriterConfig::default() });
        let mut producer = engine.writer.producer().expect("the run is open");
        producer.submit(&draft("anywhere", b"")).expect("room");
        engine.writer.flush(PATIENCE).expect("it is at work");
        assert_eq!(engine.writer.writer_core(), None, "{writer_core:?}");
    }
}

#[test]
fn the_writer_sleeps_for_its_requested_time() {
    let engine = Engine::start(WriterConfig::default());
    engine.writer.flush(PATIENCE).expect("it is at work");
    let slacks: Vec<String> = threads_named("tapline-writer")
        .iter()
        .filter_map(|id| fs::read_to_string(format!("/proc/{id}/timerslack_ns")).ok())
        .collect();
    if slacks.is_empty() {
        eprintln!("skipped: the system does not tell how exact the sleep of a thread is");
        return;
    }
    assert!(slacks.iter().any(|slack| slack.trim() == "1"), "{slacks:?}");
}
