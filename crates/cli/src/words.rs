//! How values are shown to people, and paths in JSON.

use std::path::Path;

use serde::Serializer;

/// The command that seals what was left behind in the folder of `run`.
pub(super) fn recover_command(run: &Path) -> String {
    let instance = run.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let dir = run.parent().and_then(Path::parent).unwrap_or(Path::new(""));
    let dir = if dir.as_os_str().is_empty() { ".".into() } else { dir.to_string_lossy() };
    format!("tapline recover --dir {} --instance {instance}", shell_word(&dir))
}

/// Quotes `text` as one word of a shell command.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// `1.5 MiB`. Exact below 1 KiB.
pub(super) fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut amount = count as f64;
    let mut unit = "B";
    for larger in units {
        // What would be shown as 1024.0 belongs to the next unit.
        if amount < 1023.95 {
            break;
        }
        amount /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{count} B") } else { format!("{amount:.1} {unit}") }
}

/// The bytes that a text such as `64MiB`, `2 GB` or `4096` stands for.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, unit_bytes) = unit.unwrap_or((text, 1));
    let count: Option<u64> = number.trim_end().parse().ok();
    count.and_then(|count| count.checked_mul(unit_bytes)).ok_or_else(|| {
        "expected a whole number, with a unit if it is not in bytes: kB, MB, GB, TB, KiB, MiB, \
         GiB or TiB"
            .to_owned()
    })
}

/// The seconds that a text such as `90s`, `15min`, `36h`, `30d` or `52w` stands for.
pub(super) fn parse_seconds(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 5] =
        [("min", 60), ("s", 1), ("h", 3_600), ("d", 86_400), ("w", 7 * 86_400)];
    let split = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let parsed = split
        .and_then(|(number, seconds)| number.trim_end().parse::<u64>().ok()?.checked_mul(seconds));
    parsed.ok_or_else(|| "expected a whole number and a unit: s, min, h, d or w".to_owned())
}

/// Room that is enough to seal a run of `bytes_file`. Most of it is for the index: with 16 keys in
/// each entry, as many as there may be, and hardly any payload, it took less than a fifth.
pub(super) fn room_to_seal(bytes_file: u64) -> String {
    bytes((bytes_file / 4).max(1 << 20))
}

/// A path as a JSON text. What is not UTF-8 in it is replaced: an error would lose the report.
pub(super) fn path_text<P: AsRef<Path>, S: Serializer>(path: P, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.as_ref().display())
}

/// Paths as JSON texts, see [`path_text`].
pub(super) fn path_texts<P: AsRef<Path>, S: Serializer>(
    paths: &[P],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(|path| path.as_ref().display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_binary_units() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_625_292, "1.5 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn bytes_are_read_with_and_without_a_unit() {
        for (text, count) in [
            ("0", 0),
            ("4096", 4096),
            ("7B", 7),
            ("64MiB", 64 << 20),
            ("3kB", 3_000),
            ("3KB", 3_000),
            ("2 GB", 2_000_000_000),
            ("16777215TiB", 16_777_215 << 40),
        ] {
            assert_eq!(parse_bytes(text), Ok(count), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "64M", "64mib", "16777216TiB", "1 KiB B"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_read_with_its_unit() {
        for (text, seconds) in
            [("90s", 90), ("15min", 900), ("36h", 129_600), ("30 d", 2_592_000), ("1w", 604_800)]
        {
            assert_eq!(parse_seconds(text), Ok(seconds), "{text}");
        }
        for text in ["", "30", "d", "-1d", "1.5h", "1m", "1y", "99999999999999999w"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_to_recover_names_the_instance() {
        let command = |run: &str| recover_command(Path::new(run));
        let expected = "tapline recover --dir ./runs --instance node-1";
        assert_eq!(command("./runs/node-1/17-0000000a.redb"), expected);
        let expected = "tapline recover --dir . --instance node-1";
        assert_eq!(command("node-1/17-0000000a.redb"), expected);
        let expected = "tapline recover --dir '/my runs' --instance n";
        assert_eq!(command("/my runs/n/17-0000000a.redb"), expected);
    }
}
