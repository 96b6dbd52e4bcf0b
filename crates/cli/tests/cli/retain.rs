//! `retain`: a plan by default, and with `--apply` what it says.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tapline::internals::run_path;
use tapline::store::{EventStore, RedbBackend};
use tapline::{ContentHash, InstanceId, RunId, RunManifest, RunStatus, SnapshotAnchor};

use crate::support::{Ran, Sandbox, program, run, shown_bytes};

fn run_id(n: u64) -> RunId {
    format!("{n}-00000000").parse().expect("a run id")
}

fn path(sandbox: &Sandbox, n: u64) -> PathBuf {
    run_path(&sandbox.runs(), &instance(), run_id(n))
}

fn instance() -> InstanceId {
    "node-1".parse().expect("an instance id")
}

/// A run without entries.
fn seal(sandbox: &Sandbox, n: u64, anchored: bool) {
    let mut store = RedbBackend::new(sandbox.runs());
    let id = run_id(n);
    store.open_run(RunManifest::new(instance(), id, id.start())).expect("a new run");
    if anchored {
        let (blob_ref, content_hash) = ("snapshot".to_owned(), ContentHash::of(b""));
        let anchor = SnapshotAnchor { high_watermark: 0, blob_ref, content_hash };
        store.record_anchor(&anchor).expect("an anchor");
    }
    store.seal(RunStatus::Ended, None).expect("an open run");
}

/// Runs 1 to 4, the third with a snapshot.
fn four(sandbox: &Sandbox) {
    for n in 1..=4 {
        seal(sandbox, n, n == 3);
    }
}

fn retain(sandbox: &Sandbox, args: &[&str]) -> Ran {
    run(sandbox.command("retain").args(args), b"")
}

fn exist(sandbox: &Sandbox) -> Vec<u64> {
    (1..=9).filter(|n| path(sandbox, *n).exists()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn a_plan_removes_nothing() {
    let sandbox = Sandbox::new();
    four(&sandbox);
    let plan = retain(&sandbox, &["--mode", "snapshot"]).exits(0).says("").json();
    let (first, second) = (path(&sandbox, 1), path(&sandbox, 2));
    assert_eq!(plan["mode"], "snapshot");
    assert_eq!(plan["keep_last"], Value::Null);
    assert_eq!(plan["reclaim"], json!([text(&first), text(&second)]));
    assert_eq!(plan["applied"], false);
    assert_eq!((&plan["reclaimed"], &plan["failed"]), (&json!([]), &json!([])));
    let bytes = |path: &Path| path.metadata().expect("the file").len();
    assert_eq!(plan["reclaim_bytes"], bytes(&first) + bytes(&second));
    let point = run_id(3).to_string();
    let reasons: Vec<&Value> =
        plan["runs"].as_array().expect("an array").iter().map(|run| &run["reason"]).collect();
    let before = json!({ "kind": "before_restore_point", "restore_point": point });
    let after = json!({ "kind": "after_restore_point", "restore_point": point });
    assert_eq!(reasons, [&before, &before, &json!({ "kind": "restore_point" }), &after]);
    let expected = json!({
        "path": text(&first), "run_id": "1-00000000", "bytes": bytes(&first), "keep": false,
        "reason": before,
    });
    assert_eq!(plan["runs"][0], expected);
    assert_eq!(exist(&sandbox), [1, 2, 3, 4]);
}

#[test]
fn apply_removes_what_the_plan_says() {
    let sandbox = Sandbox::new();
    four(&sandbox);
    let args = ["--mode", "bounded", "--keep-last", "1", "--apply"];
    let applied = retain(&sandbox, &args).exits(0).says("").json();
    let paths = json!([text(&path(&sandbox, 1)), text(&path(&sandbox, 2))]);
    assert_eq!((&applied["mode"], &applied["keep_last"]), (&"bounded".into(), &1.into()));
    assert_eq!((&applied["reclaim"], &applied["reclaimed"]), (&paths, &paths));
    assert_eq!(applied["applied"], true);
    assert_eq!(exist(&sandbox), [3, 4]);
    let again = retain(&sandbox, &args).exits(0).json();
    assert_eq!((&again["reclaim"], &again["applied"]), (&json!([]), &true.into()));
    let full = retain(&sandbox, &["--mode", "full", "--apply"]).exits(0).json();
    assert_eq!((&full["mode"], &full["reclaim"]), (&"full".into(), &json!([])));
    assert_eq!(exist(&sandbox), [3, 4]);
}

#[test]
fn the_plan_as_text() {
    let sandbox = Sandbox::new();
    four(&sandbox);
    let human = |args: &[&str]| {
        let mut program = program();
        program.arg("retain").arg("--dir").arg(sandbox.runs()).args(args);
        run(&mut program, b"").exits(0).says("").stdout
    };
    let bytes = path(&sandbox, 1).metadata().expect("the file").len();
    let plan = human(&["--mode", "snapshot"]);
    let lines: Vec<&str> = plan.lines().collect();
    let before = "older than the restore point 3-00000000";
    let size = shown_bytes(bytes);
    assert_eq!(lines[0], format!("{:<30} reclaim  {size:>10}  {before}", "1-00000000"));
    let point = "the newest restore point";
    let kept = shown_bytes(path(&sandbox, 3).metadata().expect("the file").len());
    assert_eq!(lines[2], format!("{:<30} keep     {kept:>10}  {point}", "3-00000000"));
    let second = path(&sandbox, 2).metadata().expect("the file").len();
    let sum = shown_bytes(bytes + second);
    assert_eq!(lines[4], format!("to reclaim: 2 runs, {sum}; --apply removes them"));
    let applied = human(&["--mode", "snapshot", "--apply"]);
    assert_eq!(applied.lines().last(), Some("reclaimed 2 of 2 runs"));
}

#[test]
fn no_runs() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.instance()).expect("a folder");
    let plan = retain(&sandbox, &["--mode", "snapshot", "--apply"]).exits(0).says("").json();
    assert_eq!((&plan["reclaim"], &plan["runs"]), (&json!([]), &json!([])));
}

#[test]
fn a_run_that_cannot_be_read_is_found_and_kept() {
    let sandbox = Sandbox::new();
    four(&sandbox);
    std::fs::write(path(&sandbox, 1), "no run").expect("a file");
    let args = ["--mode", "snapshot", "--apply"];
    let report = retain(&sandbox, &args).exits(1).says("").json();
    assert_eq!(report["reclaimed"], json!([text(&path(&sandbox, 2))]));
    assert_eq!(report["runs"][0]["reason"]["kind"], "unreadable");
    assert_eq!(exist(&sandbox), [1, 3, 4]);
}

#[test]
fn a_run_that_cannot_be_removed_is_reported() {
    let sandbox = Sandbox::new();
    four(&sandbox);
    let sidecar = path(&sandbox, 1).with_extension("markers.redb");
    std::fs::create_dir(&sidecar).expect("a folder in the way");
    let ran = retain(&sandbox, &["--mode", "snapshot", "--apply"]).exits(2);
    assert_eq!(ran.stderr, "error: not every run could be reclaimed; see above\n");
    let report = ran.json();
    assert_eq!(report["reclaimed"], json!([text(&path(&sandbox, 2))]));
    assert_eq!(report["failed"][0]["path"], text(&path(&sandbox, 1)));
    let error = report["failed"][0]["error"].as_str().expect("an error");
    assert!(error.starts_with(&format!("cannot remove {}: ", sidecar.display())), "{error}");
    assert_eq!(exist(&sandbox), [1, 3, 4]);
}

/// What NDJSON recordings leave: no run has a snapshot.
#[test]
fn recordings_go_by_age_and_by_size() {
    let sandbox = Sandbox::new();
    for n in 1..=4 {
        seal(&sandbox, n, false);
    }
    for args in [&["--mode", "snapshot"][..], &["--mode", "bounded", "--keep-last", "1"]] {
        assert_eq!(retain(&sandbox, args).exits(0).json()["reclaim"], json!([]));
    }
    let bytes = |n| path(&sandbox, n).metadata().expect("the file").len();
    let fits = (bytes(3) + bytes(4)).to_string();
    let plan = retain(&sandbox, &["--keep-bytes", &fits]).exits(0).says("").json();
    let paths =
        |numbers: &[u64]| -> Vec<PathBuf> { numbers.iter().map(|n| path(&sandbox, *n)).collect() };
    assert_eq!(plan["reclaim"], json!(paths(&[1, 2])));
    assert_eq!((&plan["mode"], plan["kept_bytes"].as_u64()), (&json!("bytes"), fits.parse().ok()));
    assert_eq!(plan["runs"][0]["reason"]["kind"], "over_bytes");
    assert_eq!(exist(&sandbox), [1, 2, 3, 4]);
    // The runs are of 1970.
    let young = retain(&sandbox, &["--keep-for", "5200w"]).exits(0).json();
    assert_eq!((&young["mode"], &young["reclaim"]), (&json!("age"), &json!([])));
    let old = retain(&sandbox, &["--keep-for", "30d", "--apply"]).exits(0).says("").json();
    assert_eq!(old["keep_for_s"], 30 * 86_400);
    assert_eq!(old["reclaimed"], json!(paths(&[1, 2, 3])));
    assert_eq!(old["runs"][0]["reason"], json!({"kind": "too_old", "keep_for_s": 2_592_000}));
    assert_eq!(exist(&sandbox), [4]);

    let mut human = program();
    human.arg("retain").arg("--dir").arg(sandbox.runs()).args(["--keep-bytes", "1kB"]);
    let said = run(&mut human, b"").exits(0).stdout;
    let takes = shown_bytes(bytes(4));
    assert!(
        said.contains(&format!("what has to stay takes {takes}, more than 1000 B\n")),
        "{said}"
    );
}

/// What stays in any case may take more than was asked for. Both reports say so.
#[test]
fn bytes_that_are_kept_in_spite_of_the_limit_are_said() {
    let sandbox = Sandbox::new();
    four(&sandbox);
    std::fs::write(path(&sandbox, 1), "no run").expect("a file");
    let bytes = |n| path(&sandbox, n).metadata().expect("the file").len();
    let report = retain(&sandbox, &["--keep-bytes", "1B"]).exits(1).says("").json();
    assert_eq!((&report["keep_bytes"], &report["keep_for_s"]), (&json!(1), &Value::Null));
    assert_eq!(report["kept_bytes"], bytes(1) + bytes(3) + bytes(4));
    assert_eq!(report["reclaim"], json!([path(&sandbox, 2)]));
    let reasons: Vec<&Value> =
        report["runs"].as_array().expect("an array").iter().map(|run| &run["reason"]).collect();
    assert_eq!(reasons[0]["kind"], "unreadable");
    assert_eq!(reasons[1], &json!({"kind": "over_bytes", "keep_bytes": 1}));
    assert_eq!(reasons[2..], [&json!({"kind": "restore_point"}), &json!({"kind": "continuable"})]);
    assert_eq!(exist(&sandbox), [1, 2, 3, 4], "nothing goes without --apply");

    let fits = (bytes(1) + bytes(3) + bytes(4)).to_string();
    let mut human = program();
    human.arg("retain").arg("--dir").arg(sandbox.runs()).args(["--keep-bytes", &fits, "--apply"]);
    let said = run(&mut human, b"").exits(1).stdout;
    assert!(!said.contains("what has to stay"), "{said}");
    assert_eq!(said.lines().last(), Some("reclaimed 1 of 1 runs"));
    assert_eq!(exist(&sandbox), [1, 3, 4]);
}

#[test]
fn what_could_not_run() {
    let sandbox = Sandbox::new();
    for (args, says) in [
        (&[][..], "--mode"),
        (&["--mode", "none"], "--mode"),
        (&["--mode", "bounded"], "--keep-last"),
        (&["--mode", "bounded", "--keep-last", "0"], "--keep-last"),
        (&["--mode", "snapshot", "--keep-last", "2"], "--keep-last"),
        (&["--mode", "snapshot", "--keep-for", "30d"], "--keep-for"),
        (&["--keep-for", "30d", "--keep-bytes", "1GB"], "--keep-bytes"),
        (&["--keep-for", "30"], "expected a whole number and a unit"),
        (&["--keep-bytes", "a lot"], "expected a whole number"),
        (&["--keep-for", "30d", "--keep-last", "2"], "--keep-last"),
        (&["--keep-bytes", "17000000TiB"], "expected a whole number"),
    ] {
        let ran = retain(&sandbox, args).exits(2);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    std::fs::create_dir_all(sandbox.instance()).expect("a folder");
    for (keep_for, seconds) in [("0s", 0_u64), ("36501d", 36_501 * 86_400)] {
        let ran = retain(&sandbox, &["--keep-for", keep_for, "--apply"]).exits(2);
        let says = format!("retention.keep_for_s is {seconds}; ");
        assert!(ran.stderr.contains(&says), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    std::fs::remove_dir(sandbox.instance()).expect("an empty folder");
    std::fs::write(sandbox.instance(), "a file is in the way").expect("a file");
    let ran = retain(&sandbox, &["--mode", "full"]).exits(2);
    let start = format!("error: cannot list {}: ", sandbox.instance().display());
    assert!(ran.stderr.starts_with(&start), "{}", ran.stderr);
}
