//! Sources of input that are missing, empty, unusual, or break off.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use tapline::RunStatus;

use crate::support::{Sandbox, captured, manifest, numbered_lines, payloads};

#[test]
fn an_empty_file_makes_an_empty_run_and_is_not_all_right() {
    for empty in ["", "\n \r\n\n"] {
        let sandbox = Sandbox::new();
        let input = sandbox.file("empty.ndjson", empty.as_bytes());
        let said = "nothing was recorded: the input is empty\n";
        let report = sandbox.record_file(&input, &[]).exits(1).says(said).report();
        assert_eq!((report.entries, report.watermark, report.bad_lines), (0, 2, 0));
        assert_eq!(captured(&report.path), []);
        assert_eq!(manifest(&report.path).status, RunStatus::Ended);
    }
}

#[test]
fn blank_lines_crlf_and_a_missing_last_line_feed() {
    let sandbox = Sandbox::new();
    let line = |payload: u8| format!(r#"{{"topic":"t","type":"T","payload":{payload}}}"#);
    let input = format!("\n{}\r\n\r\n  \t \n{}\n\n\nbroken\r\n{}", line(1), line(2), line(3));
    let ran = sandbox
        .record(input, &[])
        .exits(0)
        .says("line 8, column 1: a line is a JSON object, which begins with {\n");
    assert_eq!(ran.report().bad_lines, 1);
    assert_eq!(payloads(&ran.report().path), ["1", "2", "3"]);
}

#[test]
fn a_missing_file_makes_no_run() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path("missing.ndjson");
    let ran = sandbox.record_file(&missing, &[]).exits(2);
    let reason = "No such file or directory (os error 2)";
    assert_eq!(ran.stderr, format!("error: cannot read {}: {reason}\n", missing.display()));
    assert_eq!(ran.stdout, "");
    assert!(!sandbox.runs().exists());
}

#[test]
fn a_directory_makes_no_run() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("");
    let ran = sandbox.record_file(&folder, &[]).exits(2);
    let reason = "Is a directory (os error 21)";
    assert_eq!(ran.stderr, format!("error: cannot read {}: {reason}\n", folder.display()));
    assert_eq!(ran.stdout, "");
    assert!(!sandbox.runs().exists());
}

#[test]
fn a_folder_of_runs_that_cannot_be_made() {
    let sandbox = Sandbox::new();
    sandbox.file("runs", b"a file is in the way");
    let ran = sandbox.record("", &[]).exits(2);
    let (runs, instance) = (sandbox.runs(), sandbox.instance());
    let (runs, instance) = (runs.display(), instance.display());
    let reason = format!("cannot lock {instance}: Not a directory (os error 20)");
    ran.says(&format!("error: cannot open a run in {runs}: {reason}\n"));
}

#[test]
fn options_that_do_not_fit_make_no_run() {
    let sandbox = Sandbox::new();
    for args in [
        &["--demo"][..],
        &["--entries", "5"],
        &["--producers", "0"],
        &["--producers", "65"],
        &["--rate", "0"],
        &["--rate", "inf"],
        &["--instance", "../elsewhere"],
        &["--key-kind", "Order Id"],
    ] {
        let ran = sandbox.record("", args).exits(2);
        assert!(ran.stderr.contains(args[0]), "{args:?}: {}", ran.stderr);
        assert!(!sandbox.runs().exists(), "{args:?}");
    }
    let twice = ["--key-kind", "leg", "--key-kind", "leg"];
    let ran = sandbox.record("", &twice).exits(2);
    assert!(ran.stderr.contains(r#"index kind "leg" is registered already"#), "{}", ran.stderr);
    assert!(!sandbox.runs().exists());
}

#[test]
fn zstd_is_recognised_in_files_and_on_stdin() {
    let sandbox = Sandbox::new();
    let packed = zstd::encode_all(numbered_lines(1000).as_bytes(), 3).expect("packed");
    // By its content, not its name.
    let file = sandbox.file("input.ndjson", &packed);
    for ran in [sandbox.record_file(&file, &[]), sandbox.record(&packed, &[])] {
        let report = ran.exits(0).says("").report();
        assert_eq!((report.entries, report.bad_lines), (1000, 0));
        assert_eq!(payloads(&report.path)[999], "1000");
    }
}

#[test]
fn a_zstd_file_that_breaks_off_keeps_what_came_before() {
    let sandbox = Sandbox::new();
    let packed = zstd::encode_all(numbered_lines(50_000).as_bytes(), 3).expect("packed");
    let file = sandbox.file("cut.ndjson.zst", &packed[..packed.len() / 2]);
    let whole_lines = whole_lines(&file);
    assert!(
        whole_lines > 1000 && !whole_lines.is_multiple_of(256),
        "{whole_lines} lines test little"
    );

    for producers in ["1", "3"] {
        let ran = sandbox.record_file(&file, &["--producers", producers]).exits(2);
        let place = format!("{} after line {whole_lines}", file.display());
        let reason = "what came before is recorded: incomplete frame";
        assert_eq!(ran.stderr, format!("error: cannot read {place}; {reason}\n"));
        let report = ran.report();
        assert_eq!((report.entries, report.bad_lines), (whole_lines, 0));
        assert_eq!(payloads(&report.path).last(), Some(&whole_lines.to_string()));
        assert_eq!(manifest(&report.path).status, RunStatus::Ended);
    }
}

/// How many lines can be unpacked from a file that breaks off.
fn whole_lines(file: &Path) -> u64 {
    let packed = std::fs::File::open(file).expect("the file");
    let unpacked = zstd::stream::read::Decoder::new(packed).expect("a decoder");
    let mut text = Vec::new();
    let broke_off = BufReader::new(unpacked).read_to_end(&mut text);
    assert!(broke_off.is_err());
    text.lines().count() as u64 - u64::from(text.last() != Some(&b'\n'))
}

#[test]
fn zstd_that_is_damaged_from_the_start() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("damaged.zst", &[&[0x28, 0xB5, 0x2F, 0xFD][..], &[0xFF; 64]].concat());
    let ran = sandbox.record_file(&file, &[]).exits(2);
    let named = format!("error: cannot read {}", file.display());
    assert!(ran.stderr.starts_with(&named), "{}", ran.stderr);
}

#[test]
fn a_report_that_nobody_reads_hides_no_failure() {
    let sandbox = Sandbox::new();
    let packed = zstd::encode_all(numbered_lines(1000).as_bytes(), 3).expect("packed");
    let good = numbered_lines(10).into_bytes();
    let cases: [(&[u8], i32); 3] =
        [(&good, 0), (b"nonsense\n", 1), (&packed[..packed.len() / 2], 2)];
    for (input, code) in cases {
        let (unread, stdout) = std::io::pipe().expect("a pipe");
        drop(unread);
        let input = sandbox.file("input", input);
        let mut record = sandbox.command("record");
        let record = record.arg("--strict").arg("--input").arg(input).stdout(stdout);
        assert_eq!(record.output().expect("record runs").status.code(), Some(code));
    }
}
