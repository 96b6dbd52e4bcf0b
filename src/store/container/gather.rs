//! Gathers large pages until they are synced, and writes neighbours at once.
//!
//! redb writes page by page, in no order. A disk takes a page of 64 KiB in hardly less time than
//! one of 1 MiB: written singly, rows of 64 KiB halved the throughput of rows of 4 MiB; gathered,
//! they come within a fifth of it.

use std::io::{self, IoSlice};
use std::ops::Range;

use super::COMMIT_BYTES_MAX;
use super::direct::{AlignedBuffer, DirectFile};

/// The most bytes that are gathered.
const GATHER_BYTES_MAX: usize = COMMIT_BYTES_MAX;

/// Pages that are not written yet, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Gather {
    buffer: AlignedBuffer,
    used_bytes: usize,
    places: Vec<Place>,
}

/// Where bytes of the buffer belong.
#[derive(Debug, Clone)]
struct Place {
    offset: u64,
    in_buffer: Range<usize>,
}

impl Place {
    fn in_file(&self) -> Range<u64> {
        self.offset..self.offset + self.in_buffer.len() as u64
    }
}

impl Gather {
    /// True if `bytes` bytes more can be added. An empty one takes any number.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.places.is_empty() || self.used_bytes + bytes <= GATHER_BYTES_MAX
    }

    /// Adds whole pages.
    pub(super) fn add(&mut self, offset: u64, data: &[u8]) {
        let in_buffer = self.used_bytes..self.used_bytes + data.len();
        self.buffer.pages_mut(in_buffer.end)[in_buffer.clone()].copy_from_slice(data);
        self.used_bytes = in_buffer.end;
        self.places.push(Place { offset, in_buffer });
    }

    /// True if something of this range of the file is here.
    pub(super) fn overlaps(&self, range: &Range<u64>) -> bool {
        let overlaps = |place: Range<u64>| place.start < range.end && range.start < place.end;
        self.places.iter().any(|place| overlaps(place.in_file()))
    }

    /// Writes all of it, in the order of the file, in writes of up to `bytes_max` bytes where pages
    /// are not larger. It stays here until it is cleared.
    pub(super) fn write(&mut self, direct: &DirectFile, bytes_max: usize) -> io::Result<()> {
        self.places.sort_unstable_by_key(|place| place.offset);
        let buffer = self.buffer.bytes();
        let mut write_bytes = 0;
        let is_neighbour = |a: &Place, b: &Place| {
            write_bytes += a.in_buffer.len();
            let is_one =
                a.in_file().end == b.offset && write_bytes + b.in_buffer.len() <= bytes_max;
            write_bytes = if is_one { write_bytes } else { 0 };
            is_one
        };
        for neighbours in self.places.chunk_by(is_neighbour) {
            let pieces: Vec<IoSlice<'_>> = neighbours
                .iter()
                .map(|place| IoSlice::new(&buffer[place.in_buffer.clone()]))
                .collect();
            direct.write_vectored_at(neighbours[0].offset, &pieces)?;
        }
        Ok(())
    }

    /// What is here, and where it belongs.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let bytes = self.buffer.bytes();
        self.places.iter().map(|place| (place.offset, &bytes[place.in_buffer.clone()]))
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.used_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    #[test]
    fn pages_come_to_their_places_in_writes_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for bytes_max in [1, 2 * PAGE, usize::MAX] {
            std::fs::write(&path, vec![0; 6 * PAGE]).unwrap();
            let Some(direct) = DirectFile::open(&path) else {
                println!("skipped: no direct writes here");
                return;
            };
            let mut gather = Gather::default();
            for page in [4_u8, 1, 5, 2, 3] {
                gather.add(u64::from(page) * PAGE as u64, &[page; PAGE]);
            }
            gather.write(&direct, bytes_max).unwrap();
            let file = std::fs::read(&path).unwrap();
            let pages: Vec<u8> = file.chunks(PAGE).map(|page| page[17]).collect();
            assert_eq!(pages, [0, 1, 2, 3, 4, 5], "{bytes_max}");
        }
    }

    #[test]
    fn it_knows_what_it_has_until_it_is_cleared() {
        let mut gather = Gather::default();
        assert!(gather.has_room(GATHER_BYTES_MAX + 1), "an empty one takes any number");
        gather.add(8192, &[7; 2 * PAGE]);
        assert!(gather.has_room(GATHER_BYTES_MAX - 2 * PAGE));
        assert!(!gather.has_room(GATHER_BYTES_MAX - PAGE));
        let overlaps = [0..8192, 8191..8193, 12_288..12_289, 16_384..20_480]
            .map(|range| gather.overlaps(&range));
        assert_eq!(overlaps, [false, true, true, false]);
        assert_eq!(gather.pieces().collect::<Vec<_>>(), [(8192, &[7; 2 * PAGE][..])]);
        gather.clear();
        assert_eq!(gather.pieces().count(), 0);
    }
}
