use std::collections::HashMap;

use super::batch::Batch;
use crate::store::RunReader;

/// The run's names table as the writer knows it: text to number.
///
/// It grows by what producers announce. All together can announce `run_names_max`; the names of the
/// run's last entry may come on top.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    ids: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
}

impl NameTable {
    /// The table of a run that has been recorded up to here.
    pub(super) fn load(reader: &dyn RunReader) -> Result<Self, crate::store::ReadFault> {
        let names = reader.names(0)?;
        Ok(Self { ids: names.into_iter().map(|(id, name)| (name.into(), id)).collect() })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.ids.keys().map(|name| &**name)
    }

    pub(super) fn len(&self) -> u32 {
        self.ids.len() as u32
    }

    /// The number of `name`. A new name goes into the batch under construction.
    pub(super) fn number(&mut self, name: &str, batch: &mut Batch) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = batch.push_name(name);
        self.ids.insert(name.into(), id);
        id
    }
}
