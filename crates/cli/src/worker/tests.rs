//! Workers of every kind, most of them bad.

use std::process::Command;
use std::time::{Duration, Instant};

use tapline::internals::error_chain;

use super::run;

const LONG: Duration = Duration::from_secs(20);

/// Runs a shell script as a worker that writes numbers. Returns the numbers, and how it ended.
fn work(script: &str, limit: Duration) -> (Vec<u64>, Result<(), String>) {
    let mut numbers: Vec<u64> = Vec::new();
    let mut shell = Command::new("sh");
    let ended = run(shell.args(["-c", script]), limit, |number: Option<u64>| {
        numbers.extend(number);
    });
    (numbers, ended.map_err(|error| error_chain(&error)))
}

/// Like [`work`]. It has to end long before the limit.
#[track_caller]
fn work_soon(script: &str) -> (Vec<u64>, Result<(), String>) {
    let began = Instant::now();
    let worked = work(script, LONG);
    assert!(began.elapsed() < LONG / 2, "it took {:?}", began.elapsed());
    worked
}

#[track_caller]
fn assert_dies(script: &str, numbers: &[u64], error: &str) {
    assert_eq!(work_soon(script), (numbers.to_vec(), Err(error.to_owned())), "{script}");
}

#[test]
fn lines_arrive_in_order() {
    assert_eq!(work_soon("seq 1 1000"), ((1..=1000).collect(), Ok(())));
    assert_eq!(work_soon("true"), (vec![], Ok(())));
}

#[test]
fn a_worker_that_dies() {
    assert_dies("echo 7; kill -ABRT $$", &[7], "worker aborted (signal 6)");
    assert_dies("kill -KILL $$", &[], "worker aborted (signal 9)");
    assert_dies("kill -SEGV $$", &[], "worker aborted (signal 11)");
    assert_dies("echo 1; exit 3", &[1], "worker ended with exit code 3");
    let panic = "echo 'panicked at here:' >&2; echo >&2; echo '  so it is' >&2; exit 101";
    assert_dies(panic, &[], "worker panicked: panicked at here: so it is");
}

#[test]
fn an_incomplete_line_is_ignored() {
    assert_dies("echo 5; printf 12; kill -ABRT $$", &[5], "worker aborted (signal 6)");
}

#[test]
fn a_worker_that_hangs() {
    let limit = Duration::from_millis(300);
    // With its output open, with it closed, and busy.
    for script in ["exec sleep 60", "exec sleep 60 >&- 2>&-", "while :; do :; done"] {
        let began = Instant::now();
        let error = "timed out after 0.3 s; --timeout sets the limit".to_owned();
        assert_eq!(work(script, limit), (vec![], Err(error)), "{script}");
        let took = began.elapsed();
        assert!(took >= limit && took < LONG, "{script} took {took:?}");
    }
}

#[test]
fn the_limit_counts_while_a_worker_writes() {
    let (numbers, ended) = work("exec yes 1", Duration::from_millis(300));
    assert!(numbers.len() > 1000 && ended.is_err_and(|error| error.starts_with("timed out")));
}

#[test]
fn a_worker_that_writes_without_end() {
    assert_dies("cat /dev/zero", &[], "worker wrote a line of more than 16 MiB");
    // Stderr is read to its end, and its beginning is kept.
    let (_, ended) = work_soon("head -c 10000000 /dev/zero | tr '\\0' x >&2; exit 4");
    let error = ended.expect_err("it fails");
    let beginning = "worker ended with exit code 4: xxxxx";
    assert!(error.starts_with(beginning) && error.len() < 5000, "{} bytes", error.len());
}

#[test]
fn a_worker_that_writes_garbage() {
    for garbage in ["what", "", "-1", "[1]", "1 2"] {
        let (numbers, ended) = work_soon(&format!("echo 3; echo '{garbage}'; exec sleep 60"));
        let error = ended.expect_err("it is killed");
        assert_eq!(numbers, [3]);
        assert!(error.starts_with("worker wrote something else than its report: "), "{error}");
    }
}

#[test]
fn a_worker_whose_stdin_is_open_until_it_is_done() {
    let (numbers, ended) = work("cat; echo 1", Duration::from_millis(300));
    assert!(numbers.is_empty());
    assert!(ended.is_err_and(|error| error.starts_with("timed out")));
}

#[test]
fn a_program_that_is_not_there() {
    let ended = run(&mut Command::new("/no/such/program"), LONG, |_: Option<u64>| {});
    let error = error_chain(&ended.expect_err("it cannot be started"));
    assert_eq!(error, "cannot start a worker process: No such file or directory (os error 2)");
}
