//! nautilus-event-store as a peer of the comparison: `perf compare` starts this program for each of
//! its measurements. It takes one argument after the subcommand, what to measure, and prints what
//! it found; both in JSON.

mod engine;
mod system;

fn main() -> anyhow::Result<()> {
    perf::child_main::<system::Nautilus>()
}
