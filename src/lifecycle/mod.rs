//! Around a run: its configuration, how it opens and how it is sealed.

mod config;
mod events;
mod session;

pub use config::{DataMarkerClass, DataMarkerConfig, EventStoreConfig};
pub use events::{
    RUN_ENDED_TOPIC, RUN_ENDED_TYPE, RUN_STARTED_TOPIC, RUN_STARTED_TYPE, is_run_ended,
};
pub use session::{OpenError, RunSession};

pub use crate::model::RetentionMode;
