use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::LogConfig;
use crate::format::SealedFrame;
use crate::model::RunId;
use crate::store::container::{
    AlignedBuffer, DirectFile, FileConfig, FileError, PAGE_BYTES, has_name,
};
use crate::store::directory::{TEMPORARY_EXTENSION, sync_name};
use crate::store::{DiskMode, DiskOp, DiskProbe};

const LOG_SUFFIX: &str = "log";
/// It is no run's.
const SPARE_NAME: &str = "spare.log";
pub(super) const MAGIC: [u8; 4] = *b"TLL1";
pub(super) const VERSION: u16 = 1;

/// The log of the run in the file at `run`.
pub(crate) fn log_path(run: &Path) -> PathBuf {
    run.with_extension(LOG_SUFFIX)
}

/// What a record begins with. The frames follow, one behind the other.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct RecordHeader {
    pub(super) magic: [u8; 4],
    pub(super) version: U16,
    pub(super) reserved: U16,
    pub(super) run_start: U64,
    pub(super) run_suffix: U32,
    /// Of the frames behind it, together.
    pub(super) frames_bytes: U32,
    pub(super) unused: [u8; 40],
}

pub(super) const HEADER_BYTES: usize = 64;
const _: () = assert!(size_of::<RecordHeader>() == HEADER_BYTES);

/// Bytes of a record with its padding.
pub(super) fn record_bytes(frames_bytes: usize) -> u64 {
    (HEADER_BYTES + frames_bytes).next_multiple_of(PAGE_BYTES) as u64
}

/// The log of a run, open for appending. One thread appends.
///
/// Positions count from the making of the file and never wrap.
#[derive(Debug)]
pub(in crate::store) struct LogFile {
    path: PathBuf,
    file: File,
    direct: Option<DirectFile>,
    probe: Option<Arc<dyn DiskProbe>>,
    run_id: RunId,
    bytes: u64,
    /// False where the system does not count names.
    is_named: bool,
    /// Where the next record goes.
    next: u64,
    /// The record in the making: header, frames and padding.
    record: AlignedBuffer,
}

impl LogFile {
    /// Makes the log of the run at `run`, durably: out of the spare one if there is one of this
    /// size, or else writes all of a new file once. Replaces one that is there.
    pub(in crate::store) fn create(
        run: &Path,
        run_id: RunId,
        log: LogConfig,
        config: &FileConfig,
    ) -> Result<Self, FileError> {
        let path = log_path(run);
        let failed = |error| FileError::io(&path, error);
        if !take_spare(&path, log.bytes, config).map_err(failed)? {
            make_new(&path, log.bytes, config).map_err(failed)?;
        }
        let file = File::options().read(true).write(true).open(&path).map_err(failed)?;
        let direct = match config.disk_mode {
            DiskMode::Direct => DirectFile::open_synced(&path),
            DiskMode::Buffered => None,
        };
        let is_named = has_name(&file).map_err(failed)?;
        let (probe, bytes, record) = (config.probe.clone(), log.bytes, AlignedBuffer::default());
        Ok(Self { path, file, direct, probe, run_id, bytes, is_named, next: 0, record })
    }

    /// The place of the next record, with frames of `frames_bytes`. It does not go over the end of
    /// the file.
    pub(in crate::store) fn place(&self, frames_bytes: usize) -> Range<u64> {
        let bytes = record_bytes(frames_bytes);
        let offset = self.next % self.bytes;
        let start = if offset + bytes <= self.bytes {
            self.next
        } else {
            self.next + (self.bytes - offset)
        };
        start..start + bytes
    }

    /// True if a record that ends at `end` overwrites nothing from position `needed_from` on.
    pub(in crate::store) fn has_room(&self, end: u64, needed_from: u64) -> bool {
        end - needed_from <= self.bytes
    }

    /// Appends frames in their [place](Self::place), durably. There must be room.
    pub(in crate::store) fn append(&mut self, frames: &[SealedFrame<'_>]) -> io::Result<()> {
        let frames_bytes = frames.iter().map(|frame| frame.bytes().len()).sum();
        let place = self.place(frames_bytes);
        let header = RecordHeader {
            magic: MAGIC,
            version: VERSION.into(),
            reserved: 0.into(),
            run_start: self.run_id.start().as_u64().into(),
            run_suffix: self.run_id.suffix().into(),
            // Bounded by the settings.
            frames_bytes: u32::try_from(frames_bytes).map_err(io::Error::other)?.into(),
            unused: [0; 40],
        };
        let record_bytes = (place.end - place.start) as usize;
        let mut rest = self.record.pages_mut(record_bytes);
        for part in std::iter::once(header.as_bytes()).chain(frames.iter().map(SealedFrame::bytes))
        {
            let (start, behind) = rest.split_at_mut(part.len());
            start.copy_from_slice(part);
            rest = behind;
        }
        rest.fill(0);
        self.write_durably(place.start % self.bytes, record_bytes)?;
        self.next = place.end;
        Ok(())
    }

    fn write_durably(&self, offset: u64, record_bytes: usize) -> io::Result<()> {
        let data = &self.record.bytes()[..record_bytes];
        let ask = |op| self.probe.as_ref().map_or(Ok(()), |probe| probe.before(&self.path, op));
        let sync = || {
            ask(DiskOp::Sync)?;
            self.check_not_removed()
        };
        ask(DiskOp::Write { offset, data })?;
        if let Some(direct) = self.direct.as_ref().filter(|direct| direct.takes(offset, data.len()))
        {
            match direct.write_at(offset, data) {
                Ok(()) => return sync(),
                // Some file systems take the flag at open and refuse the write.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => direct.give_up(),
                Err(error) => return Err(error),
            }
        }
        write_all_at(&self.file, data, offset)?;
        sync()?;
        self.file.sync_data()
    }

    /// The system writes a file that was removed as if nothing had happened.
    fn check_not_removed(&self) -> io::Result<()> {
        if self.is_named && !has_name(&self.file)? {
            return Err(io::Error::other("its log was removed"));
        }
        Ok(())
    }
}

/// The log that a run of the same instance may take, in the folder of `log`.
fn spare_path(log: &Path) -> PathBuf {
    log.with_file_name(SPARE_NAME)
}

/// Lets go of a log that is not needed any more, if it is there: keeps it for the next run, or
/// removes it if there is one already.
pub(in crate::store) fn let_go_of_log(path: &Path, config: &FileConfig) -> io::Result<()> {
    let spare = spare_path(path);
    if fs::exists(&spare)? || !fs::exists(path)? {
        return remove(path, config);
    }
    config.ask(path, DiskOp::Rename { to: &spare })?;
    fs::rename(path, &spare)
}

/// Makes the spare log that at `path`. False if there is none of this size.
///
/// What an earlier run has written to it stays: no record of another run counts.
fn take_spare(path: &Path, bytes: u64, config: &FileConfig) -> io::Result<bool> {
    let spare = spare_path(path);
    match fs::symlink_metadata(&spare) {
        Ok(found) if found.is_file() && found.len() == bytes => {}
        Ok(found) if found.is_file() => {
            remove(&spare, config)?;
            return Ok(false);
        }
        _ => return Ok(false),
    }
    config.ask(&spare, DiskOp::Rename { to: path })?;
    match fs::rename(&spare, path) {
        // Another run was quicker.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        renamed => renamed?,
    }
    config.ask(path, DiskOp::SyncFolder)?;
    sync_name(path)?;
    Ok(true)
}

/// Writes the log at `path` under another name, and gives it its own.
fn make_new(path: &Path, bytes: u64, config: &FileConfig) -> io::Result<()> {
    let temporary = path.with_extension(format!("{LOG_SUFFIX}.{TEMPORARY_EXTENSION}"));
    let make = || -> io::Result<()> {
        config.ask(&temporary, DiskOp::Create)?;
        let file = File::create(&temporary)?;
        write_zeros(&file, &temporary, bytes, config)?;
        config.ask(&temporary, DiskOp::Sync)?;
        file.sync_all()?;
        config.ask(&temporary, DiskOp::Rename { to: path })?;
        fs::rename(&temporary, path)?;
        config.ask(path, DiskOp::SyncFolder)?;
        sync_name(path)
    };
    make().inspect_err(|_error| {
        let _ = fs::remove_file(&temporary);
    })
}

fn remove(path: &Path, config: &FileConfig) -> io::Result<()> {
    config.ask(path, DiskOp::Remove)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn write_zeros(file: &File, path: &Path, bytes: u64, config: &FileConfig) -> io::Result<()> {
    const CHUNK_BYTES: u64 = 1 << 20;
    let zeros = vec![0; CHUNK_BYTES.min(bytes) as usize];
    let mut offset = 0;
    while offset < bytes {
        let data = &zeros[..CHUNK_BYTES.min(bytes - offset) as usize];
        config.ask(path, DiskOp::Write { offset, data })?;
        write_all_at(file, data, offset)?;
        offset += data.len() as u64;
    }
    Ok(())
}

#[cfg(unix)]
fn write_all_at(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, offset)
}

#[cfg(not(unix))]
fn write_all_at(mut file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};

    file.seek(SeekFrom::Start(offset))?;
    file.write_all(data)
}
