//! Errors may grow and do not repeat their sources: a public error enum is `#[non_exhaustive]`, and
//! an error that hands on a source leaves it out of its own text. Whoever shows it walks the chain.

use std::fs;
use std::path::Path;

/// What an enum says of itself that derives `Error`.
const DERIVES: &str = "thiserror::Error)]";

#[test]
fn public_error_enums_may_grow() {
    let (files, closed) = read_all(closed_enums);
    assert!(files > 100, "{files} files were read");
    assert_eq!(closed, Vec::<String>::new());
}

#[test]
fn no_text_repeats_its_source() {
    let (files, repeated) = read_all(repeated_sources);
    assert!(files > 100, "{files} files were read");
    assert_eq!(repeated, Vec::<String>::new());
}

/// The test of the tests: what they are to find, they find.
#[test]
fn closed_enums_and_repeated_sources_are_found() {
    let growing = "#[derive(Debug, thiserror::Error)]\n#[non_exhaustive]\npub enum A {}";
    assert_eq!(closed_enums(growing), Vec::<String>::new());
    assert_eq!(closed_enums(&growing.replace("#[non_exhaustive]\n", "")), ["pub enum A {}"]);

    let named = "#[error(\n \"cannot read {path}: {source}\"\n)]\nRead { source: io::Error },";
    let unnamed = "#[error(\"cannot read: {0}\")]\nRead(#[from] io::Error),";
    let told =
        "#[error(\"cannot read: {0}\")]\nRead(String),\n#[error(transparent)]\nB(#[from] E),";
    assert_eq!(repeated_sources(named).len(), 1);
    assert_eq!(repeated_sources(unnamed).len(), 1);
    assert_eq!(repeated_sources(told), Vec::<String>::new());
}

/// Error enums in `text` that are public and not `#[non_exhaustive]`, by their first line.
fn closed_enums(text: &str) -> Vec<String> {
    let derived = text.split(DERIVES).skip(1);
    let heads = derived.filter_map(|rest| {
        let at = rest.find("pub enum ").filter(|at| !rest[..*at].contains(['{', ';']))?;
        let line = rest[at..].lines().next()?;
        (!rest[..at].contains("#[non_exhaustive]")).then(|| line.to_owned())
    });
    heads.collect()
}

/// Texts of errors in `text` that show a field which is a source as well.
fn repeated_sources(text: &str) -> Vec<String> {
    let texts = text.split("#[error(").skip(1).filter_map(|rest| {
        let (shown, behind) = rest.split_once(")]")?;
        let field = behind.trim_start().lines().next().unwrap_or_default();
        let is_source = field.contains("(#[from]") || field.contains("(#[source]");
        let repeats = shown.contains("{source") || (is_source && shown.contains("{0"));
        repeats.then(|| shown.trim().to_owned())
    });
    texts.collect()
}

/// How many files of the workspace's sources were read, and what `find` found in them.
fn read_all(find: impl Fn(&str) -> Vec<String>) -> (usize, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("crates")];
    let (mut files, mut found) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(&folder).expect("a folder of sources") {
            let path = file.expect("its entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files += 1;
                let text = fs::read_to_string(&path).expect("UTF-8");
                found.extend(find(&text).iter().map(|what| format!("{}: {what}", path.display())));
            }
        }
    }
    (files, found)
}
