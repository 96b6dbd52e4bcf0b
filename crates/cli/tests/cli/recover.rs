//! A program that is killed, and what the next one finds.

use std::collections::HashMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};
use tapline::RunStatus;

use crate::as_a_user::as_a_user;
use crate::rounds::Rounds;
use crate::running::{Running, wait_until};
use crate::support::{Sandbox, entries, manifest, numbered_lines, program, recover, run, tapline};

/// Rounds of killing; `TAPLINE_KILL_ROUNDS` and `TAPLINE_CHAOS_ROUNDS` give another number.
const ROUNDS: u64 = 12;

#[test]
fn a_killed_recording_is_an_exact_prefix_with_all_that_was_reported() {
    let Some(rounds) = Rounds::new() else { return };
    let tally = rounds.play("TAPLINE_KILL_ROUNDS", ROUNDS, |recording, random| {
        random.sleep_below(220_000);
        recording.kill();
    });
    assert!(tally.cut_off > 0, "none was caught at work");
}

/// Stops and goes on a few times; then most are killed, some of them while stopped.
#[test]
fn a_recording_that_is_stopped_at_random_and_then_killed_is_an_exact_prefix_too() {
    let Some(rounds) = Rounds::new() else { return };
    let tally = rounds.play("TAPLINE_CHAOS_ROUNDS", ROUNDS, |recording, random| {
        for _ in 0..random.below(5) {
            random.sleep_below(50_000);
            recording.pause();
            random.sleep_below(20_000);
            recording.resume();
        }
        match random.below(4) {
            0 => return,
            1 => recording.pause(),
            _ => random.sleep_below(100_000),
        }
        recording.kill();
    });
    assert!(tally.cut_off > 0, "none was caught at work");
}

#[test]
fn what_cannot_be_recovered_is_said_and_the_rest_goes_on() {
    let sandbox = Sandbox::new();
    let ended = sandbox.record(numbered_lines(3), &[]).exits(0).report().run_id;
    let broken = sandbox.instance().join("1700000000000000000-0000000a.redb");
    std::fs::write(&broken, b"this is no run file").expect("writable");
    let swept = recover(&sandbox.runs()).exits(1).json();
    assert_eq!((&swept["recovered"], &swept["parent_run_id"]), (&json!([]), &json!(ended)));
    assert_eq!(swept["passed_over"], json!([]), "a newer run is there");
    assert_eq!(swept["skipped"][0]["path"], broken.to_str().expect("UTF-8"));
    let error = swept["skipped"][0]["error"].as_str().expect("text");
    assert!(!error.is_empty());
    let text = tapline(["recover".as_ref(), sandbox.runs().as_os_str()]).exits(1).stdout;
    assert!(text.starts_with("no run was sealed\n"), "{text}");
    let next = format!("continues from {ended}\n");
    assert!(
        text.contains(": left as it is: ")
            && text.contains("; put a copy in its place, or move it away\n")
            && text.ends_with(&next),
        "{text}"
    );
    // And it keeps nobody from recording.
    sandbox.record(numbered_lines(3), &[]).exits(0);
}

#[test]
fn a_newest_run_that_cannot_be_looked_into_is_named_as_passed_over() {
    let sandbox = Sandbox::new();
    sandbox.record(numbered_lines(3), &[]).exits(0);
    let newest = "2000000000000000000-0000000a";
    std::fs::write(sandbox.instance().join(format!("{newest}.redb")), b"no run").expect("writable");
    assert_eq!(recover(&sandbox.runs()).exits(1).json()["passed_over"], json!([newest]));
    let text = tapline(["recover".as_ref(), sandbox.runs().as_os_str()]).exits(1).stdout;
    assert!(text.contains(&format!("\n{newest}: may hold what happened last, ")), "{text}");
}

#[test]
fn a_file_that_may_not_be_read_is_named_and_the_rest_is_recovered() {
    let sandbox = Sandbox::new();
    let secret = sandbox.record(numbered_lines(3), &[]).exits(0).report().path;
    let mut killed = Running::start(sandbox.command("record").args(["--input", "-"]));
    wait_until("there is a second run file", || sandbox.run_files().len() == 2);
    killed.kill();
    killed.end();
    let left = sandbox.run_files()[1].clone();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o000)).expect("it is ours");
    let mut recover = as_a_user(&sandbox);

    let ran = run(recover.arg("recover").arg(sandbox.runs()).arg("--json"), b"").exits(1);
    let swept = ran.json();
    assert_eq!(swept["skipped"].as_array().map(Vec::len), Some(1), "{swept}");
    assert_eq!(swept["skipped"][0]["path"], secret.to_str().expect("UTF-8"));
    let error = swept["skipped"][0]["error"].as_str().expect("text");
    assert!(error.contains("Permission denied"), "{error}");
    assert_eq!(swept["recovered"][0]["path"], left.to_str().expect("UTF-8"), "{swept}");
    assert_eq!(manifest(&left).status, RunStatus::CrashedRecovered);

    // And it keeps nobody from recording.
    let mut record = as_a_user(&sandbox);
    record.arg("record").arg("--dir").arg(sandbox.runs()).args(["--json", "--input", "-"]);
    let report = run(&mut record, numbered_lines(3).as_bytes()).exits(0).report();
    assert_eq!(manifest(&report.path).parent_run_id, Some(manifest(&left).run_id));
}

/// Under a limit on the size of files, which stands for a full disk.
#[test]
fn a_run_that_cannot_be_sealed_for_lack_of_room() {
    let sandbox = Sandbox::new();
    leave_behind(&sandbox);
    let path = sandbox.run_files()[0].clone();

    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "ulimit -f 8; exec \"$0\" recover \"$@\""]).arg(crate::support::PROGRAM);
    let ran = run(shell.arg("--dir").arg(sandbox.runs()), b"").exits(1);
    let path = path.display();
    assert!(ran.stdout.starts_with("no run was sealed\n"), "{}", ran.stdout);
    let error = format!("{path}: left as it is: ");
    let advice = "with a full disk make 1.0 MiB of room; then run this command again\n";
    assert!(ran.stdout.contains(&error) && ran.stdout.contains(advice), "{}", ran.stdout);
    assert!(ran.stdout.contains("File too large"), "{}", ran.stdout);
    assert!(ran.stdout.contains(": may hold what happened last, and is not sealed"));

    let ran = run(program().arg("recover").arg("--dir").arg(sandbox.runs()), b"").exits(0);
    assert!(ran.stdout.contains(": sealed as CrashedRecovered, "), "{}", ran.stdout);
}

#[test]
fn the_folder_is_given_once() {
    let sandbox = Sandbox::new();
    sandbox.record("", &[]).exits(1);
    let mut recover = program();
    let recover = recover.arg("recover").arg(sandbox.runs()).arg("--dir").arg(sandbox.runs());
    run(recover, b"").exits(2);
    run(&mut sandbox.command("recover"), b"").exits(0);
}

#[test]
fn warnings_in_a_file_have_no_color_codes() {
    let sandbox = Sandbox::new();
    sandbox.record(numbered_lines(3), &[]).exits(0);
    std::fs::write(sandbox.instance().join("1-00000001.redb"), b"").expect("writable");
    let ran = sandbox.record(numbered_lines(3), &[]).exits(0);
    assert!(ran.stderr.contains("WARN") && !ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let sandbox = Sandbox::new();
    let ran = tapline(["recover".as_ref(), sandbox.runs().as_os_str()]).exits(2);
    assert!(ran.stderr.contains("there is no folder"), "{}", ran.stderr);
    assert!(!sandbox.runs().exists());
    sandbox.record(numbered_lines(3), &[]).exits(0);
    let mut mistyped = program();
    let ran = run(mistyped.arg("recover").arg(sandbox.runs()).args(["--instance", "nod-1"]), b"");
    assert!(ran.exits(2).stderr.contains("nod-1"));
    assert!(!sandbox.runs().join("nod-1").exists());
}

#[test]
fn a_second_program_on_one_instance_is_told_who_has_it() {
    let sandbox = Sandbox::new();
    let mut first =
        Running::start(sandbox.command("record").args(["--input", "-", "--durable-every-ms", "1"]));
    wait_until("there is a run file", || sandbox.run_files().len() == 1);
    let second = sandbox.record(numbered_lines(3), &[]).exits(2);
    let holder = format!("is locked by process {} (tapline)", first.id());
    assert!(second.stderr.contains(&holder), "{}", second.stderr);
    let mut recovering = program();
    let ran = run(recovering.arg("recover").arg(sandbox.runs()), b"").exits(2);
    assert!(ran.stderr.contains(&holder), "{}", ran.stderr);

    first.feed(&numbered_lines(5));
    first.close_stdin();
    let report = first.end().exits(0).report();
    assert_eq!((report.entries, report.watermark), (5, 7));
}

#[test]
fn of_two_recoveries_at_once_one_recovers() {
    for _ in 0..8 {
        let sandbox = Sandbox::new();
        leave_behind(&sandbox);

        let mut both = [0; 2]
            .map(|_| Running::start(program().arg("recover").arg(sandbox.runs()).arg("--json")));
        let mut recovered = 0;
        for ran in both.each_mut().map(Running::end) {
            if ran.code == Some(2) {
                assert!(ran.stderr.contains(" is locked by "), "{}", ran.stderr);
                continue;
            }
            let swept = ran.exits(0).json();
            assert_eq!(swept["skipped"], json!([]));
            recovered += swept["recovered"].as_array().expect("an array").len();
        }
        assert_eq!(recovered, 1);
        let [run] = &sandbox.run_files()[..] else { panic!("no file came or went") };
        assert_eq!(manifest(run).status, RunStatus::CrashedRecovered);
        tapline(["verify".as_ref(), run.as_os_str()]).exits(0);
    }
}

#[test]
fn a_killed_demo_comes_back_with_the_portfolio_of_all_its_runs() {
    let sandbox = Sandbox::new();
    for round in 0..3 {
        let mut demo = Running::start(sandbox.command("record").args([
            "--demo",
            "--entries",
            "100000000",
            "--producers",
            "2",
            "--snapshot-every-ms",
            "50",
            "--durable-every-ms",
            "1",
        ]));
        // However long the machine takes to begin.
        wait_until("the run is made", || sandbox.run_files_of("demo").len() == round + 1);
        std::thread::sleep(Duration::from_millis(50 + 130 * round as u64));
        demo.kill();
        assert_eq!(demo.end().code, None, "it was killed");
    }
    let last = ["--demo", "--entries", "5000", "--producers", "2"];
    let report = run(sandbox.command("record").args(last), b"").exits(0).json();
    let runs = sandbox.run_files_of("demo");
    assert_eq!(runs.len(), 4);
    assert_eq!(report["parent_run_id"], manifest(&runs[2]).run_id.to_string());

    // What each strategy did, counted over all that was recorded.
    let mut booked: HashMap<u64, [i64; 4]> = HashMap::new();
    let mut sides: HashMap<String, i64> = HashMap::new();
    for path in &runs {
        for entry in entries(path) {
            let Ok(message) = serde_json::from_slice::<Value>(&entry.payload) else { continue };
            if entry.payload_type == "SubmitOrder" {
                let side = if message["side"] == "buy" { 1 } else { -1 };
                sides.insert(message["client_order_id"].to_string(), side);
                let strategy = message["strategy"].as_u64().expect("a number");
                booked.entry(strategy).or_default()[0] += 1;
            } else if entry.payload_type == "OrderFilled" {
                let number = |field: &str| message[field].as_i64().expect("a number");
                let header = &message["event"];
                let side = sides[&header["client_order_id"].to_string()];
                let strategy = header["strategy"].as_u64().expect("a number");
                let book = booked.entry(strategy).or_default();
                book[1] += 1;
                book[2] += side * number("quantity");
                book[3] -= side * number("quantity") * number("price_ticks");
            }
        }
    }
    let strategies = report["portfolio"]["strategies"].as_object().expect("an object");
    assert_eq!(strategies.len(), 2);
    for (strategy, book) in strategies {
        let said = ["orders_submitted", "fills", "position", "cash_ticks"]
            .map(|field| book[field].as_i64().expect("a number"));
        assert_eq!(said, booked[&strategy.parse().expect("a number")], "strategy {strategy}");
        assert!(said[1] > 0, "nothing was filled");
    }
    assert_eq!(report["portfolio"]["open_orders"], 0);
}

/// Leaves the first run of `sandbox` behind, as a kill does.
fn leave_behind(sandbox: &Sandbox) {
    let mut killed = Running::start(sandbox.command("record").args(["--input", "-"]));
    killed.feed(&numbered_lines(100));
    wait_until("there is a run file", || sandbox.run_files().len() == 1);
    killed.kill();
    killed.end();
}
