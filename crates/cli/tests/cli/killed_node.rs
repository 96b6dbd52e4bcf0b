//! A node with a state, killed at random instants and started again in the same instance. Whenever
//! that is, its next start restores what all its runs together say.

use tapline::EventStoreReader;
use tapline::RetentionMode;
use tapline::replay::CacheFollower;
use tapline::runs::RetentionPlan;
use tapline::session::{EventStoreConfig, EventStoreLifecycle, KernelEventStore, LifecycleOptions};
use tapline_demo::{PortfolioCache, SnapshotFolder};

use crate::rounds::Random;
use crate::running::Running;
use crate::support::Sandbox;

/// Rounds; `TAPLINE_NODE_KILL_ROUNDS` gives another number.
const ROUNDS: u64 = 12;

/// The node's state by its runs alone, without a snapshot.
struct Reference {
    cache: Option<PortfolioCache>,
    runs_applied: Vec<std::path::PathBuf>,
}

impl Reference {
    /// Applies all entries of the runs that came since.
    fn apply_new(&mut self, sandbox: &Sandbox) {
        for path in sandbox.run_files_of("demo") {
            if self.runs_applied.contains(&path) {
                continue;
            }
            let reader = EventStoreReader::open_sealed_file(&path).expect("it was recovered");
            let cache = self.cache.take().expect("between two runs");
            let mut follower = CacheFollower::new(cache, reader, 0);
            follower.catch_up().expect("a sound run");
            self.cache = Some(follower.into_cache());
            self.runs_applied.push(path);
        }
    }
}

#[test]
fn a_killed_node_has_its_whole_state_again() {
    let asked = std::env::var("TAPLINE_NODE_KILL_ROUNDS").ok();
    let rounds = asked.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let sandbox = Sandbox::new();
    let instance = "demo".parse().expect("an id");
    let snapshots = || SnapshotFolder::new(&sandbox.runs(), &instance);
    let mut reference =
        Reference { cache: Some(PortfolioCache::new(snapshots())), runs_applied: Vec::new() };
    let (mut random, mut restored_runs, mut grown) = (Random::new(), 0, 0);
    let mut before = PortfolioCache::new(snapshots());
    for round in 0..rounds {
        let mut command = sandbox.command("record");
        command.args(["--demo", "--entries", "3000000", "--snapshot-every-ms", "20"]);
        let mut node = Running::start(&mut command);
        random.sleep_below(400_000);
        node.kill();
        node.end();

        let config = EventStoreConfig::new(sandbox.runs());
        let mut next = EventStoreLifecycle::new(Some(config), LifecycleOptions::default());
        let mut cache = PortfolioCache::new(snapshots());
        let restored = next.restore_parent_cache(&instance, &mut cache).expect("the whole state");
        drop(next);
        restored_runs += restored.map_or(0, |restored| restored.runs.len());
        reference.apply_new(&sandbox);
        let expected = reference.cache.as_ref().expect("between two runs");
        assert_eq!(cache.portfolio(), expected.portfolio(), "round {round}");
        grown += u64::from(cache.portfolio() != before.portfolio());
        before = cache;

        if round % 8 == 7 {
            let mode = RetentionMode::SnapshotAnchored;
            let plan = RetentionPlan::new(&sandbox.runs(), &instance, mode).expect("a plan");
            plan.apply(|run, removed| removed.unwrap_or_else(|error| panic!("{run:?}: {error}")))
                .expect("the same plan");
        }
    }
    println!("{rounds} rounds: {grown} of them traded, {restored_runs} runs restored from");
    assert!(grown > rounds / 4, "hardly any round traded: {grown} of {rounds}");
}
