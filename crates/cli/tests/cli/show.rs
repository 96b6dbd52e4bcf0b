//! `show`: what is known about a run besides its entries.

use serde_json::Value;

use crate::support::{PROGRAM, Sandbox, manifest, numbered_lines, program, run};

fn show(sandbox: &Sandbox, instance: &str) -> Value {
    run(sandbox.command("show").args(["latest", "--instance", instance]), b"")
        .exits(0)
        .says("")
        .json()
}

#[test]
fn all_that_the_manifest_has() {
    let sandbox = Sandbox::new();
    let report = sandbox.record(numbered_lines(3), &["--key-kind", "leg"]).exits(0).report();
    let shown = show(&sandbox, "node-1");
    let manifest = manifest(&report.path);
    assert_eq!(shown["manifest"], serde_json::to_value(&manifest).expect("plain data"));
    assert_eq!(shown["path"], report.path.to_str().expect("text"));
    assert_eq!(shown["root"], report.root.expect("it is sealed"));
    assert_eq!(shown["bytes_file"], report.path.metadata().expect("the file").len());
    assert_eq!((&shown["anchor"], &shown["bytes_markers"]), (&Value::Null, &Value::Null));

    let human = run(program().arg("show").arg(&report.path), b"").exits(0).says("").stdout;
    for line in [
        format!("run             {} of node-1", report.run_id),
        "status          Ended".to_owned(),
        "last ts_init    ".to_owned(),
        "watermark       5".to_owned(),
        format!("config          {}", manifest.config_hash),
        "index kinds     client_order_id, leg, venue_order_id".to_owned(),
        "endpoints       none\n".to_owned(),
    ] {
        assert!(human.contains(&line), "no {line} in {human}");
    }
}

#[test]
fn the_demo_has_an_anchor() {
    let sandbox = Sandbox::new();
    let demo = ["--demo", "--entries", "500", "--markers"];
    run(sandbox.command("record").args(demo), b"").exits(0);
    let shown = show(&sandbox, "demo");
    let anchor = &shown["anchor"];
    assert!(anchor["content_hash"].as_str().expect("text").starts_with("blake3:"), "{anchor}");
    assert!(shown["bytes_markers"].as_u64().expect("a number") > 0);
    let mut human = program();
    human.args(["show", "latest", "--instance", "demo", "--dir"]).arg(sandbox.runs());
    let human = run(&mut human, b"").exits(0).stdout;
    let blob = anchor["blob_ref"].as_str().expect("text");
    assert!(human.contains(&format!("anchor          {blob} up to entry ")), "{human}");
}

#[test]
fn a_run_says_which_program_and_settings_recorded_it() {
    let sandbox = Sandbox::new();
    let hash_of_the_program = blake3::hash(&std::fs::read(PROGRAM).expect("readable"));
    let recorded = |args: &[&str]| {
        let report = sandbox.record(numbered_lines(3), args).exits(0).report();
        let manifest = manifest(&report.path);
        assert_eq!(manifest.binary_hash, format!("blake3:{hash_of_the_program}"));
        manifest.config_hash
    };
    let default = recorded(&[]);
    assert!(default.strip_prefix("blake3:").is_some_and(|hex| hex.len() == 64), "{default}");
    assert_eq!(recorded(&[]), default);
    assert_eq!(recorded(&["--names-max", "65536"]), default, "the default, given");
    for args in [
        &["--names-max", "100"][..],
        &["--key-kind", "leg"],
        &["--disk-mode", "buffered"],
        &["--halt-threshold-ms", "9999"],
        &["--markers"],
    ] {
        assert_ne!(recorded(args), default, "{args:?}");
    }
}

#[test]
fn a_run_that_is_not_sealed_names_the_command() {
    use crate::running::{Running, wait_until};

    let sandbox = Sandbox::new();
    let mut recording = Running::start(sandbox.command("record").args(["--input", "-"]));
    recording.feed(&numbered_lines(1));
    wait_until("there is a run", || sandbox.run_files().len() == 1);
    recording.kill();
    recording.end();
    let ran = run(sandbox.command("show").arg("latest"), b"").exits(0);
    assert!(ran.stderr.contains("; `tapline recover --dir "), "{}", ran.stderr);
}
