//! The runs that a run took the place of for good.

use tapline::{RunId, RunManifest};

/// The runs that were passed over when this one opened, as the feature flags in its manifest say.
pub(super) fn passed_over(manifest: &RunManifest) -> Vec<RunId> {
    let flags = manifest.feature_flags.iter();
    flags.filter_map(|flag| flag.strip_prefix("passed-over=")?.parse().ok()).collect()
}

/// Their ids in one line of text.
pub(super) fn ids(runs: &[RunId]) -> String {
    runs.iter().map(RunId::to_string).collect::<Vec<_>>().join(", ")
}
