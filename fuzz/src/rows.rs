//! The rows of a run file without the file: to be changed where redb would not let a changed page
//! through.

use std::collections::BTreeMap;

use bytes::Bytes;
use tapline::internals::format::{
    FrameView, KeyBlock, KeyBlockId, KeyRow, KeyTier, decode_anchor, decode_manifest,
    encode_anchor, encode_manifest, run_root,
};
use tapline::store::{ReadFault, RunReader};
use tapline::{Hash, RunManifest, SnapshotAnchor};

/// All rows of a run, as a run file has them.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The manifest as it is stored.
    pub manifest: Vec<u8>,
    /// The anchor as it is stored.
    pub anchor: Option<Vec<u8>>,
    /// By number.
    pub names: BTreeMap<u32, String>,
    /// By first `seq`.
    pub frames: BTreeMap<u64, Bytes>,
    /// Blocks of the index by what they are stored under.
    pub blocks: BTreeMap<KeyBlockId, Bytes>,
}

impl Rows {
    /// Takes all rows out of a run that is sound.
    pub fn of(source: &dyn RunReader) -> Self {
        const READ: &str = "the run is sound";
        let (mut frames, mut from) = (BTreeMap::new(), 0);
        while let Some((seq, frame)) = source.frame_at_or_after(from).expect(READ) {
            frames.insert(seq, Bytes::copy_from_slice(&frame));
            from = seq + 1;
        }
        let (mut blocks, mut from) = (BTreeMap::new(), Some(KeyBlockId::start_of(KeyTier::FIRST)));
        while let Some(at) = from
            && let Some((id, block)) = source.key_block_at_or_after(at).expect(READ)
        {
            blocks.insert(id, Bytes::copy_from_slice(&block));
            from = id.next();
        }
        Self {
            manifest: encode_manifest(&source.manifest().expect(READ)),
            anchor: source.anchor().expect(READ).as_ref().map(encode_anchor),
            names: source.names(0).expect(READ).into_iter().collect(),
            frames,
            blocks,
        }
    }
}

impl RunReader for Rows {
    fn manifest(&self) -> Result<RunManifest, ReadFault> {
        Ok(decode_manifest(&self.manifest)?)
    }

    fn root(&self) -> Result<Option<Hash>, ReadFault> {
        let root = || run_root(&self.manifest, self.anchor.as_deref().unwrap_or_default());
        Ok(self.manifest()?.status.is_sealed().then(root))
    }

    fn watermark(&self) -> Result<u64, ReadFault> {
        let Some((first_seq, bytes)) = self.frame_at_or_before(u64::MAX)? else {
            return Ok(0);
        };
        match FrameView::parse(&bytes) {
            Ok(frame) => Ok(frame.last_seq()),
            Err(source) => Err(ReadFault::Frame { first_seq, source }),
        }
    }

    fn anchor(&self) -> Result<Option<SnapshotAnchor>, ReadFault> {
        Ok(self.anchor.as_deref().map(decode_anchor).transpose()?)
    }

    fn frame_at_or_before(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        Ok(self.frames.range(..=seq).next_back().map(|(seq, frame)| (*seq, frame.clone())))
    }

    fn frame_at_or_after(&self, seq: u64) -> Result<Option<(u64, Bytes)>, ReadFault> {
        Ok(self.frames.range(seq..).next().map(|(seq, frame)| (*seq, frame.clone())))
    }

    fn names(&self, from: u32) -> Result<Vec<(u32, String)>, ReadFault> {
        Ok(self.names.range(from..).map(|(id, name)| (*id, name.clone())).collect())
    }

    /// The smallest `seq` of all blocks: what a search that trusts their order finds where it
    /// holds.
    fn indexed(&self, hash: u64, from: u64) -> Result<Option<u64>, ReadFault> {
        let wanted = KeyRow::new(hash, from);
        let found = self.blocks.values().filter_map(|block| {
            let row = KeyBlock::parse(block).ok()?.at_or_after(wanted)?;
            (row.hash() == hash && row.seq() >= from).then_some(row.seq())
        });
        Ok(found.min())
    }

    fn key_block_at_or_after(
        &self,
        from: KeyBlockId,
    ) -> Result<Option<(KeyBlockId, Bytes)>, ReadFault> {
        Ok(self.blocks.range(from..).next().map(|(id, block)| (*id, block.clone())))
    }
}
