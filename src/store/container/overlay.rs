//! Reading a file that was not closed, without writing to it. redb has to repair such a file first:
//! here it does so in memory.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{Builder, Database, StorageBackend};

use super::reopen::guarded_at;
use super::{FileError, PAGE_BYTES, check_not_empty};
use crate::store::directory::check_kind;

/// The most that a repair may keep in memory. It writes the list of free pages and one commit, a
/// few pages for each region of the file.
const OVERLAY_BYTES_MAX: usize = 256 << 20;

/// Opens the file at `path` as its last commit left it. The file is not changed, also where that
/// takes a repair. It is locked against whoever would write to it for as long as the result lives.
pub(crate) fn open_unclosed(path: &Path, cache_bytes: usize) -> Result<Database, FileError> {
    let failed = |error| FileError::io(path, error);
    check_kind(path).map_err(failed)?;
    check_not_empty(path)?;
    let file = File::open(path).map_err(failed)?;
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(FileError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let overlay = Overlay::over(file).map_err(failed)?;
    guarded_at(path, || {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes).set_check_integrity_on_open(true);
        builder.create_with_backend(overlay).map_err(|error| FileError::redb(path, error))
    })
}

/// True if all of the file at `path` that is in use fits its checksums.
#[cfg(any(feature = "internals", test))]
pub(crate) fn fits_its_checksums(path: &Path) -> bool {
    const CACHE_BYTES: usize = 16 << 20;
    open_unclosed(path, CACHE_BYTES).is_ok()
}

/// A file that is only read, under the pages that were written since.
#[derive(Debug)]
struct Overlay {
    file: File,
    over: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// How much of the file still counts: what was cut off and grew back is zeros.
    file_len: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE_BYTES]>>,
}

impl Overlay {
    fn over(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let over = Mutex::new(Written { len, file_len: len, pages: BTreeMap::new() });
        Ok(Self { file, over })
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from the file itself; zeros behind its end.
    fn read_below(&self, file_len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = file_len.saturating_sub(offset).min(out.len() as u64) as usize;
        let (there, behind) = out.split_at_mut(there);
        behind.fill(0);
        read_exact_at(&self.file, there, offset)
    }
}

/// Splits a range of bytes at the ends of pages: the number of each page, and where in the page
/// and in the range a part begins, with its bytes.
fn parts(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let (page, begin) = (at / PAGE_BYTES as u64, (at % PAGE_BYTES as u64) as usize);
        let count = (PAGE_BYTES - begin).min(bytes - done);
        let range = done..done + count;
        done += count;
        (count > 0).then_some((page, begin, range))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let over = self.lock();
        if offset + out.len() as u64 > over.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_below(over.file_len, offset, out)?;
        if over.pages.is_empty() {
            return Ok(());
        }
        for (page, begin, range) in parts(offset, out.len()) {
            if let Some(page) = over.pages.get(&page) {
                let count = range.len();
                out[range].copy_from_slice(&page[begin..begin + count]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut over = self.lock();
        over.file_len = over.file_len.min(len);
        over.pages.split_off(&len.div_ceil(PAGE_BYTES as u64));
        if let Some(mut last) = over.pages.last_entry()
            && (last.key() + 1) * PAGE_BYTES as u64 > len
        {
            let kept = (len % PAGE_BYTES as u64) as usize;
            last.get_mut()[kept..].fill(0);
        }
        over.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut over = self.lock();
        for (page, begin, range) in parts(offset, data.len()) {
            if !over.pages.contains_key(&page) {
                if (over.pages.len() + 1) * PAGE_BYTES > OVERLAY_BYTES_MAX {
                    let said =
                        format!("to read it takes a repair of more than {OVERLAY_BYTES_MAX} bytes");
                    return Err(io::Error::new(io::ErrorKind::OutOfMemory, said));
                }
                let mut below = Box::new([0; PAGE_BYTES]);
                self.read_below(over.file_len, page * PAGE_BYTES as u64, &mut *below)?;
                over.pages.insert(page, below);
            }
            let page = over.pages.get_mut(&page).expect("it is there by now");
            page[begin..begin + range.len()].copy_from_slice(&data[range]);
        }
        Ok(())
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;

    file.read_exact_at(out, offset)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};

    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Op {
        Write { offset: u64, data: Vec<u8> },
        SetLen(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        let bytes = proptest::collection::vec(any::<u8>(), 1..6000);
        prop_oneof![
            (0..20_000_u64, bytes).prop_map(|(offset, data)| Op::Write { offset, data }),
            (0..40_000_u64).prop_map(Op::SetLen),
        ]
    }

    proptest! {
        /// It reads like a file that is written to, and the file stays as it was.
        #[test]
        fn it_reads_like_a_written_file(
            content in proptest::collection::vec(any::<u8>(), 0..30_000),
            ops in proptest::collection::vec(op(), 0..12),
        ) {
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            file.write_all(&content).expect("there is room");
            let overlay = Overlay::over(File::open(file.path()).expect("open")).expect("a file");
            let mut model = content.clone();
            for op in ops {
                match op {
                    Op::Write { offset, data } => {
                        // redb writes within the length only.
                        let end = offset as usize + data.len();
                        if end > model.len() {
                            continue;
                        }
                        overlay.write(offset, &data).expect("in memory");
                        model[offset as usize..end].copy_from_slice(&data);
                    }
                    Op::SetLen(len) => {
                        overlay.set_len(len).expect("in memory");
                        model.resize(len as usize, 0);
                    }
                }
                prop_assert_eq!(overlay.len().expect("known"), model.len() as u64);
                let mut found = vec![1; model.len()];
                overlay.read(0, &mut found).expect("within");
                prop_assert!(found == model);
            }
            prop_assert!(overlay.read(model.len() as u64, &mut [0]).is_err());
            prop_assert!(std::fs::read(file.path()).expect("there") == content);
        }
    }
}
