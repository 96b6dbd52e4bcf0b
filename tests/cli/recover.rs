//! A program that is killed, and what the next one finds.

use std::collections::HashMap;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tapline::lifecycle::{RUN_ENDED_TYPE, RUN_STARTED_TYPE};
use tapline::{Entry, RunStatus};

use crate::running::{Running, wait_until};
use crate::support::{
    PROGRAM, Sandbox, entries, manifest, numbered_lines, program, run, shared_data, tapline,
};

/// Rounds of killing; `TAPLINE_KILL_ROUNDS` gives another number.
const ROUNDS: u64 = 12;

/// The user and the group that own nothing.
const NOBODY: u32 = 65_534;

fn recover(sandbox: &Sandbox) -> Value {
    tapline(["recover".as_ref(), sandbox.runs().as_os_str(), "--json".as_ref()]).exits(0).json()
}

/// The last watermark that was reported before the program died.
fn reported(stderr: &str) -> u64 {
    // The last line may have been cut off.
    let whole = stderr.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let watermarks = whole.lines().filter_map(|line| line.strip_prefix("durable ")?.parse().ok());
    watermarks.max().unwrap_or(0)
}

/// A message of the real input: payload and producer.
fn real_messages() -> Option<Vec<(String, u64)>> {
    let packed = std::fs::read(shared_data("esh4-mbo-2023-12-25.ndjson.zst")?).expect("the input");
    let text = String::from_utf8(zstd::decode_all(&*packed).expect("it unpacks")).expect("text");
    let parse = |line: &str| {
        let message: HashMap<&str, &serde_json::value::RawValue> =
            serde_json::from_str(line).expect("a message");
        let producer = message["producer"].get().parse().expect("a number");
        (message["payload"].get().to_owned(), producer)
    };
    Some(text.lines().map(parse).collect())
}

/// Whether `entries`, without lifecycle entries, are what each producer's messages begin with.
fn assert_prefix(entries: &[Entry], messages: &[(String, u64)], producers: u64) {
    let mut next: Vec<_> = (0..producers)
        .map(|own| messages.iter().filter(move |(_, theirs)| theirs % producers == own))
        .collect();
    let mut heads: Vec<Option<&(String, u64)>> = next.iter_mut().map(Iterator::next).collect();
    for entry in entries {
        if entry.payload_type == RUN_STARTED_TYPE || entry.payload_type == RUN_ENDED_TYPE {
            continue;
        }
        let is_payload = |head: Option<&(String, u64)>| {
            head.is_some_and(|(payload, _)| payload.as_bytes() == &entry.payload[..])
        };
        let from = heads.iter().position(|head| is_payload(*head));
        let from = from.unwrap_or_else(|| panic!("entry {} is not the next of any", entry.seq));
        heads[from] = next[from].next();
    }
}

#[test]
fn a_killed_recording_is_an_exact_prefix_with_all_that_was_reported() {
    let Some(messages) = real_messages() else { return };
    let input = shared_data("esh4-mbo-2023-12-25.ndjson.zst").expect("it was there");
    let rounds = std::env::var("TAPLINE_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let sandbox = Sandbox::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut runs_before = Vec::new();
    let (mut cut_off, mut ended, mut entries_kept, mut nothing_to_do) = (0, 0, 0, 0);
    for round in 0..rounds.unwrap_or(ROUNDS) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let producers = if round % 2 == 0 { 1 } else { 4 };
        let mut command = sandbox.command("record");
        command.arg("--input").arg(&input).args(["--durable-every-ms", "1"]);
        command.arg("--producers").arg(producers.to_string());
        let mut recording = Running::start(&mut command);
        std::thread::sleep(Duration::from_micros(random % 220_000));
        recording.kill();
        let ran = recording.end();
        let reported = reported(&ran.stderr);

        let before = runs_before;
        runs_before = sandbox.run_files();
        // Whatever was reported is in a file.
        let made = runs_before.len() - before.len();
        assert!(made == 1 || (made == 0 && reported == 0), "round {round}: {made} for {reported}");

        let swept = recover(&sandbox);
        assert_eq!(swept["skipped"], json!([]), "round {round}");
        let recovered = swept["recovered"].as_array().expect("an array");
        assert!(recovered.len() <= made, "{swept}");
        let Some(run) = recovered.first() else {
            let newest = runs_before.last().filter(|_| made == 1);
            if let Some(path) = newest {
                // Killed after the seal, or not at all.
                assert_eq!(manifest(path).status, RunStatus::Ended, "round {round}");
                assert_eq!(entries(path).len(), messages.len() + 2);
            }
            nothing_to_do += 1;
            continue;
        };
        let path: PathBuf = run["path"].as_str().expect("a path").into();
        let entries = entries(&path);
        assert!(entries.len() as u64 >= reported, "round {round}: {reported} were durable");
        assert_eq!(run["watermark"], entries.len());
        assert_prefix(&entries, &messages, producers);
        let has_end = entries.last().is_some_and(|last| last.payload_type == RUN_ENDED_TYPE);
        let status = if has_end { RunStatus::Ended } else { RunStatus::CrashedRecovered };
        assert_eq!(manifest(&path).status, status, "round {round}");
        tapline(["verify".as_ref(), path.as_os_str()]).exits(0);
        let parent = if has_end { Value::Null } else { run["run_id"].clone() };
        assert_eq!(swept["parent_run_id"], parent, "round {round}");
        (cut_off, ended) = (cut_off + u64::from(!has_end), ended + u64::from(has_end));
        entries_kept += entries.len();

        // The next recording names it, and ends in order.
        let next = sandbox.record(numbered_lines(3), &[]).exits(0).json();
        assert_eq!(next["parent_run_id"], parent, "round {round}");
        runs_before = sandbox.run_files();
    }
    println!(
        "{cut_off} cut off, {ended} ended but not sealed, {nothing_to_do} with nothing to recover, \
         {entries_kept} entries kept"
    );
    assert!(cut_off > 0, "none was caught at work");
}

#[test]
fn what_cannot_be_recovered_is_said_and_the_rest_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.record(numbered_lines(3), &[]).exits(0);
    let broken = sandbox.instance().join("1700000000000000000-0000000a.redb");
    std::fs::write(&broken, b"this is no run file").expect("writable");
    let ran = tapline(["recover".as_ref(), sandbox.runs().as_os_str(), "--json".as_ref()]).exits(1);
    let swept = ran.json();
    assert_eq!((&swept["recovered"], &swept["parent_run_id"]), (&json!([]), &Value::Null));
    assert_eq!(swept["skipped"][0]["path"], broken.to_str().expect("UTF-8"));
    let error = swept["skipped"][0]["error"].as_str().expect("text");
    assert!(!error.is_empty());
    let text = tapline(["recover".as_ref(), sandbox.runs().as_os_str()]).exits(1).stdout;
    assert!(text.starts_with("no run was left behind\n"), "{text}");
    assert!(text.contains(": left alone: ") && text.ends_with("continues from none\n"), "{text}");
    // And it keeps nobody from recording.
    sandbox.record(numbered_lines(3), &[]).exits(0);
}

/// Makes everything in `folder` somebody else's, and gives the program as that user, from a place where they may
/// start it. Permissions keep nobody from anything who is root, as tests often are.
fn as_a_user(sandbox: &Sandbox) -> Command {
    if std::fs::metadata("/proc/self").expect("it is there").uid() != 0 {
        return program();
    }
    let own = |path: &Path| chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    let open_to_all = |path: &Path| {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("it is ours");
    };
    let copy = sandbox.path("tapline");
    std::fs::copy(PROGRAM, &copy).expect("there is room");
    open_to_all(&copy);
    open_to_all(copy.parent().expect("a folder"));
    own(&sandbox.runs());
    own(&sandbox.instance());
    for file in std::fs::read_dir(sandbox.instance()).expect("readable") {
        own(&file.expect("readable").path());
    }
    let mut command = Command::new(copy);
    command.uid(NOBODY).gid(NOBODY);
    command
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
        std::thread::sleep(Duration::from_millis(150 + 130 * round));
        demo.kill();
        assert_eq!(demo.end().code, None, "it was killed");
    }
    let last = ["--demo", "--entries", "5000", "--producers", "2"];
    let report = run(sandbox.command("record").args(last), b"").exits(0).json();
    let runs = sandbox.run_files();
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
