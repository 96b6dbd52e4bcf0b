//! A run file that was changed, or any bytes in its place: what is ours never panics, whatever redb
//! does; and where the verifier, which knows the root, finds nothing, all that can be read is as it
//! was sealed.

#![no_main]

use std::num::NonZero;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tapline::read::Verifier;
use tapline::store::open_sealed_file;
use tapline_fuzz::{Content, SealedRunFile, forgive_redb, redbs_fault};

const PAGE_BYTES: usize = 4096;

#[derive(Debug, Arbitrary)]
enum Input {
    Bytes(Vec<u8>),
    Changed(Vec<Change>),
}

/// Pages are counted among those that are not all zero.
#[derive(Debug, Arbitrary)]
enum Change {
    Flip { page: u16, at: u16, bit: u8 },
    Put { page: u16, at: u16, bytes: Vec<u8> },
    Number { page: u16, at: u16, number: u32 },
    Zero { page: u16 },
    Copy { from: u16, to: u16 },
    Swap { pages: [u16; 2] },
    Header { at: u16, bytes: [u8; 4] },
    Cut { bytes: u32 },
    Extend { bytes: u16 },
}

struct Original {
    file: SealedRunFile,
    content: Content,
    pages: Vec<usize>,
}

static ORIGINAL: LazyLock<Original> = LazyLock::new(|| {
    let file = SealedRunFile::record(40);
    let content = Content::read(&file.open()).expect("the run is sound");
    let pages = (0..file.bytes.len()).step_by(PAGE_BYTES);
    let pages = pages.filter(|at| file.bytes[*at..][..PAGE_BYTES].iter().any(|byte| *byte != 0));
    let pages = pages.collect();
    Original { file, content, pages }
});

impl Original {
    fn page(&self, number: u16) -> usize {
        self.pages[number as usize % self.pages.len()]
    }

    fn change(&self, bytes: &mut Vec<u8>, change: Change) {
        let place = |page: u16, at: u16| self.page(page) + at as usize % PAGE_BYTES;
        match change {
            Change::Flip { page, at, bit } => put(bytes, place(page, at), &[1 << (bit % 8)], true),
            Change::Put { page, at, bytes: new } => put(bytes, place(page, at), &new, false),
            Change::Number { page, at, number } => {
                put(bytes, place(page, at), &number.to_le_bytes(), false);
            }
            Change::Zero { page } => put(bytes, self.page(page), &[0; PAGE_BYTES], false),
            Change::Copy { from, to } => self.put_page(bytes, from, to),
            Change::Swap { pages: [one, other] } => {
                self.put_page(bytes, one, other);
                self.put_page(bytes, other, one);
            }
            // Where redb keeps its roots.
            Change::Header { at, bytes: new } => put(bytes, at as usize % 320, &new, false),
            Change::Cut { bytes: len } => bytes.truncate(len as usize % self.file.bytes.len()),
            Change::Extend { bytes: more } => bytes.resize(bytes.len() + more as usize, 0),
        }
    }

    fn put_page(&self, bytes: &mut [u8], from: u16, to: u16) {
        put(bytes, self.page(to), &self.file.bytes[self.page(from)..][..PAGE_BYTES], false);
    }
}

/// Puts `new` at `at`, or flips its bits there, as far as there are bytes.
fn put(bytes: &mut [u8], at: usize, new: &[u8], flip: bool) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(new) {
        *byte = if flip { *byte ^ new } else { *new };
    }
}

fuzz_target!(init: forgive_redb(), |input: Input| {
    let original = &*ORIGINAL;
    let bytes = match input {
        Input::Bytes(bytes) => bytes,
        Input::Changed(changes) => {
            let mut bytes = original.file.bytes.clone();
            for change in changes {
                original.change(&mut bytes, change);
            }
            bytes
        }
    };
    original.file.put(&bytes).expect("there is room for the run");
    let path = original.file.path();
    let verified = redbs_fault(|| {
        let source = open_sealed_file(&path).ok()?;
        let verifier = Verifier::new(source).expect_root(original.file.root);
        Some(verifier.threads(NonZero::<usize>::MIN).run(|_| {}))
    });
    let is_clean = matches!(&verified, Ok(Some(report)) if report.is_clean());
    if is_clean {
        let content = redbs_fault(|| {
            let source = open_sealed_file(&path).expect("it was opened before");
            Content::read(&source).expect("nothing was found, but reading fails")
        });
        let content = content.expect("nothing was found, but redb panics");
        assert!(content == original.content, "a change was not found, but can be seen");
        return;
    }
    assert!(bytes != original.file.bytes, "{verified:?} was found where nothing is");
    let _ = redbs_fault(|| {
        if let Ok(source) = open_sealed_file(&path) {
            Content::read_what_there_is(&source);
        }
    });
});
