//! Settings from a file, the environment and the command line.

use std::process::Command;

use crate::support::{Ran, Sandbox, manifest, numbered_lines, program, run};

/// `record` with three lines, without `--dir`.
fn record(sandbox: &Sandbox, set_up: impl FnOnce(&mut Command)) -> Ran {
    let mut record = program();
    record.args(["record", "--json", "--input", "-"]);
    std::fs::create_dir_all(sandbox.path("work")).expect("a folder");
    record.current_dir(sandbox.path("work"));
    set_up(&mut record);
    run(&mut record, numbered_lines(3).as_bytes())
}

/// The settings that show in the run's manifest: index kinds, without the built-in ones, and
/// retention.
fn told(sandbox: &Sandbox, set_up: impl FnOnce(&mut Command)) -> (Vec<String>, Vec<String>) {
    let report = record(sandbox, set_up).exits(0).report();
    let manifest = manifest(&sandbox.path("work").join(report.path));
    let kinds = manifest.index_kinds.iter().map(|(name, _)| name.to_owned());
    let kinds = kinds.filter(|name| !name.ends_with("_order_id"));
    (kinds.collect(), manifest.feature_flags)
}

#[test]
fn options_precede_variables_and_those_the_file() {
    let sandbox = Sandbox::new();
    let toml = "base_dir = \"from-file\"\nindex_kinds = [\"file\"]\n\n[retention]\n\
                mode = \"bounded\"\nkeep_last = 3\n";
    let toml = sandbox.file("settings.toml", toml.as_bytes());
    let json = br#"{"index_kinds": ["json"], "wait": {"park_us": 500}, "identity": {"seed": 7}}"#;
    let json = sandbox.file("settings.json", json);
    let bounded = vec!["retention=bounded".to_owned()];
    let full = vec!["retention=full".to_owned()];

    let by_file = |record: &mut Command| {
        record.arg("--config").arg(&toml);
    };
    assert_eq!(told(&sandbox, by_file), (vec!["file".to_owned()], bounded.clone()));
    assert!(sandbox.path("work/from-file/node-1").is_dir());

    let by_variable = |record: &mut Command| {
        by_file(record);
        record.env("TAPLINE_INDEX_KINDS", "[\"variable\"]").env("TAPLINE_BASE_DIR", "17");
        record.env("TAPLINE_WAIT__PARK_US", "500").env("TAPLINE_RETENTION__KEEP_LAST", "9");
    };
    assert_eq!(told(&sandbox, by_variable), (vec!["variable".to_owned()], bounded));
    assert!(sandbox.path("work/17/node-1").is_dir());

    let by_option = |record: &mut Command| {
        by_variable(record);
        record.args(["--dir", "from-option", "--key-kind", "option"]);
        record.env("TAPLINE_RETENTION__MODE", "full").env_remove("TAPLINE_RETENTION__KEEP_LAST");
    };
    assert_eq!(told(&sandbox, by_option), (vec!["option".to_owned()], full.clone()));
    assert!(sandbox.path("work/from-option/node-1").is_dir());

    let by_json = |record: &mut Command| {
        record.arg("--config").arg(&json).env("TAPLINE_BLESS", "0");
    };
    assert_eq!(told(&sandbox, by_json), (vec!["json".to_owned()], full));
    assert!(sandbox.path("work/runs/node-1").is_dir(), "the default");
}

#[test]
fn the_identity_of_a_file_is_kept() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("settings.toml", b"[identity]\nschema_version = 4\nseed = 7\n");
    let report = record(&sandbox, |record| {
        record.arg("--config").arg(&file);
    });
    let report = report.exits(0).report();
    let manifest = manifest(&sandbox.path("work").join(report.path));
    assert_eq!((manifest.schema_version, manifest.seed), (4, Some(7)));
    assert!(manifest.binary_hash.starts_with("blake3:"), "{}", manifest.binary_hash);
    assert!(manifest.config_hash.starts_with("blake3:"), "{}", manifest.config_hash);
}

#[test]
fn a_bad_setting_names_its_place() {
    let sandbox = Sandbox::new();
    let file = |name: &str, text: &str| sandbox.file(name, text.as_bytes());
    let by_file = |name: &str, text: &str| {
        let path = file(name, text);
        let ran = record(&sandbox, |record| {
            record.arg("--config").arg(&path);
        });
        let said = ran.exits(2).stderr;
        said.replace(path.to_str().expect("text"), "FILE")
    };
    let said = by_file("a.toml", "ring_lines = 4096\nhalt_treshold_ms = 5\n");
    assert!(
        said.starts_with("error: FILE, line 2: ")
            && said.contains("the nearest is halt_threshold_ms"),
        "{said}"
    );
    let said = by_file("b.toml", "\n[wait]\nkind = \"hurry\"\n");
    assert!(said.starts_with("error: FILE, line 2: setting wait: "), "{said}");
    let said = by_file("c.json", "{\n\"ring_lines\": 5\n}");
    assert!(said.starts_with("error: FILE, line 2: setting ring_lines is 5; allowed"), "{said}");
    let said = by_file("d.toml", "ring_lines = \n");
    assert!(said.starts_with("error: FILE is no configuration: ") && said.contains("line 1"));

    let by_variable = |variable: &str, value: &str| {
        let ran = record(&sandbox, |record| {
            record.env(variable, value);
        });
        ran.exits(2).stderr
    };
    let said = by_variable("TAPLINE_HALT_TRESHOLD_MS", "500");
    let nearest = "unknown setting halt_treshold_ms; the nearest is halt_threshold_ms";
    assert_eq!(said, format!("error: variable TAPLINE_HALT_TRESHOLD_MS: {nearest}\n"));
    let said = by_variable("TAPLINE_HALT_THRESHOLD_MS", "0");
    assert!(said.starts_with("error: variable TAPLINE_HALT_THRESHOLD_MS: setting "), "{said}");
    let said = by_variable("TAPLINE_WAIT__PARK_US", "soon");
    assert!(said.starts_with("error: variable TAPLINE_WAIT__PARK_US: setting wait: "), "{said}");
    assert!(!sandbox.path("work/runs").exists(), "a run was made");
}

#[test]
fn bench_takes_settings_too() {
    let sandbox = Sandbox::new();
    let mut bench = program();
    bench.arg("bench").env("TAPLINE_RING_LINES", "1").current_dir(sandbox.path(""));
    let said = run(&mut bench, b"").exits(2).stderr;
    assert!(said.starts_with("error: variable TAPLINE_RING_LINES: setting ring_lines"), "{said}");
}
