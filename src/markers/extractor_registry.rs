use std::any::{Any, TypeId, type_name};

use super::Extractor;
use super::extractor::ErasedExtractor;
use crate::model::TypeMap;
use crate::model::type_map::RegisterError;

/// Which message types are market data, and how each is marked. A type without an extractor costs
/// the tap one look-up.
///
/// Build it once, then share it among the taps of all threads. Clones share their extractors.
#[derive(Default, Clone)]
pub struct ExtractorRegistry {
    extractors: TypeMap<ErasedExtractor>,
}

impl ExtractorRegistry {
    /// A registry that marks nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Marks messages of type `T` as they are published. Envelopes are not opened.
    pub fn register<T: 'static>(&mut self, extractor: Extractor<T>) -> Result<(), RegisterError> {
        let key = TypeId::of::<T>();
        if self.extractors.contains_key(&key) {
            return Err(RegisterError::Duplicate { type_name: type_name::<T>() });
        }
        self.extractors.insert(key, extractor.erase());
        Ok(())
    }

    /// True if messages of type `T` have an extractor.
    pub fn contains<T: 'static>(&self) -> bool {
        self.extractors.contains_key(&TypeId::of::<T>())
    }

    /// True if no type has an extractor: nothing will be marked.
    pub fn is_empty(&self) -> bool {
        self.extractors.is_empty()
    }

    pub(super) fn note_captured(&mut self, is_captured: impl Fn(TypeId) -> bool) {
        for (message, extractor) in &mut self.extractors {
            extractor.is_captured = is_captured(*message);
        }
    }

    #[inline]
    pub(super) fn find(&self, message: &dyn Any) -> Option<&ErasedExtractor> {
        self.extractors.get(&message.type_id())
    }
}

impl std::fmt::Debug for ExtractorRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtractorRegistry").field("types", &self.extractors.len()).finish()
    }
}
