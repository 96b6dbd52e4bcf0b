use bytes::Bytes;

use super::frame_view::FrameLayout;
use super::{FrameError, FrameView};

/// A frame with its bytes: read once, viewed as often as there are entries to be read out of it.
#[derive(Debug, Clone)]
pub struct OwnedFrame {
    bytes: Bytes,
    layout: FrameLayout,
}

impl OwnedFrame {
    /// Reads a frame that is exactly `bytes`.
    pub fn parse(bytes: Bytes) -> Result<Self, FrameError> {
        let layout = FrameLayout::read(&bytes)?;
        layout.view(&bytes).check_names()?;
        Ok(Self { bytes, layout })
    }

    /// The frame.
    #[inline]
    pub fn view(&self) -> FrameView<'_> {
        self.layout.view(&self.bytes)
    }

    /// How many bytes it has.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }
}
