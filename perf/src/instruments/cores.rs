use anyhow::{Result, ensure};
use core_affinity::CoreId;
use serde::{Deserialize, Serialize};

/// Which thread runs on which core; `None` for one that is not pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The core of each producer.
    pub producers: Vec<Option<usize>>,
    /// The writer's core.
    pub writer: Option<usize>,
}

/// Pins the calling thread. Threads inherit the core of the one that starts them.
pub fn pin(core: Option<usize>) -> Result<()> {
    if let Some(id) = core {
        ensure!(core_affinity::set_for_current(CoreId { id }), "cannot pin a thread to core {id}");
    }
    Ok(())
}
