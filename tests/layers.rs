//! The house keeps its order: a folder of `src` imports only folders below it, and no two files
//! import each other, directly or in a circle. Test code may use what is above.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// From the top down, as `docs/architecture.md` lists them.
const FOLDERS: [&str; 13] = [
    "session", "runs", "capture", "replay", "markers", "engine", "read", "store", "bus", "format",
    "protocol", "model", "sync",
];

/// Files at the root of `src`, which may import everything and which nobody imports.
const ROOT_FILES: [&str; 2] = ["lib", "internals"];

#[test]
fn folders_import_only_what_is_below() {
    assert_eq!(House::of_src().upward_imports(), Vec::<String>::new());
}

#[test]
fn no_file_imports_itself_in_a_circle() {
    assert_eq!(House::of_src().circles(), Vec::<Vec<String>>::new());
}

#[test]
fn every_folder_has_its_place() {
    let house = House::of_src();
    let unlisted: BTreeSet<&str> = house.files.keys().map(|module| folder_of(module)).collect();
    let unlisted: Vec<&str> = unlisted
        .into_iter()
        .filter(|folder| !FOLDERS.contains(folder) && !ROOT_FILES.contains(folder))
        .collect();
    assert_eq!(unlisted, Vec::<&str>::new());
    assert!(house.files.len() > 100, "{} files were read", house.files.len());
}

/// The test of the tests: what they are to find, they find.
#[test]
fn imports_that_climb_or_circle_are_found() {
    let house = House::of(&[
        ("lib", "pub mod engine; pub use engine::Writer;"),
        ("engine", "mod writer; mod latest; pub(crate) use writer::{Writer, Step as Pace};"),
        ("engine::writer", "use super::latest::Entry;\nuse crate::{read::{Scan, Walk}};"),
        ("read", "pub(crate) use scan::Scan; mod scan;"),
        ("read::scan", ""),
        // Through a re-export, in the middle of a line, with a name that has "test" in it.
        ("engine::latest", "type Held = super::Pace; // crate::session::Session"),
        ("store", "mod frame; pub use frame::Frame; // crate::engine::Writer"),
        (
            "store::frame",
            "use crate::engine::Writer;\n#[cfg(test)]\nmod tests { use crate::runs; }",
        ),
        ("runs", ""),
        ("session", ""),
    ]);
    assert_eq!(house.upward_imports(), ["store::frame imports engine::writer"]);
    assert_eq!(house.circles(), [["engine::latest", "engine::writer"]]);
}

/// The files of a crate by module path, `a::b` for `src/a/b.rs` and `a` for `src/a/mod.rs`, with
/// the files that each imports from.
struct House {
    files: BTreeMap<String, BTreeSet<String>>,
}

impl House {
    fn of_src() -> Self {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut texts = Vec::new();
        read_files(&src, "", &mut texts);
        let texts: Vec<(&str, &str)> =
            texts.iter().map(|(module, text)| (&**module, &**text)).collect();
        Self::of(&texts)
    }

    fn of(texts: &[(&str, &str)]) -> Self {
        let paths = |text| paths_in(&without_comments_and_tests(text));
        let paths: BTreeMap<&str, Vec<Vec<String>>> =
            texts.iter().map(|(module, text)| (*module, paths(text))).collect();
        let imports = |module: &str| {
            let is_child = |to: &str| to.strip_prefix(module).is_some_and(|to| to.starts_with(':'));
            let targets = paths[module].iter().filter_map(|path| {
                let to = resolve(module, path, &paths, 0)?;
                // To hand on what its own files have is not to use it.
                let is_handed_on = is_public(path) && is_child(&to);
                (to != module && to != "lib" && !is_handed_on).then_some(to)
            });
            targets.collect()
        };
        let files = paths.keys().map(|module| ((*module).to_owned(), imports(module))).collect();
        Self { files }
    }

    fn upward_imports(&self) -> Vec<String> {
        let level = |module: &str| FOLDERS.iter().position(|name| *name == folder_of(module));
        let mut upward = Vec::new();
        for (module, imports) in &self.files {
            for import in imports {
                // A root file has no level.
                if level(module) > level(import) && level(import).is_some() {
                    upward.push(format!("{module} imports {import}"));
                }
            }
        }
        upward
    }

    /// The sets of files that import each other, directly or by way of others.
    fn circles(&self) -> Vec<Vec<String>> {
        let reach = |from: &str| {
            let (mut reached, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
            while let Some(module) = next.pop() {
                for import in self.files.get(&module).into_iter().flatten() {
                    if reached.insert(import.clone()) {
                        next.push(import.clone());
                    }
                }
            }
            reached
        };
        let reach: BTreeMap<&str, _> =
            self.files.keys().map(|module| (&**module, reach(module))).collect();
        let mut circles = BTreeSet::new();
        for (module, reached) in &reach {
            if reached.contains(*module) {
                let is_in = |other: &&String| reach[&***other].contains(*module);
                circles.insert(reached.iter().filter(is_in).cloned().collect::<Vec<_>>());
            }
        }
        circles.into_iter().collect()
    }
}

fn folder_of(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

fn read_files(folder: &Path, module: &str, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable")) {
        let path = entry.path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let is_test = name == "tests" || name.ends_with("_tests") || name == "test_log";
        let inner = if module.is_empty() { name.clone() } else { format!("{module}::{name}") };
        if path.is_dir() && !is_test {
            read_files(&path, &inner, texts);
        } else if !is_test && path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("readable");
            texts.push((if name == "mod" { module.to_owned() } else { inner }, text));
        }
    }
}

fn without_comments_and_tests(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let code = |line: &str| line.split("//").next().unwrap_or(line).to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// True for a path that others may import from where it is named.
fn is_public(path: &[String]) -> bool {
    path.last().is_some_and(|last| last == "pub")
}

/// The paths that code names: those of `use` items, braces expanded, and those within lines that
/// begin with `crate` or `super`. Of a `pub use`, the last segment is `pub`.
fn paths_in(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let (mut rest, mut is_public) = (code, false);
    while let Some(at) = rest.find(is_word) {
        let word_end = rest[at..].find(|c| !is_word(c)).map_or(rest.len(), |len| at + len);
        let word = &rest[at..word_end];
        rest = &rest[word_end..];
        if word == "use" {
            let end = rest.find(';').unwrap_or(rest.len());
            let mut named = Vec::new();
            expand(&rest[..end], &[], &mut named);
            if is_public {
                for path in &mut named {
                    path.push("pub".to_owned());
                }
            }
            paths.append(&mut named);
            rest = &rest[end..];
        } else if word.starts_with("crate::") || word.starts_with("super::") {
            paths.push(word.split("::").map(str::to_owned).collect());
        }
        // `pub use`, `pub(crate) use`, `pub(in crate::engine) use`.
        let is_scope = matches!(word, "crate" | "super" | "in") || word.starts_with("crate::");
        is_public = word == "pub" || (is_public && is_scope);
    }
    paths
}

/// Expands `a::{b, c::d as e}` to its paths.
fn expand(tree: &str, prefix: &[String], paths: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    if let Some((head, inner)) = tree.split_once('{') {
        let mut prefix = prefix.to_vec();
        let segments = head.trim().split("::").filter(|segment| !segment.is_empty());
        prefix.extend(segments.map(str::to_owned));
        let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
        for part in split_at_top(inner) {
            expand(part, &prefix, paths);
        }
    } else if !tree.is_empty() {
        // The new name of a renamed import stands last, for whoever imports it from here.
        let (path, renamed) = tree.split_once(" as ").unwrap_or((tree, ""));
        let mut path: Vec<String> =
            prefix.iter().cloned().chain(path.trim().split("::").map(str::to_owned)).collect();
        if !renamed.is_empty() {
            path.push(format!("as {}", renamed.trim()));
        }
        paths.push(path);
    }
}

/// Splits at the commas that are in no braces.
fn split_at_top(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The file that a path named in `module` leads to, through re-exports; `None` where that is none
/// of this crate's.
fn resolve(
    module: &str,
    path: &[String],
    paths: &BTreeMap<&str, Vec<Vec<String>>>,
    depth: usize,
) -> Option<String> {
    let own = || if module == "lib" { "" } else { module };
    let parent =
        |module: &str| module.rsplit_once("::").map_or("", |(parent, _)| parent).to_owned();
    let path = path.strip_suffix(&["pub".to_owned()]).unwrap_or(path);
    let (mut at, mut rest) = match path.first().map(String::as_str) {
        Some("crate") => (String::new(), &path[1..]),
        Some("super") => (parent(own()), &path[1..]),
        Some("self") => (own().to_owned(), &path[1..]),
        _ => (own().to_owned(), path),
    };
    let started_here =
        path.first().is_some_and(|first| !matches!(&**first, "crate" | "super" | "self"));
    let mut is_first = true;
    while let Some((segment, tail)) = rest.split_first() {
        let inner = if at.is_empty() { segment.clone() } else { format!("{at}::{segment}") };
        if segment == "super" {
            at = parent(&at);
        } else if paths.contains_key(&*inner) {
            at = inner;
        } else {
            break;
        }
        is_first = false;
        rest = tail;
    }
    if started_here && is_first {
        // Another crate, or something of this file's own.
        return None;
    }
    let file = if at.is_empty() { "lib" } else { &*at };
    // An item that the file only re-exports is another file's.
    if let Some(item) = rest.first()
        && depth < 8
    {
        let exports = |export: &&Vec<String>| {
            let named: Vec<&String> = export.iter().filter(|segment| *segment != "pub").collect();
            let renamed = format!("as {item}");
            named.last() == Some(&&renamed) || (named.last() == Some(&item) && named.len() > 1)
        };
        let from_child = |export: &&Vec<String>| {
            resolve(file, export, paths, depth + 1).is_some_and(|to| to != file)
        };
        if file != module || depth > 0 {
            let export = paths.get(file)?.iter().filter(exports).find(from_child);
            if let Some(export) = export {
                let plain: Vec<String> = export
                    .iter()
                    .filter(|segment| !segment.starts_with("as ") && *segment != "pub")
                    .cloned()
                    .collect();
                return resolve(file, &plain, paths, depth + 1);
            }
        }
    }
    Some(file.to_owned())
}
