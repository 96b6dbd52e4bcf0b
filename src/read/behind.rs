use std::sync::OnceLock;

use crate::store::{ReadFault, RunReader};

/// What there is behind a place in the log at which no frame was found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Behind {
    /// A frame, which begins with this entry.
    Frame(u64),
    /// No frame, though the run was sealed with entries up to this one.
    Lost(u64),
    /// Nothing: here the log ends.
    End,
}

impl Behind {
    /// Looks for what there is at `seq` or behind it.
    pub(super) fn look(
        source: &dyn RunReader,
        seal: &KnownSeal,
        seq: u64,
    ) -> Result<Self, ReadFault> {
        let next_frame = || {
            let frame = source.frame_at_or_after(seq)?;
            Ok::<_, ReadFault>(frame.map(|(first_seq, _)| Self::Frame(first_seq)))
        };
        if let Some(frame) = next_frame()? {
            return Ok(frame);
        }
        let Some(last) = seal.watermark(source)?.filter(|last| *last >= seq) else {
            return Ok(Self::End);
        };
        // It may have been sealed only now, with frames that were not there a moment ago.
        Ok(next_frame()?.unwrap_or(Self::Lost(last)))
    }

    /// The last entry that is missing if that at the place is; the one before the place where a frame begins
    /// there. `None` where nothing is missing.
    pub(super) fn last_missing(self) -> Option<u64> {
        match self {
            Self::Frame(first_seq) => Some(first_seq.saturating_sub(1)),
            Self::Lost(last) => Some(last),
            Self::End => None,
        }
    }
}

/// Where a run was sealed, if it was when this was first asked for: the manifest is read once. A run that was
/// live then has whatever this process commits, sealed or not.
#[derive(Debug, Default)]
pub(super) struct KnownSeal(OnceLock<Option<u64>>);

impl KnownSeal {
    fn watermark(&self, source: &dyn RunReader) -> Result<Option<u64>, ReadFault> {
        if let Some(known) = self.0.get() {
            return Ok(*known);
        }
        let found = sealed_watermark(source)?;
        Ok(*self.0.get_or_init(|| found))
    }
}

/// The last entry of a sealed run, by its manifest; `None` while a run is not sealed.
///
/// The seal is committed behind the last frame: what is not found of a run from then on, it does not have.
pub(super) fn sealed_watermark(source: &dyn RunReader) -> Result<Option<u64>, ReadFault> {
    let manifest = source.manifest()?;
    // No frame has an entry of the largest number there is.
    let last = manifest.high_watermark.min(u64::MAX - 1);
    Ok(manifest.status.is_sealed().then_some(last))
}
