//! What the figures of a recording's report mean, and how it is paced.

use std::time::{Duration, Instant};

use crate::running::{Running, wait_until};
use crate::support::{Sandbox, durable_reported, numbered_lines};

/// However long nothing comes after it.
#[test]
fn an_acknowledgement_takes_until_the_message_is_durable_and_no_longer() {
    const PAUSE: Duration = Duration::from_secs(3);
    let sandbox = Sandbox::new();
    let mut record = sandbox.command("record");
    let mut running = Running::start(record.args(["--input", "-", "--durable-every-ms", "1"]));
    let fed = Instant::now();
    running.feed(&numbered_lines(1));
    wait_until("it is durable", || durable_reported(&running.stderr()) == 2);
    let durable_within = fed.elapsed();
    std::thread::sleep(PAUSE);
    // The next one of this thread. Of 16 messages the first is followed.
    running.feed(&numbered_lines(1));
    running.close_stdin();
    let report = running.end().exits(0).json();
    let max = Duration::from_nanos(report["ack_ns"]["max"].as_u64().expect("a number"));
    assert!(!max.is_zero() && max < durable_within + PAUSE / 2, "{max:?}: {durable_within:?}");
}

/// Lines without a producer are all of one, and those of two are dealt to as many of the sixteen.
#[test]
fn a_rate_is_that_of_all_producers_however_the_lines_are_dealt() {
    let sandbox = Sandbox::new();
    let line = |n: u64| {
        let producer = if n.is_multiple_of(10) { 5 } else { 3 };
        format!("{{\"topic\":\"t\",\"type\":\"T\",\"producer\":{producer},\"payload\":{n}}}\n")
    };
    let to_two: String = (0..500).map(line).collect();
    for input in [numbered_lines(500), to_two] {
        let input = sandbox.file("input.ndjson", input.as_bytes());
        let ran = sandbox.record_file(&input, &["--producers", "16", "--rate", "500"]).exits(0);
        let elapsed_s = ran.json()["elapsed_s"].as_f64().expect("a number");
        assert_eq!(ran.report().entries, 500);
        // The last one is due after 499/500 s. Each thread with a sixteenth of the rate would take
        // 16 s.
        assert!((0.99..8.0).contains(&elapsed_s), "{elapsed_s} s");
    }
}

/// Large messages that wait for their time do not wait in memory, but in the file.
#[cfg(target_os = "linux")]
#[test]
fn what_waits_to_be_published_is_bounded_in_bytes() {
    use std::io::Write;

    const BYTES_MAX: u64 = 256 << 20;
    let sandbox = Sandbox::new();
    let payload = "x".repeat(200 << 10);
    let line = format!("{{\"topic\":\"t\",\"type\":\"T\",\"payload\":\"{payload}\"}}\n");
    let path = sandbox.path("large.ndjson.zst");
    let file = std::fs::File::create(&path).expect("a file");
    let mut packed = zstd::stream::write::Encoder::new(file, 1).expect("an encoder");
    for _ in 0..3000 {
        packed.write_all(line.as_bytes()).expect("written");
    }
    packed.finish().expect("written");

    let mut record = sandbox.command("record");
    record.arg("--input").arg(path).args(["--rate", "50", "--durable-every-ms", "1"]);
    let mut running = Running::start(&mut record);
    // Time enough to read on.
    wait_until("two seconds' worth is durable", || durable_reported(&running.stderr()) > 100);
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id()));
    let status = status.expect("it runs");
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is there");
    let kib: u64 = most.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kib << 10 < BYTES_MAX, "{} MiB", kib >> 10);
    running.send("-TERM");
    running.end().exits(0);
}
