use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;

use super::{DataMarkerConfig, DataPoint, ExtractorRegistry};
use crate::format::{DataMark, MarkedRecord};
use crate::model::{DataMarkerClass, UnixNanos};
use crate::ring::{NameMap, Producer};

/// What the taps of a run mark.
#[derive(Debug)]
pub(crate) struct MarkerScope {
    registry: ExtractorRegistry,
    is_enabled: [bool; DataMarkerClass::ALL.len()],
    high_fidelity: HashSet<String>,
    streams_max: usize,
}

/// Marks the market data that passes one thread's tap.
#[derive(Debug)]
pub(crate) struct MarkerTap {
    scope: Arc<MarkerScope>,
    /// By class, the number of each instrument's stream.
    streams: [NameMap<u32>; DataMarkerClass::ALL.len()],
    /// By number.
    cursors: Vec<TapCursor>,
}

/// How far a stream has come at this tap.
#[derive(Debug, Default)]
struct TapCursor {
    count: u64,
    ts_init: UnixNanos,
    ts_init_hi: UnixNanos,
    /// Records just before the last one that have its `ts_init`.
    same_ts_ordinal: u32,
    is_announced: bool,
    is_high_fidelity: bool,
}

impl MarkerScope {
    pub(crate) fn new(registry: ExtractorRegistry, config: &DataMarkerConfig) -> Self {
        Self {
            registry,
            is_enabled: DataMarkerClass::ALL.map(|class| config.classes.contains(&class)),
            high_fidelity: config.high_fidelity.iter().cloned().collect(),
            streams_max: config.streams_max,
        }
    }
}

impl MarkerTap {
    pub(crate) fn new(scope: Arc<MarkerScope>) -> Self {
        Self { scope, streams: Default::default(), cursors: Vec::new() }
    }

    /// Marks `message` through `producer`, if it is market data that is to be marked.
    #[inline]
    pub(crate) fn observe(&mut self, message: &dyn Any, producer: &mut Producer) {
        let Self { scope, streams, cursors } = self;
        let Some(extractor) = scope.registry.find(message) else { return };
        let Some(point) = (extractor.extract)(message) else { return };
        let class = point.class;
        if !scope.is_enabled[class.index()] {
            return;
        }
        let streams = &mut streams[class.index()];
        let known = streams.get(point.identifier);
        let known =
            known.or_else(|| new_stream(scope, streams, cursors, point.identifier, producer));
        let Some(stream) = known else {
            return producer.shed_mark();
        };
        let cursor = &mut cursors[stream as usize];
        cursor.advance(&point);
        if !cursor.is_announced {
            cursor.is_announced = producer.announce_stream(stream, class, point.identifier);
            if !cursor.is_announced {
                return producer.shed_mark();
            }
        }
        let mark = DataMark {
            stream,
            count: cursor.count,
            ts_event: point.ts_event,
            ts_init: point.ts_init,
            ts_init_hi: cursor.ts_init_hi,
        };
        match &extractor.fingerprint {
            Some(fingerprint) if cursor.is_high_fidelity => {
                let same_ts_ordinal = cursor.same_ts_ordinal;
                let record = fingerprint(message)
                    .map(|fingerprint| MarkedRecord { fingerprint, same_ts_ordinal });
                producer.mark(&mark, record.as_ref());
            }
            _ => producer.mark(&mark, None),
        }
    }
}

/// A number for a new stream; `None` where it cannot have one.
#[cold]
fn new_stream(
    scope: &MarkerScope,
    streams: &mut NameMap<u32>,
    cursors: &mut Vec<TapCursor>,
    identifier: &str,
    producer: &Producer,
) -> Option<u32> {
    let has_room = cursors.len() < scope.streams_max;
    if !has_room || identifier.len() > producer.name_bytes_max() {
        return None;
    }
    let stream = cursors.len() as u32;
    let is_high_fidelity = scope.high_fidelity.contains(identifier);
    cursors.push(TapCursor { is_high_fidelity, ..TapCursor::default() });
    streams.insert(identifier, stream);
    Some(stream)
}

impl TapCursor {
    #[inline]
    fn advance(&mut self, point: &DataPoint<'_>) {
        let repeats = self.count > 0 && self.ts_init == point.ts_init;
        self.same_ts_ordinal = if repeats { self.same_ts_ordinal.saturating_add(1) } else { 0 };
        self.count += 1;
        self.ts_init = point.ts_init;
        self.ts_init_hi = self.ts_init_hi.max(point.ts_init);
    }
}
