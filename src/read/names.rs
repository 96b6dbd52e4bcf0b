use crate::store::{ReadFault, RunReader};

/// Topics and payload types by number, read from the run as needed.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// Makes sure the name of number `id` is loaded, if the run has it.
    pub(super) fn load(&mut self, source: &dyn RunReader, id: u32) -> Result<(), ReadFault> {
        if self.has(id) {
            return Ok(());
        }
        for (id, name) in source.names(self.0.len() as u32)? {
            // A hole in the numbers ends the table; `verify` reports it.
            if id as usize == self.0.len() {
                self.0.push(name);
            }
        }
        Ok(())
    }

    /// Whether the name of number `id` is loaded.
    pub(super) fn has(&self, id: u32) -> bool {
        (id as usize) < self.0.len()
    }

    pub(super) fn get(&self, id: u32) -> Option<&str> {
        self.0.get(id as usize).map(String::as_str)
    }
}
