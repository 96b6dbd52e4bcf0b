//! How a run is named on the command line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use crate::support::{Ran, Sandbox, numbered_lines, program, run};

fn scan(sandbox: &Sandbox, name: impl AsRef<OsStr>) -> Ran {
    run(sandbox.command("scan").arg(name), b"")
}

/// The payload of the first message of a run.
fn first(sandbox: &Sandbox, name: &str) -> Value {
    scan(sandbox, name).exits(0).says("").json_lines()[1]["payload"].clone()
}

/// Records one message of payload `number`. Returns the run's id.
fn record(sandbox: &Sandbox, number: u64) -> String {
    let line = format!(r#"{{"topic":"t","type":"T","payload":{number}}}"#);
    sandbox.record(line, &[]).exits(0).report().run_id
}

#[test]
fn an_id_its_beginning_or_latest() {
    let sandbox = Sandbox::new();
    let (old, new) = (record(&sandbox, 1), record(&sandbox, 2));
    assert_eq!(first(&sandbox, &old), 1);
    assert_eq!(first(&sandbox, &new), 2);
    assert_eq!(first(&sandbox, "latest"), 2);
    assert_eq!(first(&sandbox, &old[..old.len() - 3]), 1);
    // Until they differ.
    let same = old.bytes().zip(new.bytes()).take_while(|(old, new)| old == new).count();
    assert_eq!(first(&sandbox, &new[..=same]), 2);

    for command in ["verify", "show"] {
        let said = run(sandbox.command(command).arg("latest"), b"").exits(0).json();
        let manifest = said.get("manifest").unwrap_or(&said);
        assert_eq!(manifest["run_id"], new);
    }
    let found = run(sandbox.command("lookup").args(["latest", "venue_order_id", "1"]), b"");
    assert_eq!(found.exits(1).json()["seq"], Value::Null);
}

#[test]
fn a_beginning_of_several_ids_names_them() {
    let sandbox = Sandbox::new();
    let (old, new) = (record(&sandbox, 1), record(&sandbox, 2));
    let beginning = &old[..2];
    let several = "begins the ids of several runs; give more of one";
    scan(&sandbox, beginning)
        .exits(2)
        .says(&format!("error: {beginning:?} {several}: {old}, {new}\n"));
}

#[test]
fn a_run_that_is_not_there() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.instance()).expect("a folder");
    for name in ["17-00000000", "nonsense", "latest"] {
        let ran = scan(&sandbox, name).exits(2);
        let folder = sandbox.instance();
        let text = "neither a run file nor the beginning of the id of a run in";
        assert_eq!(
            ran.stderr,
            format!("error: {name:?} is {text} {}; `tapline ls` lists runs\n", folder.display())
        );
        assert_eq!(ran.stdout, "");
    }
}

/// Names that are no UTF-8 are as good as others, also in reports.
#[test]
fn paths_that_are_not_utf_8() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("").join(OsStr::from_bytes(b"runs-\xff"));
    let input = sandbox.path("").join(OsStr::from_bytes(b"in-\xff.ndjson"));
    std::fs::write(&input, numbered_lines(3)).expect("a file");
    let in_folder = |command: &str| {
        let mut program = program();
        program.arg(command).arg("--dir").arg(&folder).arg("--json");
        program
    };
    let ran = run(in_folder("record").arg("--markers").arg("--input").arg(&input), b"").exits(0);
    let report = ran.says("").json();
    assert_eq!(report["entries"], 3);
    assert!(report["path"].as_str().expect("text").contains("runs-\u{fffd}/node-1/"));

    let id = report["run_id"].as_str().expect("text");
    let path = folder.join("node-1").join(format!("{id}.redb"));
    for command in ["scan", "show", "verify", "markers"] {
        for name in [path.as_os_str(), id.as_ref()] {
            let mut program = in_folder(command);
            run(program.arg(name), b"").exits(0).says("");
        }
    }
    assert_eq!(run(&mut in_folder("ls"), b"").exits(0).json()[0]["run_id"], id);
    run(in_folder("retain").args(["--mode", "full"]), b"").exits(0);
    std::fs::write(folder.join("node-1").join("1-00000001.redb"), b"").expect("a file");
    let swept = run(&mut in_folder("recover"), b"").exits(1).json();
    assert_eq!(swept["skipped"][0]["kind"], json!("damaged"));
}
