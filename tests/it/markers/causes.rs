//! Threads at full speed that cause each other's messages: the cause comes first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use tapline::markers::DataMarkerConfig;

use super::node::{Decision, Node, Trade, decision, roomy};
use crate::support::PATIENCE;

const DECISIONS: u64 = 100_000;

/// One thread sees data, another decides. Each decision carries the number of data that it knew,
/// and each piece of data the number of decisions.
#[test]
fn data_is_ordered_by_cause_and_effect() {
    let node = Node::open(DataMarkerConfig { high_fidelity: vec!["ES".to_owned()], ..roomy() });
    let (data, decisions, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let mut feed = node.adapter();
        let mut strategy = node.adapter();
        let (data, decisions, done) = (&data, &decisions, &done);
        scope.spawn(move || {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                let known = decisions.load(Ordering::Acquire);
                let trade = Trade { instrument: "ES", ts_init: 1 + known, price: 0 };
                feed.capture("data", &trade).unwrap();
                count += 1;
                data.store(count, Ordering::Release);
                if count % 16 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        scope.spawn(move || {
            for number in 1..=DECISIONS {
                let known = data.load(Ordering::Acquire);
                strategy.capture("decisions", &Decision(known)).unwrap();
                decisions.store(number, Ordering::Release);
                if number % 16 == 0 {
                    // Where both share a core, they should take turns.
                    std::thread::yield_now();
                }
                if number % 500 == 0 {
                    // Sometimes for certain, however busy the machine is.
                    let began = Instant::now();
                    while data.load(Ordering::Relaxed) == known && began.elapsed() < PATIENCE {
                        std::thread::yield_now();
                    }
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    });
    let recorded = node.seal();
    let manifest = recorded.verified();
    let markers: Vec<_> = recorded.markers.hifi(0..=u64::MAX).map(Result::unwrap).collect();
    // Where the writer could not keep up, gaps report everything that is missing.
    assert_eq!(manifest.counts.hifi, markers.len() as u64);

    let mut next = markers.iter().peekable();
    let mut seen = 0;
    let mut alternations = 0;
    for entry in &recorded.entries {
        let before = seen;
        while let Some(marker) = next.next_if(|marker| marker.event_seq_before < entry.seq) {
            seen += 1;
            // Entry n of the strategy is entry n + 1 of the run: RunStarted comes first.
            let known = marker.ts_init.as_u64() - 1;
            assert!(known < entry.seq, "data {seen} knew of decision {known}");
            assert!(marker.event_seq_before > known || known == 0, "it came behind it");
        }
        alternations += u64::from(seen > before);
        if let Some(known) = decision(entry)
            && manifest.counts.gaps == 0
        {
            assert!(
                seen >= known,
                "entry {} knew of {known} data, and stands behind {seen}",
                entry.seq
            );
        }
    }
    println!("{} data, {alternations} changes of turn, {} gaps", seen, manifest.counts.gaps);
    assert!(alternations > 100, "the two threads did run at one time");
}

/// A thread with a tap on each of two buses. Data that passed either of them was seen before the
/// thread's next decision.
#[test]
fn data_of_both_taps_precedes_the_decision() {
    let node = Node::open(DataMarkerConfig { high_fidelity: vec!["ES".to_owned()], ..roomy() });
    let mut taps = [node.adapter(), node.adapter()];
    let trade = |n| Trade { instrument: "ES", ts_init: n, price: 0 };
    for number in 1..=DECISIONS / 2 {
        // The first two need a stamp. The third reuses the first one's.
        for tap in [0, 1, 0] {
            taps[tap].capture("data", &trade(number)).unwrap();
        }
        taps[1].capture("decisions", &Decision(3 * number)).unwrap();
        if number % 16 == 0 {
            // Lets the writer keep up on a machine with few cores.
            std::thread::yield_now();
        }
    }
    drop(taps);
    let recorded = node.seal();
    let markers: Vec<_> = recorded.markers.hifi(0..=u64::MAX).map(Result::unwrap).collect();
    let missing = recorded.markers.fold_before(u64::MAX).unwrap().missing;
    for entry in &recorded.entries {
        let Some(known) = decision(entry) else { continue };
        let seen = markers.partition_point(|marker| marker.event_seq_before < entry.seq) as u64;
        assert!(seen <= known && known <= seen + missing, "{seen} of {known}, {missing} missing");
    }
    println!("{} markers, {missing} missing", markers.len());
}
