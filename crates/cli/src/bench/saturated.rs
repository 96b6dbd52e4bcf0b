//! Threads that capture at full speed, until everything is durable.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tapline::capture::BusCaptureAdapter;
use tapline::session::RunSession;

use super::{Bench, TOPIC};
use crate::error::CliError;

#[derive(Serialize)]
pub(super) struct Saturated {
    pub(super) producers: u64,
    pub(super) entries: u64,
    /// The time until the last entry is durable.
    pub(super) elapsed_s: f64,
    pub(super) durable_per_s: f64,
    pub(super) payload_mb_per_s: f64,
    pub(super) bytes_file: u64,
    /// `None` without payload.
    pub(super) file_by_payload: Option<f64>,
}

/// How many messages are captured between two looks at the clock.
const BETWEEN_LOOKS: usize = 64;

pub(super) fn measure(bench: &Bench, producers: u64, seconds: u64) -> Result<Saturated, CliError> {
    let seconds = Duration::from_secs(seconds);
    let ((entries, elapsed), bytes_file) =
        bench.on_a_run(|session| capture_all(bench, session, producers, seconds))?;
    let elapsed_s = elapsed.as_secs_f64();
    let payload = entries * bench.message.payload.len() as u64;
    Ok(Saturated {
        producers,
        entries,
        elapsed_s,
        durable_per_s: entries as f64 / elapsed_s,
        payload_mb_per_s: payload as f64 / 1e6 / elapsed_s,
        bytes_file,
        file_by_payload: (payload > 0).then(|| bytes_file as f64 / payload as f64),
    })
}

/// Returns the number of entries, and the time until they were durable.
fn capture_all(
    bench: &Bench,
    session: &RunSession,
    producers: u64,
    seconds: Duration,
) -> Result<(u64, Duration), CliError> {
    let adapters: Result<Vec<_>, _> = (0..producers).map(|_| session.adapter()).collect();
    let adapters = adapters?;
    let began = Instant::now();
    let captured: Result<Vec<u64>, CliError> = thread::scope(|scope| {
        let end = began + seconds;
        let capture = |adapter| scope.spawn(move || capture_until(bench, adapter, end));
        let threads: Vec<_> = adapters.into_iter().map(capture).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    let entries = captured?.iter().sum();
    session.flush(bench.config.writer.close_timeout)?;
    Ok((entries, began.elapsed()))
}

fn capture_until(
    bench: &Bench,
    mut adapter: BusCaptureAdapter,
    end: Instant,
) -> Result<u64, CliError> {
    while Instant::now() < end && !bench.stop.is_set() {
        for _ in 0..BETWEEN_LOOKS {
            adapter.capture(TOPIC, &bench.message)?;
        }
    }
    Ok(adapter.counts().captured())
}
