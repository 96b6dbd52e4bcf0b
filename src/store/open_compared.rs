//! Opening a file that was left, and is to be written to.
//!
//! redb compares checksums when it repairs a file that was left open. One that was closed, as a run that halted leaves it,
//! it opens as it is, and writes to on the strength of a list of free pages that nobody has compared either. redb can be
//! asked to compare all of it; but where it finds damage it leaves a file that nothing opens any more. So it is asked about
//! the file under writes that stay in memory. A file that is damaged stays as it is: over what it writes to one, redb may
//! end the process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{Builder, Database, DatabaseError, StorageBackend, StorageError};

use super::guard::guarded;
use super::header_flags::HeaderFlags;
use super::run_file::{RunFile, file_locks};

/// Opens `file` for writing, by way of what `run_file` makes of it, with all of it that is in use compared with its checksums.
/// It is an error if that differs, and the file stays as it is.
pub(crate) fn open_compared(
    file: &File,
    run_file: impl Fn(File) -> Result<RunFile, DatabaseError>,
    builder: &Builder,
) -> Result<Database, DatabaseError> {
    let open = || run_file(file.try_clone()?);
    let to_compare = open()?;
    let flags = HeaderFlags::read(|header| to_compare.read(0, header))?;
    // Without, redb compares it by itself, and may have to repair it.
    let is_repairable = flags.ends_with_its_closing() && !compare(to_compare)?;
    let mut database = builder.create_with_backend(open()?)?;
    if is_repairable {
        database.check_integrity()?;
    }
    Ok(database)
}

/// Memory redb may hold of the file's pages, of which it looks at most no more than twice.
const CACHE_BYTES: usize = 16 << 20;

/// Compares `file`, which stays as it is, and reads all of it that is in use. False where only what is free was written down
/// wrongly, which redb can put right. It is an error if a page that is in use does not have its checksum.
fn compare(file: RunFile) -> Result<bool, DatabaseError> {
    let compare = || {
        let unwritten = Unwritten::over(file)?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        builder.create_with_backend(unwritten)?.check_integrity()
    };
    // redb takes some damage for impossible.
    guarded(compare)
        .unwrap_or_else(|panic| Err(DatabaseError::Storage(StorageError::Corrupted(panic))))
}

/// A file under what is written to it, which stays in memory: redb's header, and the little it puts right.
#[derive(Debug)]
struct Unwritten {
    file: RunFile,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// How much of the file is under it: behind that are zeros.
    from_file: u64,
    /// By their numbers.
    pages: BTreeMap<u64, [u8; PAGE_BYTES]>,
}

const PAGE_BYTES: usize = 4096;

impl Unwritten {
    fn over(file: RunFile) -> io::Result<Self> {
        let len = file.len()?;
        let written = Written { len, from_file: len, pages: BTreeMap::new() };
        Ok(Self { file, written: Mutex::new(written) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, number: u64, written: &Written) -> io::Result<[u8; PAGE_BYTES]> {
        if let Some(page) = written.pages.get(&number) {
            return Ok(*page);
        }
        let mut page = [0; PAGE_BYTES];
        let offset = number * PAGE_BYTES as u64;
        let in_file = written.from_file.saturating_sub(offset).min(PAGE_BYTES as u64);
        if in_file > 0 {
            self.file.read(offset, &mut page[..in_file as usize])?;
        }
        Ok(page)
    }
}

/// The pages that `len` bytes at `offset` lie in: the number of each, where in it they begin, and how many there are.
fn pages_of(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut at = offset;
    let end = offset + len as u64;
    std::iter::from_fn(move || {
        let begin = (at % PAGE_BYTES as u64) as usize;
        let bytes = (end - at).min((PAGE_BYTES - begin) as u64) as usize;
        let page = (at / PAGE_BYTES as u64, begin, bytes);
        at += bytes as u64;
        (bytes > 0).then_some(page)
    })
}

impl StorageBackend for Unwritten {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        let end = offset.saturating_add(out.len() as u64);
        if end > written.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let pages = offset / PAGE_BYTES as u64..end.div_ceil(PAGE_BYTES as u64);
        if end <= written.from_file && written.pages.range(pages).next().is_none() {
            // Most of the file, in one go.
            return self.file.read(offset, out);
        }
        for (number, begin, bytes) in pages_of(offset, out.len()) {
            let (now, rest) = out.split_at_mut(bytes);
            now.copy_from_slice(&self.page(number, &written)?[begin..begin + bytes]);
            out = rest;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written();
        written.len = len;
        written.from_file = written.from_file.min(len);
        let (last, in_last) = (len / PAGE_BYTES as u64, (len % PAGE_BYTES as u64) as usize);
        written.pages.retain(|number, _| *number <= last);
        if let Some(page) = written.pages.get_mut(&last) {
            page[in_last..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, mut data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        for (number, begin, bytes) in pages_of(offset, data.len()) {
            let mut page = self.page(number, &written)?;
            let (now, rest) = data.split_at(bytes);
            page[begin..begin + bytes].copy_from_slice(now);
            written.pages.insert(number, page);
            data = rest;
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    // Who else has the file is told before any of it is read.
    file_locks!();
}

#[cfg(test)]
mod tests {
    use std::fs;

    use redb::TableDefinition;

    use super::*;
    use crate::store::DiskMode;

    fn open(path: &std::path::Path) -> RunFile {
        let file = File::options().read(true).write(true).open(path).unwrap();
        RunFile::new(file, path, DiskMode::Buffered, None).unwrap()
    }

    #[test]
    fn what_is_compared_stays_as_it_is_also_where_it_is_damaged() {
        const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("table");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("closed.redb");
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let value = [0xa5; 100];
        transaction.open_table(TABLE).unwrap().insert(7, value.as_slice()).unwrap();
        transaction.commit().unwrap();
        drop(database);
        let sound = fs::read(&path).unwrap();
        assert!(compare(open(&path)).unwrap());
        assert!(fs::read(&path).unwrap() == sound);

        let mut damaged = sound;
        let at = damaged.windows(100).position(|bytes| bytes == value).unwrap();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let error = compare(open(&path)).unwrap_err();
        let is_damage = matches!(error, DatabaseError::Storage(StorageError::Corrupted(_)));
        assert!(is_damage, "{error}");
        assert!(fs::read(&path).unwrap() == damaged);
    }

    /// Beside bytes in memory, to which the same is done.
    #[test]
    fn what_is_written_is_read_and_reaches_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..5 * PAGE_BYTES + 100).map(|n| n as u8 | 1).collect();
        fs::write(&path, &content).unwrap();
        let unwritten = Unwritten::over(open(&path)).unwrap();
        let mut model = content.clone();
        let check = |model: &[u8]| {
            assert_eq!(unwritten.len().unwrap(), model.len() as u64);
            for (offset, len) in [(0, model.len()), (100, 50), (PAGE_BYTES - 10, 20)] {
                let mut out = vec![0; len];
                unwritten.read(offset as u64, &mut out).unwrap();
                assert!(out == model[offset..offset + len], "{len} bytes at {offset}");
            }
            let behind = unwritten.read(model.len() as u64 - 1, &mut [0; 2]).unwrap_err();
            assert_eq!(behind.kind(), io::ErrorKind::UnexpectedEof);
        };
        check(&model);
        for (offset, len) in [(0, 320), (PAGE_BYTES - 5, PAGE_BYTES + 10), (model.len() - 3, 3)] {
            unwritten.write(offset as u64, &vec![0xee; len]).unwrap();
            model[offset..offset + len].fill(0xee);
            check(&model);
        }
        // What was behind a shorter end does not come back.
        for len in [2 * PAGE_BYTES + 7, 7 * PAGE_BYTES, PAGE_BYTES + 200, 6 * PAGE_BYTES] {
            unwritten.set_len(len as u64).unwrap();
            model.resize(len, 0);
            check(&model);
        }
        assert!(fs::read(&path).unwrap() == content);
    }
}
