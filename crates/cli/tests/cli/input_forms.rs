//! Forms of input: packed ones, other encodings, times as text.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tapline::RunStatus;

use crate::support::{Sandbox, captured, manifest, numbered_lines, payloads};

/// The lines `from` to `to` of [`numbered_lines`].
fn lines(from: usize, to: usize) -> Vec<u8> {
    let all = numbered_lines(to as u64);
    all.split_inclusive('\n').skip(from - 1).collect::<String>().into_bytes()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).expect("packed")
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text).expect("packed");
    packer.finish().expect("packed")
}

/// A frame that a reader of zstd skips, as `pzstd` writes before each of its frames.
fn skippable(magic: u8) -> Vec<u8> {
    [&[magic, 0x2A, 0x4D, 0x18, 4, 0, 0, 0][..], b"size"].concat()
}

/// Records `input`, once from a file and once from stdin. It has the lines 1 to `count`.
#[track_caller]
fn assert_records(input: &[u8], count: u64) {
    let sandbox = Sandbox::new();
    let file = sandbox.file("input.ndjson", input);
    for ran in [sandbox.record_file(&file, &[]), sandbox.record(input, &[])] {
        let report = ran.exits(0).says("").report();
        assert_eq!((report.entries, report.bad_lines), (count, 0));
        let numbers: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
        assert_eq!(payloads(&report.path), numbers);
    }
}

/// Input that is refused: no run from a file, an empty one from stdin.
#[track_caller]
fn assert_refuses(input: &[u8], why: &str) {
    let sandbox = Sandbox::new();
    let file = sandbox.file("input.ndjson", input);
    let ran = sandbox.record_file(&file, &[]).exits(2);
    ran.says(&format!("error: cannot read {}: it is {why}\n", file.display()));
    assert!(!sandbox.runs().exists());

    let ran = sandbox.record(input, &[]).exits(2);
    let report = ran.report();
    ran.says(&format!("error: cannot read stdin: it is {why}\n"));
    assert_eq!((report.entries, report.bad_lines), (0, 0));
    assert_eq!(manifest(&report.path).status, RunStatus::Ended);
}

#[test]
fn zstd_frames_one_after_the_other() {
    assert_records(&[zstd(&lines(1, 500)), zstd(&lines(501, 1000))].concat(), 1000);
}

#[test]
fn zstd_behind_skippable_frames() {
    for magic in [0x50, 0x5F] {
        let (first, second) = (zstd(&lines(1, 500)), zstd(&lines(501, 1000)));
        let input = [skippable(magic), first, skippable(magic), second, skippable(magic)].concat();
        assert_records(&input, 1000);
    }
}

#[test]
fn gzip_members_one_after_the_other() {
    assert_records(&gzip(&lines(1, 1000)), 1000);
    assert_records(&[gzip(&lines(1, 500)), gzip(&lines(501, 1000))].concat(), 1000);
}

#[test]
fn gzip_that_breaks_off_keeps_what_came_before() {
    let sandbox = Sandbox::new();
    let packed = gzip(&lines(1, 50_000));
    let file = sandbox.file("cut.ndjson.gz", &packed[..packed.len() / 2]);
    let ran = sandbox.record_file(&file, &[]).exits(2);
    let report = ran.report();
    assert!(report.entries > 1000 && report.bad_lines == 0, "{report:?}");
    let place = format!("{} after line {}", file.display(), report.entries);
    let begins = format!("error: cannot read {place}; what came before is recorded: ");
    assert!(ran.stderr.starts_with(&begins), "{}", ran.stderr);
    assert_eq!(payloads(&report.path).last(), Some(&report.entries.to_string()));
    assert_eq!(manifest(&report.path).status, RunStatus::Ended);
}

#[test]
fn other_forms_are_named() {
    let xz = b"\xFD7zXZ\0\0\x04\xE6\xD6\xB4F";
    assert_refuses(xz, "compressed with xz; unpack it with `xz -dc`");
    assert_refuses(b"BZh91AY&SY", "compressed with bzip2; unpack it with `bzip2 -dc`");
    assert_refuses(b"\x04\x22\x4D\x18d@", "compressed with lz4; unpack it with `lz4 -dc`");
    assert_refuses(b"PK\x03\x04\x14", "a zip archive; unpack it with `unzip -p`");
    assert_refuses(b"PAR1\x15\x04", "a Parquet file, and not NDJSON");
}

#[test]
fn utf_16_is_named_also_inside_a_packed_input() {
    let text = String::from_utf8(lines(1, 3)).expect("text");
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = |mark: [u8; 2], text: &[u8]| [&mark, text].concat();
    for input in [&marked([0xFF, 0xFE], &little), &marked([0xFE, 0xFF], &big), &little, &big] {
        let why = "text in UTF-16; turn it into UTF-8 with `iconv -f UTF-16 -t UTF-8`";
        assert_refuses(input, why);
        assert_refuses(&gzip(input), why);
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let marked = [b"\xEF\xBB\xBF".as_slice(), &lines(1, 3)].concat();
    for input in [&marked, &zstd(&marked), &gzip(&marked)] {
        assert_records(input, 3);
    }
    let sandbox = Sandbox::new();
    let alone = sandbox.record(b"\xEF\xBB\xBF", &[]).exits(1);
    alone.says("nothing was recorded: the input is empty\n");
}

#[test]
fn a_last_line_without_its_line_feed_is_called_so() {
    let sandbox = Sandbox::new();
    let whole = lines(1, 3);
    for packed in [false, true] {
        let cut = &whole[..whole.len() - 5];
        let input = if packed { gzip(cut) } else { cut.to_vec() };
        let ran = sandbox.record(input, &[]).exits(0);
        assert_eq!((ran.report().entries, ran.report().bad_lines), (2, 1));
        let column = cut.len() - lines(1, 2).len();
        ran.says(&format!(
            "line 3, column {column}: EOF while parsing a string; this last line has no line feed and may be unfinished\n"
        ));
    }
}

#[test]
fn times_are_read_as_text() {
    let sandbox = Sandbox::new();
    let line = |time| format!(r#"{{"topic":"t","type":"T","ts_init":"{time}","payload":1}}"#);
    let times = ["2023-12-25T23:59:59.123456789Z", "2023-12-26T00:59:59+01:00"];
    let report = sandbox.record(times.map(line).join("\n"), &[]).exits(0).says("").report();
    let recorded: Vec<u64> =
        captured(&report.path).iter().map(|entry| entry.ts_init.as_u64()).collect();
    assert_eq!(recorded, [1_703_548_799_123_456_789, 1_703_548_799_000_000_000]);
}
