use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

/// What is written is a multiple of this long: what direct writes ask for on common disks.
pub(super) const BLOCK: usize = 4096;

/// Bytes that get their place on the disk at a time.
const ALLOCATED_AT_ONCE: u64 = 1 << 30;

/// The length of a file that is written in a circle.
const CIRCLE_BYTES: u64 = 16 << 20;

/// A file that is written past the page cache, where the system can do that. Either its blocks are
/// allocated and were not written before, as with a log that grows: the file system has to note of
/// each that it now is. Or all were written before, and are written again in a circle.
#[derive(Debug)]
pub(super) struct PreparedFile {
    file: File,
    written: u64,
    allocated: u64,
    is_circle: bool,
    buffer: Vec<u8>,
    /// Where in `buffer` an aligned block begins.
    aligned: usize,
}

impl PreparedFile {
    /// For appends of at most `bytes_max` bytes.
    pub(super) fn create(path: &Path, bytes_max: usize) -> Result<Self> {
        let file = open(path).with_context(|| format!("cannot make {}", path.display()))?;
        // Not zero: some disks do not store zeros.
        let buffer = vec![0xa5; bytes_max.next_multiple_of(BLOCK) + BLOCK];
        let aligned = buffer.as_ptr().align_offset(BLOCK);
        let mut prepared =
            Self { file, written: 0, allocated: 0, is_circle: false, buffer, aligned };
        prepared.allocate().context("cannot allocate a gigabyte for the bare write")?;
        Ok(prepared)
    }

    /// For appends of a block each, in a circle of blocks that were written before.
    pub(super) fn circle(path: &Path) -> Result<Self> {
        const CHUNK_BYTES: usize = 1 << 20;
        let mut file = Self::create(path, CHUNK_BYTES)?;
        while file.written < CIRCLE_BYTES {
            file.append(CHUNK_BYTES)?;
        }
        file.finish()?;
        file.is_circle = true;
        Ok(file)
    }

    /// Writes `bytes` bytes behind the others and syncs them.
    pub(super) fn append(&mut self, bytes: usize) -> Result<()> {
        if !self.is_circle && self.written + bytes as u64 > self.allocated {
            self.allocate().context("cannot allocate a further gigabyte")?;
        }
        let data = &self.buffer[self.aligned..self.aligned + bytes];
        let offset = if self.is_circle { self.written % CIRCLE_BYTES } else { self.written };
        write_at(&self.file, data, offset).context("cannot write")?;
        self.file.sync_data().context("cannot sync")?;
        self.written += bytes as u64;
        Ok(())
    }

    /// Gives back what was allocated and not written.
    pub(super) fn finish(&self) -> Result<()> {
        if self.is_circle {
            return Ok(());
        }
        self.file.set_len(self.written).context("cannot cut the file to its length")
    }

    #[cfg(target_os = "linux")]
    fn allocate(&mut self) -> io::Result<()> {
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&self.file, flags, self.allocated, ALLOCATED_AT_ONCE)?;
        self.allocated += ALLOCATED_AT_ONCE;
        // The size the file got is part of what was changed; not to be paid by the first commit.
        self.file.sync_all()
    }

    #[cfg(not(target_os = "linux"))]
    fn allocate(&mut self) -> io::Result<()> {
        self.allocated += ALLOCATED_AT_ONCE;
        self.file.set_len(self.allocated)
    }
}

#[cfg(target_os = "linux")]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    let direct = OpenOptions::new().write(true).create(true).custom_flags(flags).open(path);
    direct.or_else(|error| {
        eprintln!("perf: no direct writes here ({error}): the bare write uses the page cache");
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    })
}

#[cfg(not(target_os = "linux"))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

#[cfg(unix)]
fn write_at(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, offset)
}

#[cfg(not(unix))]
fn write_at(mut file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(data)
}
