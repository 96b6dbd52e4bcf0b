use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A second handle on a run file, for writes that bypass the page cache. Linux keeps the two in
/// step: a direct write first flushes, then drops, the cached pages it covers.
#[derive(Debug)]
pub(super) struct DirectFile {
    file: File,
    /// Cleared when the file system turns out to refuse direct writes.
    usable: AtomicBool,
    /// Direct I/O asks for aligned memory, which redb's pages are not in.
    aligned: Mutex<Vec<Page>>,
}

#[derive(Debug, Clone, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, align(4096))]
struct Page([u8; PAGE_BYTES]);

const PAGE_BYTES: usize = 4096;

impl DirectFile {
    /// `None` where the file system has no direct I/O.
    #[cfg(target_os = "linux")]
    pub(super) fn open(path: &Path) -> Option<Self> {
        use std::os::unix::fs::OpenOptionsExt;

        let direct = rustix::fs::OFlags::DIRECT.bits().cast_signed();
        let file = File::options().write(true).custom_flags(direct).open(path).ok()?;
        Some(Self { file, usable: AtomicBool::new(true), aligned: Mutex::default() })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn open(_path: &Path) -> Option<Self> {
        None
    }

    /// From now on takes no more writes.
    pub(super) fn give_up(&self) {
        // Relaxed: redb writes from one thread at a time.
        self.usable.store(false, Ordering::Relaxed);
    }

    /// Whether a write can be direct: it is of whole pages.
    pub(super) fn takes(&self, offset: u64, data: &[u8]) -> bool {
        self.usable.load(Ordering::Relaxed)
            && offset.is_multiple_of(PAGE_BYTES as u64)
            && data.len().is_multiple_of(PAGE_BYTES)
    }

    /// Writes whole pages.
    #[cfg(unix)]
    pub(super) fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        use std::os::unix::fs::FileExt;

        let mut aligned = self.aligned.lock().expect("no holder of this lock can panic");
        let pages = data.len() / PAGE_BYTES;
        if aligned.len() < pages {
            aligned.resize(pages, Page([0; PAGE_BYTES]));
        }
        let bytes = aligned[..pages].as_mut_bytes();
        bytes.copy_from_slice(data);
        self.file.write_all_at(bytes, offset)
    }

    #[cfg(not(unix))]
    pub(super) fn write_at(&self, _offset: u64, _data: &[u8]) -> io::Result<()> {
        unreachable!("`open` gives no handle here")
    }
}
