//! The first and the last entry of a run.

use serde::Serialize;

use crate::model::{RegisteredComponents, RunId, RunManifest};

/// Topic of a run's first entry.
pub(crate) const RUN_STARTED_TOPIC: &str = "run.lifecycle.RunStarted";
/// Payload type of a run's first entry.
pub(crate) const RUN_STARTED_TYPE: &str = "RunStarted";

#[derive(Serialize)]
struct RunStarted<'a> {
    run_id: RunId,
    parent_run_id: Option<RunId>,
    components: &'a RegisteredComponents,
}

#[derive(Serialize)]
struct RunEnded {
    run_id: RunId,
}

pub(super) fn run_started_payload(manifest: &RunManifest) -> Vec<u8> {
    json(&RunStarted {
        run_id: manifest.run_id,
        parent_run_id: manifest.parent_run_id,
        components: &manifest.registered_components,
    })
}

pub(super) fn run_ended_payload(run_id: RunId) -> Vec<u8> {
    json(&RunEnded { run_id })
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data with text keys always encodes")
}
