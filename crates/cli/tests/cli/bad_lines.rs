//! A line that is no message is reported with its place, and costs nothing but itself.

use tapline::RunStatus;

use crate::support::{Sandbox, captured, manifest, payloads};

/// Records `bad` between two good lines and gives what is said about it.
#[track_caller]
fn complaint(bad: impl AsRef<[u8]>) -> String {
    let sandbox = Sandbox::new();
    let good = |payload: u8| format!("{{\"topic\":\"t\",\"type\":\"T\",\"payload\":{payload}}}\n");
    let input = [good(1).as_bytes(), bad.as_ref(), b"\n", good(2).as_bytes()].concat();

    let ran = sandbox.record(&input, &[]).exits(0);
    let report = ran.report();
    assert_eq!((report.entries, report.watermark, report.bad_lines), (2, 4, 1));
    assert!(report.root.is_some() && report.halted.is_none());
    assert_eq!(payloads(&report.path), ["1", "2"]);

    let strict = sandbox.record(&input, &["--strict"]).exits(1);
    let report = strict.report();
    assert_eq!((report.entries, report.watermark, report.bad_lines), (1, 3, 1));
    assert_eq!(payloads(&report.path), ["1"]);
    assert_eq!(manifest(&report.path).status, RunStatus::Ended);
    assert_eq!(
        strict.stderr,
        ran.stderr.clone() + "stopped early: more bad lines than allowed (1)\n"
    );
    ran.stderr
}

#[track_caller]
fn assert_complaint(bad: impl AsRef<[u8]>, expected: &str) {
    assert_eq!(complaint(bad), format!("line 2, {expected}\n"));
}

#[test]
fn broken_json() {
    let no_object = "column 1: a line is a JSON object, which begins with {";
    assert_complaint("not json", no_object);
    let no_name = r#"{"topic":"t",type:"T","payload":1}"#;
    assert_complaint(no_name, "column 14: key must be a string");
    let unfinished = r#"{"topic":"t","type":"T","payload":1"#;
    assert_complaint(unfinished, "column 35: EOF while parsing an object");
    let no_payload = r#"{"topic":"t","type":"T","payload":}"#;
    assert_complaint(no_payload, "column 35: expected value");
    let two_values = r#"{"topic":"t","type":"T","payload":1} {}"#;
    assert_complaint(two_values, "column 38: trailing characters");
}

#[test]
fn json_that_is_no_object() {
    assert_complaint("5", "column 1: a line is a JSON object, which begins with {");
    assert_complaint(r#"  "text""#, "column 3: a line is a JSON object, which begins with {");
    let positional = r#"["t","T",null,1,null,null,null,null,{},0]"#;
    assert_complaint(positional, "column 1: a line is a JSON object, which begins with {");
}

#[test]
fn fields_of_the_wrong_type() {
    let time = r#"nanoseconds since 1970, or text such as "2026-12-01T04:39:23.5Z""#;
    let ts_init = r#"{"topic":"t","type":"T","ts_init":"17","payload":1}"#;
    let expected = format!(r#"column 38: invalid value: string "17", expected {time}"#);
    assert_complaint(ts_init, &expected);
    let negative = r#"{"topic":"t","type":"T","ts_init":-1,"payload":1}"#;
    let expected = format!("column 36: invalid type: integer `-1`, expected {time}");
    assert_complaint(negative, &expected);
    let keys = r#"{"topic":"t","type":"T","keys":["a"],"payload":1}"#;
    let expected = "column 31: invalid type: sequence, expected an object of key kinds and keys";
    assert_complaint(keys, expected);
    let key = r#"{"topic":"t","type":"T","keys":{"venue_order_id":7},"payload":1}"#;
    assert_complaint(key, "column 50: invalid type: integer `7`, expected a string");
    let producer = r#"{"topic":"t","type":"T","producer":"a","payload":1}"#;
    assert_complaint(producer, r#"column 38: invalid type: string "a", expected u64"#);
    let id = r#"{"topic":"t","type":"T","correlation_id":"nope","payload":1}"#;
    let expected = "column 47: UUID parsing failed: invalid character: found `n` at 0";
    assert_complaint(id, expected);
}

#[test]
fn missing_and_repeated_fields() {
    assert_complaint(r#"{"type":"T","payload":1}"#, "column 24: missing field `topic`");
    assert_complaint(r#"{"topic":"t","payload":1}"#, "column 25: missing field `type`");
    let neither = "column 1: neither payload nor payload_b64";
    assert_complaint(r#"{"topic":"t","type":"T"}"#, neither);
    let twice = r#"{"topic":"t","topic":"u","type":"T","payload":1}"#;
    assert_complaint(twice, "column 20: duplicate field `topic`");
}

#[test]
fn two_payloads_and_bad_base64() {
    let both = r#"{"topic":"t","type":"T","payload":1,"payload_b64":"AA=="}"#;
    assert_complaint(both, "column 52: both payload and payload_b64");
    let symbol = r#"{"topic":"t","type":"T","payload_b64":"A?=="}"#;
    let expected = "column 40: payload_b64 is not base64: Invalid symbol 63, offset 1.";
    assert_complaint(symbol, expected);
}

#[test]
fn names_that_are_empty_or_too_long() {
    let empty = r#"{"topic":"","type":"T","payload":1}"#;
    assert_complaint(empty, "column 11: topic and type must have 1 to 1024 bytes, not 0");
    let long = format!(r#"{{"topic":"t","type":"{}","payload":1}}"#, "x".repeat(1025));
    assert_complaint(long, "column 22: topic and type must have 1 to 1024 bytes, not 1025");
}

#[test]
fn unknown_key_kind_and_long_key() {
    let unknown = r#"{"topic":"t","type":"T","keys":{"order":"1"},"payload":1}"#;
    let expected = "column 34: unknown key kind \"order\"; known are client_order_id, venue_order_id (more with --key-kind)";
    assert_complaint(unknown, expected);
    let key = "k".repeat(257);
    let long =
        format!(r#"{{"topic":"t","type":"T","keys":{{"venue_order_id":"{key}"}},"payload":1}}"#);
    assert_complaint(long, "column 51: a key of 257 bytes exceeds 256");
}

#[test]
fn invalid_utf8() {
    let payload = b"{\"topic\":\"t\",\"type\":\"T\",\"payload\":\"a\xff\"}";
    assert_complaint(payload, "column 37: invalid unicode code point");
    let topic = b"{\"topic\":\"\xff\",\"type\":\"T\",\"payload\":1}";
    assert_complaint(topic, "column 11: invalid unicode code point");
}

/// A record of 64 bytes and the payload has at most 262 144 bytes.
#[test]
fn a_record_over_the_limit() {
    let line = |payload_bytes: usize| {
        let text = "x".repeat(payload_bytes - 2);
        format!(r#"{{"topic":"t","type":"T","payload":"{text}"}}"#)
    };
    let expected = "column 1: the record would have 16777217 bytes, allowed are 16777216";
    assert_complaint(line(16_777_153), expected);

    let sandbox = Sandbox::new();
    let report = sandbox.record(line(16_777_152), &[]).exits(0).says("").report();
    let entries = captured(&report.path);
    assert_eq!((entries.len(), entries[0].payload.len()), (1, 16_777_152));
}

#[test]
fn too_many_keys() {
    let keys = |count: usize| {
        let keys: Vec<String> =
            (0..count).map(|key| format!(r#""venue_order_id":"{key}""#)).collect();
        format!(r#"{{"topic":"t","type":"T","keys":{{{}}},"payload":1}}"#, keys.join(","))
    };
    assert_complaint(keys(17), "column 1: 17 keys exceed 16");
    let sandbox = Sandbox::new();
    let report = sandbox.record(keys(16), &[]).exits(0).report();
    assert_eq!(captured(&report.path)[0].keys.len(), 16);
}

#[test]
fn a_line_over_32_mib() {
    let long = vec![b'x'; 33 << 20];
    assert_complaint(long, "column 1: the line is too long");
}

#[test]
fn many_bad_lines_are_counted_but_not_all_shown() {
    let sandbox = Sandbox::new();
    let ran = sandbox.record("nonsense\n".repeat(150), &[]).exits(1);
    assert_eq!(ran.report().bad_lines, 150);
    let shown: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(shown.len(), 102);
    assert_eq!(shown[101], "nothing was recorded: 150 bad lines, and no good one");
    assert_eq!(shown[99], "line 100, column 1: a line is a JSON object, which begins with {");
    assert_eq!(shown[100], "further bad lines are counted, but not shown");
}

/// One line for each of `count` different topics.
fn lines_of_topics(count: u64) -> String {
    use std::fmt::Write;

    let mut lines = String::new();
    for topic in 1..=count {
        writeln!(lines, r#"{{"topic":"t{topic}","type":"T","payload":1}}"#).expect("a string");
    }
    lines
}

/// That shows only when a producer publishes.
#[test]
fn more_names_than_allowed_are_exit_code_1() {
    let sandbox = Sandbox::new();
    let input = lines_of_topics(11);
    let kept = sandbox.path("kept");
    let kept_arg = kept.to_str().expect("text");
    let ran = sandbox.record(&input, &["--names-max", "10", "--bad-lines", kept_arg]).exits(1);
    let report = ran.report();
    assert_eq!((report.entries, report.bad_lines), (9, 2));
    assert_eq!(ran.json()["not_captured"], 2);
    let what = "column 1: T was not captured: more than 10 different topics and payload types on one producer (setting names_max)";
    let end = "2 messages were not captured: one producer can use 10 different topics and types; --names-max allows more";
    assert_eq!(ran.stderr, format!("line 10, {what}\nline 11, {what}\n{end}\n"));
    let last_two: String = input.split_inclusive('\n').skip(9).collect();
    assert_eq!(std::fs::read_to_string(kept).expect("the file"), last_two);

    let report = sandbox.record(&input, &["--names-max", "12"]).exits(0).says("").report();
    assert_eq!((report.entries, report.bad_lines), (11, 0));
}

#[test]
fn names_max_has_its_range() {
    let sandbox = Sandbox::new();
    for given in ["1", "1048577", "many"] {
        let ran = sandbox.record("", &["--names-max", given]).exits(2);
        assert!(ran.stderr.contains("--names-max"), "{}", ran.stderr);
    }
    assert!(!sandbox.runs().exists());
}

/// Good and bad lines in turns; the first is good.
fn good_and_bad(count: usize) -> String {
    let line = |n| match n % 2 {
        0 => format!("{{\"topic\":\"t\",\"type\":\"T\",\"payload\":{n}}}\n"),
        _ => format!("bad {n}\n"),
    };
    (0..count).map(line).collect()
}

#[test]
fn more_bad_lines_than_allowed_end_the_recording() {
    let sandbox = Sandbox::new();
    for producers in ["1", "3"] {
        let args = ["--max-bad-lines", "2", "--producers", producers];
        let ran = sandbox.record(good_and_bad(20), &args).exits(1);
        let report = ran.report();
        assert_eq!((report.entries, report.bad_lines), (3, 3));
        assert_eq!(payloads(&report.path), ["0", "2", "4"]);
        assert_eq!(manifest(&report.path).status, RunStatus::Ended);
        let end = "\nstopped early: more bad lines than allowed (3)\n";
        assert!(ran.stderr.ends_with(end), "{}", ran.stderr);
    }
    let report = sandbox.record(good_and_bad(20), &["--max-bad-lines", "10"]).exits(0).report();
    assert_eq!((report.entries, report.bad_lines), (10, 10));
}

#[test]
fn bad_lines_are_kept_as_they_came() {
    let sandbox = Sandbox::new();
    let kept = sandbox.path("kept");
    let args = ["--bad-lines", kept.to_str().expect("text")];
    let bad = b"bad\r\n{\"topic\":\"\xff\"}\n [1]\nlast".as_slice();
    let good = b"{\"topic\":\"t\",\"type\":\"T\",\"payload\":1}\n".as_slice();
    let ran = sandbox.record([good, bad].concat(), &args).exits(0);
    assert_eq!(ran.report().bad_lines, 4);
    assert_eq!(ran.json()["bad_lines_file"], args[1]);
    let bad = [bad, b"\n"].concat();
    assert_eq!(std::fs::read(&kept).expect("the file"), bad);

    // The next recording adds to them.
    sandbox.record([good, &bad].concat(), &args).exits(0);
    assert_eq!(std::fs::read(&kept).expect("the file"), bad.repeat(2));
}

#[test]
fn bad_lines_are_not_kept_in_the_input() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("input", b"bad\n");
    let ran = sandbox.record_file(&input, &["--bad-lines", input.to_str().expect("text")]).exits(2);
    ran.says(&format!("error: --bad-lines {} is the input itself\n", input.display()));
    assert!(!sandbox.runs().exists());
}

#[cfg(target_os = "linux")]
#[test]
fn bad_lines_that_cannot_be_kept_end_the_recording() {
    let sandbox = Sandbox::new();
    let ran = sandbox.record(good_and_bad(20), &["--bad-lines", "/dev/full"]).exits(2);
    assert_eq!(payloads(&ran.report().path), ["0"]);
    let error = "\nerror: cannot keep bad lines in /dev/full; the recording ended there: No space left on device (os error 28)\n";
    assert!(ran.stderr.ends_with(error), "{}", ran.stderr);
}

#[test]
fn input_without_a_good_line_is_exit_code_1() {
    let sandbox = Sandbox::new();
    let message = r#"{"topic":"a","type":"b","payload":1}"#;
    let ran = sandbox.record(format!("[{message},\n {message}]\n"), &[]).exits(1);
    let report = ran.report();
    assert_eq!((report.entries, report.bad_lines), (0, 2));
    assert_eq!(manifest(&report.path).status, RunStatus::Ended);
    let end = "\nnothing was recorded: 2 bad lines, and no good one\n";
    assert!(ran.stderr.ends_with(end), "{}", ran.stderr);
}
