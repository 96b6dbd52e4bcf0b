use std::collections::HashSet;

use super::SubmitError;
use crate::sync::{Mutex, MutexGuard};

/// The topics and payload types that a run has, or will have once the writer comes to them. They
/// bound the writer's table of names, and that of everyone who reads the run.
///
/// A producer comes here with each name that is new to it, not with each message.
#[derive(Debug)]
pub(super) struct RunNames {
    known: Mutex<HashSet<Box<str>, foldhash::fast::RandomState>>,
    max: usize,
}

impl RunNames {
    pub(super) fn new(max: usize) -> Self {
        Self { known: Mutex::default(), max }
    }

    /// Adds the names of a run that goes on, however many they are.
    pub(super) fn add_recorded<'a>(&self, names: impl Iterator<Item = &'a str>) {
        self.lock().extend(names.map(Box::from));
    }

    /// Adds the names of a message that is about to be pushed. `names` are distinct. Adds none if
    /// there is no room for all.
    pub(super) fn admit(&self, names: &[&str]) -> Result<(), SubmitError> {
        let mut known = self.lock();
        let new = names.iter().filter(|name| !known.contains(**name)).count();
        if new > 0 && known.len() + new > self.max {
            return Err(SubmitError::TooManyRunNames { max: self.max });
        }
        known.extend(names.iter().map(|name| Box::from(*name)));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Box<str>, foldhash::fast::RandomState>> {
        self.known.lock().expect("no holder of this lock can panic")
    }
}
