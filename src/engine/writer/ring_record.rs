use crate::format::{LINE_BYTES, Line, RecordFlags, RecordHeader};

/// A record as it lies in a ring: in one stretch, or in two where the ring wraps.
#[derive(Clone, Copy)]
pub(super) struct RingRecord<'a> {
    pub(super) head: &'a [Line],
    pub(super) tail: &'a [Line],
}

impl<'a> RingRecord<'a> {
    pub(super) fn header(&self) -> &'a RecordHeader {
        RecordHeader::of(self.head[0].bytes()).expect("a line is as long as a header")
    }

    /// Copies out `N` bytes from byte `start` of the record.
    fn bytes<const N: usize>(&self, start: usize) -> [u8; N] {
        std::array::from_fn(|i| {
            let (line, byte) = ((start + i) / LINE_BYTES, (start + i) % LINE_BYTES);
            let line = self.head.get(line).unwrap_or_else(|| &self.tail[line - self.head.len()]);
            line.bytes()[byte]
        })
    }

    pub(super) fn identity(&self) -> Option<u128> {
        let start = self.header().identity_start()?;
        Some(u128::from_le_bytes(self.bytes(start)))
    }

    /// The text of a record that announces a name.
    pub(super) fn name(&self) -> String {
        let len = self.header().payload_len.get() as usize;
        let lines = self.head.iter().chain(self.tail).skip(1).flat_map(Line::bytes);
        let bytes = lines.copied().take(len).collect();
        String::from_utf8(bytes).expect("a producer announces names from `&str`")
    }

    /// Whether it is a message, whole in the ring.
    #[inline]
    pub(super) fn is_message(&self) -> bool {
        self.header().flags().is_message()
    }

    pub(super) fn is_name(&self) -> bool {
        self.header().flags().has(RecordFlags::NAME)
    }

    /// Whether it is no message, but a mark of market data.
    pub(super) fn is_mark(&self) -> bool {
        self.header().flags().has(RecordFlags::MARK)
    }

    pub(super) fn lines(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}
