//! Writes that bypass the page cache.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::PAGE_BYTES;

/// Memory that the disk can read by itself: direct I/O asks for aligned pages.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuffer(Vec<Page>);

#[derive(Debug, Clone, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, align(4096))]
struct Page([u8; PAGE_BYTES]);

const _: () = assert!(align_of::<Page>() == PAGE_BYTES);

impl AlignedBuffer {
    /// Its first `bytes` bytes, rounded up to pages. It grows where it is shorter. What is in it
    /// stays.
    pub(crate) fn pages_mut(&mut self, bytes: usize) -> &mut [u8] {
        let pages = bytes.div_ceil(PAGE_BYTES);
        if self.0.len() < pages {
            self.0.resize(pages, Page([0; PAGE_BYTES]));
        }
        self.0[..pages].as_mut_bytes()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A second handle on a file, for writes that bypass the page cache. Linux keeps the two in
/// step: a direct write first flushes, then drops, the cached pages it covers.
#[derive(Debug)]
pub(crate) struct DirectFile {
    file: File,
    /// Cleared when the file system turns out to refuse direct writes.
    usable: AtomicBool,
}

impl DirectFile {
    /// `None` where the file system has no direct I/O.
    #[cfg(target_os = "linux")]
    pub(super) fn open(path: &Path) -> Option<Self> {
        Self::open_with(path, rustix::fs::OFlags::DIRECT)
    }

    /// As [`open`](Self::open); a write is durable when it returns.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_synced(path: &Path) -> Option<Self> {
        Self::open_with(path, rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::DSYNC)
    }

    #[cfg(target_os = "linux")]
    fn open_with(path: &Path, flags: rustix::fs::OFlags) -> Option<Self> {
        use std::os::unix::fs::OpenOptionsExt;

        let flags = flags.bits().cast_signed();
        let file = File::options().write(true).custom_flags(flags).open(path).ok()?;
        Some(Self { file, usable: AtomicBool::new(true) })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn open(_path: &Path) -> Option<Self> {
        None
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn open_synced(_path: &Path) -> Option<Self> {
        None
    }

    /// From now on takes no more writes.
    pub(crate) fn give_up(&self) {
        // Relaxed: one thread at a time writes.
        self.usable.store(false, Ordering::Relaxed);
    }

    /// Whether a write can be direct: it is of whole pages.
    pub(crate) fn takes(&self, offset: u64, bytes: usize) -> bool {
        self.usable.load(Ordering::Relaxed)
            && offset.is_multiple_of(PAGE_BYTES as u64)
            && bytes.is_multiple_of(PAGE_BYTES)
    }

    /// Writes whole pages, out of an [`AlignedBuffer`].
    #[cfg(unix)]
    pub(crate) fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, data, offset)
    }

    /// Writes pieces one behind the other, each of whole pages out of an [`AlignedBuffer`].
    #[cfg(unix)]
    pub(super) fn write_vectored_at(
        &self,
        mut offset: u64,
        pieces: &[io::IoSlice<'_>],
    ) -> io::Result<()> {
        let mut written = rustix::io::pwritev(&self.file, pieces, offset)?;
        // Seldom: the system has written a part.
        for piece in pieces {
            let done = written.min(piece.len());
            if done < piece.len() {
                self.write_at(offset + done as u64, &piece[done..])?;
            }
            written -= done;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    #[cfg(not(unix))]
    pub(crate) fn write_at(&self, _offset: u64, _data: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(not(unix))]
    pub(super) fn write_vectored_at(
        &self,
        _offset: u64,
        _pieces: &[io::IoSlice<'_>],
    ) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
