//! What one measurement found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::instruments::Latencies;

/// What one measurement found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The system's name.
    pub system: String,
    /// How it was set, in one line.
    pub described: String,
    /// Entries it took.
    pub entries: u64,
    /// The figures, each where it applies.
    pub figures: BTreeMap<Figure, f64>,
    /// Durations in nanoseconds, by what they are of.
    pub histograms: BTreeMap<String, Latencies>,
    /// How latencies went over time, by what they are of.
    pub timelines: BTreeMap<String, Timeline>,
    /// Resident memory in MB at each tenth of the entries pushed, in saturated runs.
    pub memory_mb: Vec<f64>,
    /// What makes the figures doubtful.
    pub warnings: Vec<String>,
}

/// A latency over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Milliseconds each point stands for.
    pub interval_ms: u64,
    /// The points, one after the other; none in an interval without a sample.
    pub points: Vec<Option<TimePoint>>,
}

/// One interval of a [`Timeline`]; durations in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimePoint {
    /// The median.
    pub p50: u64,
    /// What one in a hundred exceeds.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

impl Outcome {
    /// An empty one.
    pub(crate) fn new(system: &str, described: String) -> Self {
        Self {
            system: system.to_owned(),
            described,
            entries: 0,
            figures: BTreeMap::new(),
            histograms: BTreeMap::new(),
            timelines: BTreeMap::new(),
            memory_mb: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(crate) fn set(&mut self, figure: Figure, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            self.figures.insert(figure, value);
        }
    }

    /// Keeps a histogram and sets the figures of its percentiles.
    pub(crate) fn keep(&mut self, name: &str, latencies: Latencies, quoted: &[(Figure, f64)]) {
        if latencies.is_empty() {
            return;
        }
        for (figure, quantile) in quoted {
            self.figures.insert(*figure, latencies.at(*quantile) as f64);
        }
        self.histograms.insert(name.to_owned(), latencies);
    }
}

macro_rules! figures {
    ($($variant:ident $label:literal $scale:literal $digits:literal $doc:literal,)*) => {
        /// A figure, and the unit it is kept in.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum Figure {
            $(#[doc = $doc] $variant,)*
        }

        impl Figure {
            /// Heading of its column, with the unit it is printed in.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// What it is, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }

            /// As it is printed below its label.
            pub fn print(self, value: f64) -> String {
                let (scale, digits): (f64, usize) = match self {
                    $(Self::$variant => ($scale, $digits),)*
                };
                format!("{:.digits$}", value / scale)
            }
        }
    };
}

figures! {
    DurablePerS "durable k/s" 1e3 1 "Entries a second, from the first push until all are durable.",
    PayloadMbPerS "payload MB/s" 1.0 0 "Megabytes of payload a second, in the same time.",
    PushNs "push ns" 1.0 0 "What a push took on average, waits for room included.",
    CpuSPerMillion "cpu s/M" 1.0 3 "Processor seconds per million entries, of all threads: a producer that waits for room may be busy.",
    WriterCpuSPerMillion "writer s/M" 1.0 3 "Of these, all but the producers'.",
    FileByPayload "file/payload" 1.0 2 "Length of the files after closing, by bytes of payload.",
    DiskByPayload "disk/payload" 1.0 2 "What the files take on the disk after closing, by bytes of payload.",
    PeakMemoryMb "peak MB" 1.0 0 "The most memory the process had resident, up to closing.",
    CloseS "close s" 1.0 3 "Closing, when everything is durable: for tapline, the sort of the keys and the seal.",
    AchievedPerS "achieved/s" 1.0 0 "Messages a second that were sent; less than asked for when the system could not keep up.",
    CaptureP50 "push p50 ns" 1.0 0 "The push call, median, with the cost of reading the clock.",
    CaptureP99 "push p99 ns" 1.0 0 "The push call, one in a hundred.",
    CaptureP999 "push p99.9 ns" 1.0 0 "The push call, one in a thousand.",
    IntendedP50 "from due p50 ns" 1.0 0 "From the time a message was due until its push returned, median.",
    IntendedP999 "from due p99.9 ns" 1.0 0 "The same, one in a thousand.",
    HiccupP999 "hiccup p99.9 ns" 1.0 0 "By how much the producer's waits for the next message ended late, of the same run: what the machine did.",
    AckP50 "ack p50 us" 1e3 1 "From acceptance until durable, median.",
    AckP99 "ack p99 us" 1e3 1 "The same, one in a hundred.",
    CommitP50 "commit p50 us" 1e3 1 "One write and sync, median, where the system tells.",
    TimerNs "clock ns" 1.0 1 "What reading the clock adds to every duration.",
    ScanPerS "scan M/s" 1e6 2 "Entries scanned a second, one core, the second time (page cache warm).",
    VerifyPerS "verify M/s" 1e6 2 "Entries verified a second, one core, page cache warm.",
    VerifyGbPerS "verify GB/s" 1.0 2 "Gigabytes of payload verified a second.",
    ReaderMb "reader MB" 1.0 0 "The most memory resident while reading, less what was before the reader was opened.",
    SeqP50 "by seq p50 ns" 1.0 0 "Reading one entry by its place, median.",
    SeqP99 "by seq p99 ns" 1.0 0 "The same, one in a hundred.",
    KeyP50 "by key p50 ns" 1.0 0 "Looking a key up and reading the entry, median.",
    KeyP99 "by key p99 ns" 1.0 0 "The same, one in a hundred.",
    LookupP50 "lookup p50 ns" 1.0 0 "Of that, looking the key up, median.",
    HashGbPerS "BLAKE3 GB/s" 1.0 2 "Gigabytes hashed a second by one core, a megabyte at a time.",
    FileMb "file MB" 1.0 0 "Length of the run's file, as it was left behind.",
    RecoverS "recover s" 1.0 3 "From the start of the sweep until the run is sealed, one core, page cache warm.",
    RecoverGbPerS "recover GB/s" 1.0 2 "Gigabytes of that file a second.",
    VerifyS "verify s" 1.0 3 "Verifying the sealed run, likewise.",
    ElapsedS "elapsed s" 1.0 2 "From start to end of the process.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_survives_the_way_through_json() {
        let mut latencies = Latencies::new();
        (1..5_000).for_each(|nanos| latencies.record(nanos * 7));
        let mut outcome = Outcome::new("tapline", "as it is".to_owned());
        outcome.keep("ack", latencies, &[(Figure::AckP50, 0.5)]);
        outcome.set(Figure::CpuSPerMillion, 0.25);
        outcome.set(Figure::FileByPayload, None);
        let point = TimePoint { p50: 1, p99: 2, max: 3 };
        let timeline = Timeline { interval_ms: 100, points: vec![Some(point), None] };
        outcome.timelines.insert("ack".to_owned(), timeline);

        let text = serde_json::to_string(&outcome).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), outcome);
        assert_eq!(outcome.figures.len(), 2);
    }
}
