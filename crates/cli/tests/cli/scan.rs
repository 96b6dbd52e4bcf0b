//! Which entries `scan` prints, and in which order.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Ran, Sandbox, numbered_lines, program, run, shared_data, tapline};

fn scan(path: &Path, args: &[&str]) -> Ran {
    run(program().arg("scan").arg(path).args(args), b"").exits(0).says("")
}

fn seqs(path: &Path, args: &[&str]) -> Vec<u64> {
    let seq = |line: Value| line["seq"].as_u64().expect("a number");
    scan(path, args).json_lines().into_iter().map(seq).collect()
}

/// A run of `RunStarted`, ten messages with the payloads 1 to 10, and `RunEnded`.
fn ten(sandbox: &Sandbox) -> PathBuf {
    sandbox.record(numbered_lines(10), &[]).exits(0).report().path
}

#[test]
fn real_input_in_reverse_is_the_exact_reverse() {
    let Some(input) = shared_data("esh4-mbo-2023-12-25.ndjson.zst") else { return };
    let sandbox = Sandbox::new();
    let path = sandbox.record_file(&input, &["--producers", "4"]).exits(0).report().path;
    let (forward, reverse) = (scan(&path, &[]), scan(&path, &["--reverse"]));
    assert_eq!(forward.stdout.lines().count(), 68_794);
    assert!(forward.stdout.lines().eq(reverse.stdout.lines().rev()), "not the exact reverse");

    let filter = ["--type", "TradeReported", "--from", "1000", "--to", "60000"];
    let (forward, reverse) =
        (scan(&path, &filter), scan(&path, &[&filter[..], &["--reverse"]].concat()));
    assert!(forward.stdout.lines().eq(reverse.stdout.lines().rev()), "not the exact reverse");
    let trades = scan(&path, &["--type", "TradeReported"]).json_lines();
    assert_eq!(trades.len(), 2973);
    assert!(trades.iter().all(|line| line["topic"] == "venue.glbx.esh4.TradeReported"));
}

#[test]
fn both_ends_of_a_range_belong_to_it() {
    let sandbox = Sandbox::new();
    let path = ten(&sandbox);
    let all: Vec<u64> = (1..=12).collect();
    assert_eq!(seqs(&path, &[]), all);
    assert_eq!(seqs(&path, &["--json"]), all);
    assert_eq!(seqs(&path, &["--from", "0"]), all);
    assert_eq!(seqs(&path, &["--to", "100"]), all);
    assert_eq!(seqs(&path, &["--from", "4", "--to", "6"]), [4, 5, 6]);
    assert_eq!(seqs(&path, &["--from", "4", "--to", "6", "--reverse"]), [6, 5, 4]);
    assert_eq!(seqs(&path, &["--from", "11"]), [11, 12]);
    assert_eq!(seqs(&path, &["--to", "2", "--reverse"]), [2, 1]);
}

#[test]
fn a_range_that_ends_before_it_begins_is_refused() {
    let sandbox = Sandbox::new();
    let path = ten(&sandbox);
    for (from, to) in [("6", "5"), ("1", "0")] {
        let range = ["--from", from, "--to", to];
        let ran = run(program().arg("scan").arg(&path).args(range), b"").exits(2);
        assert_eq!(ran.stdout, "");
        ran.says(&format!("error: --from {from} is behind --to {to}\n"));
    }
}

/// As with `grep`.
#[test]
fn a_choice_that_matches_nothing_is_exit_code_1() {
    let sandbox = Sandbox::new();
    let path = ten(&sandbox);
    for choice in [
        &["--from", "13"][..],
        &["--from", "13", "--to", "20", "--reverse"],
        &["--type", "t"],
        &["--topic", "T"],
        &["--topic", ""],
        &["--type", "T", "--to", "1"],
    ] {
        let ran = run(program().arg("scan").arg(&path).args(choice), b"").exits(1);
        assert_eq!(ran.stdout, "", "{choice:?}");
        ran.says(&format!("no entry matches in {}\n", path.display()));
    }
}

#[test]
fn topic_patterns_and_types() {
    let sandbox = Sandbox::new();
    let line = |topic: &str, name: &str| {
        format!("{{\"topic\":\"{topic}\",\"type\":\"{name}\",\"payload\":1}}\n")
    };
    let input = [line("a.b", "X"), line("a.bc", "Y"), line("b.b", "X"), line("a.é", "Y")].concat();
    let path = sandbox.record(input, &[]).exits(0).report().path;
    let by_topic = |pattern: &str| seqs(&path, &["--topic", pattern]);
    assert_eq!(by_topic("a.b"), [2]);
    assert_eq!(by_topic("a.*"), [2, 3, 5]);
    assert_eq!(by_topic("a.?"), [2, 5]);
    assert_eq!(by_topic("?.b"), [2, 4]);
    assert_eq!(by_topic("*"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(by_topic("run.*"), [1, 6]);
    assert_eq!(seqs(&path, &["--type", "X"]), [2, 4]);
    assert_eq!(seqs(&path, &["--type", "Y", "--topic", "a.*", "--reverse"]), [5, 3]);
}

#[test]
fn a_file_that_is_no_run() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("text.redb", b"this is no run file, but long enough to have a header");
    // To scan it is impossible; to verify it is to find this.
    for (command, code) in [("scan", 2), ("verify", 1)] {
        let ran = tapline([command.as_ref(), file.as_os_str()]).exits(code);
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(text.contains(&format!("cannot open {}", file.display())), "{text}");
    }
}

/// As with `tapline scan RUN | head -1`: a reader that has had enough is no error.
#[test]
fn a_reader_that_stops_early_is_no_error() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let sandbox = Sandbox::new();
    let path = sandbox.record(numbered_lines(20_000), &[]).exits(0).report().path;
    let mut scan = program();
    let scan = scan.arg("scan").arg(path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut scan = scan.spawn().expect("scan starts");
    let mut first = String::new();
    let mut stdout = BufReader::new(scan.stdout.take().expect("a pipe"));
    stdout.read_line(&mut first).expect("a line");
    drop(stdout);
    assert!(first.starts_with(r#"{"seq":1,"topic":"run.lifecycle.RunStarted""#), "{first}");
    Ran::new(scan.wait_with_output().expect("scan ends")).exits(0).says("");
}
