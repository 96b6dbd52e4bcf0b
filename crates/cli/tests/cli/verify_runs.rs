//! Which runs `verify` looks at, by what is named.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::as_a_user::as_a_user;
use crate::support::{Ran, Report, Sandbox, numbered_lines, program, run};

const NOT_ALL: &str = "error: not every run could be verified; see above\n";

fn record(sandbox: &Sandbox) -> Report {
    sandbox.record(numbered_lines(3), &[]).exits(0).report()
}

fn record_with_sidecar(sandbox: &Sandbox) -> (PathBuf, PathBuf) {
    let input = r#"{"topic":"data.t","type":"T","payload":1}"#;
    let path = sandbox.record(input, &["--markers"]).exits(0).report().path;
    let sidecar = path.with_extension("markers.redb");
    (path, sidecar)
}

fn verify(names: &[&PathBuf]) -> Ran {
    run(program().arg("verify").args(names).arg("--json"), b"")
}

/// Of each verdict, in order.
#[track_caller]
fn field(verdicts: &Ran, name: &str) -> Vec<Value> {
    verdicts.json_lines().iter().map(|verdict| verdict[name].clone()).collect()
}

#[test]
fn an_instance_that_is_not_there() {
    let sandbox = Sandbox::new();
    record(&sandbox);
    let ran = run(sandbox.command("verify").args(["--instance", "nod-1"]), b"").exits(2);
    let folder = sandbox.runs().join("nod-1");
    let ran = ran.says(&format!("error: there is no folder {}\n", folder.display()));
    assert_eq!(ran.stdout, "");
    assert!(!folder.exists());
}

#[test]
fn an_instance_without_runs() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.instance()).expect("a folder");
    let ran = run(&mut sandbox.command("verify"), b"").exits(2);
    let error = format!("error: there are no runs in {}\n", sandbox.instance().display());
    assert_eq!(ran.says(&error).stdout, "");
}

#[test]
fn a_name_that_leads_to_nothing_keeps_no_other_run_from_being_verified() {
    let sandbox = Sandbox::new();
    let (good, damaged) = (record(&sandbox), record(&sandbox).path);
    std::fs::write(&damaged, "no run").expect("writable");
    let missing = sandbox.path("missing.redb");
    let mut verify = sandbox.command("verify");
    // The sound one by its id.
    verify.arg(&missing).arg(&good.run_id).arg(&damaged).arg(&missing);
    let ran = run(&mut verify, b"").exits(2).says(NOT_ALL);
    assert_eq!(field(&ran, "clean"), [false, true, false, false]);
    let paths = [&missing, &good.path, &damaged, &missing].map(|path| json!(path));
    assert_eq!(field(&ran, "path"), paths);
    let errors = field(&ran, "error");
    let folder = sandbox.instance();
    let text = format!(
        "is neither a run file nor the beginning of the id of a run in {}",
        folder.display()
    );
    let no_such_run = json!(format!("{missing:?} {text}; `tapline ls` lists runs"));
    assert_eq!((&errors[0], &errors[1], &errors[3]), (&no_such_run, &Value::Null, &no_such_run));

    let human = run(program().arg("verify").arg(&good.path).arg("nonsense"), b"").exits(2);
    let said = human.says(NOT_ALL).stdout;
    let text =
        "\"nonsense\" is neither a run file nor the beginning of the id of a run in ./runs/node-1";
    assert_eq!(
        said.lines().next_back(),
        Some(&*format!("nonsense: not verified: {text}; `tapline ls` lists runs"))
    );
}

#[test]
fn a_run_in_a_folder_that_may_not_be_entered() {
    let sandbox = Sandbox::new();
    let path = record(&sandbox).path;
    let (mut scan, mut verify) = (as_a_user(&sandbox), as_a_user(&sandbox));
    let set_mode = |mode| {
        std::fs::set_permissions(sandbox.instance(), Permissions::from_mode(mode))
            .expect("it is ours");
    };
    set_mode(0o000);
    let scan = run(scan.arg("scan").arg(&path), b"");
    let verify = run(verify.arg("verify").arg(&path).arg("--json"), b"");
    // As it was, so that it can be removed.
    set_mode(0o755);
    let error = format!("cannot read {}: Permission denied (os error 13)", path.display());
    scan.exits(2).says(&format!("error: {error}\n"));
    assert_eq!(verify.exits(2).says(NOT_ALL).json()["error"], error);
}

/// As `verify runs/node-1/*.redb` names them: a sidecar stands before its run.
#[test]
fn sidecars_that_are_named_with_their_runs() {
    let sandbox = Sandbox::new();
    let (first, first_sidecar) = record_with_sidecar(&sandbox);
    let (second, second_sidecar) = record_with_sidecar(&sandbox);
    let plain = record(&sandbox).path;
    let names = [&first_sidecar, &first, &second_sidecar, &second, &plain];
    let ran = verify(&names).exits(0);
    assert_eq!(field(&ran, "path"), [&first, &second, &plain].map(|path| json!(path)));
    assert_eq!(field(&ran, "clean"), [true, true, true]);
    let markers: Vec<Value> =
        ran.json_lines()[..2].iter().map(|verdict| verdict["markers"]["clean"].clone()).collect();
    assert_eq!(markers, [true, true]);
    let note = |sidecar: &PathBuf, run: &PathBuf| {
        format!("{} is verified with its run, {}\n", sidecar.display(), run.display())
    };
    let notes = [note(&first_sidecar, &first), note(&second_sidecar, &second)].concat();
    ran.says(&notes);
}

#[test]
fn a_sidecar_that_is_named_alone_stands_for_its_run() {
    let sandbox = Sandbox::new();
    let (path, sidecar) = record_with_sidecar(&sandbox);
    let ran = verify(&[&sidecar, &sidecar]).exits(0);
    assert_eq!(field(&ran, "path"), [json!(path)]);
    assert_eq!(ran.json()["markers"]["path"], json!(sidecar));

    std::fs::remove_file(&path).expect("it is ours");
    let ran = verify(&[&sidecar]).exits(2).says(NOT_ALL);
    let error = format!("it is the sidecar of {}, which is not there", path.display());
    assert_eq!((&ran.json()["path"], &ran.json()["error"]), (&json!(sidecar), &json!(error)));
}
