use std::any::{Any, TypeId};
use std::collections::HashSet;
use std::sync::Arc;

use super::{DataMarkerConfig, DataPoint, ExtractorRegistry};
use crate::format::{DataMark, MarkedRecord};
use crate::model::{DataMarkerClass, Hash, UnixNanos};
use crate::ring::{NameMap, Producer};

/// What the taps of a run mark.
#[derive(Debug)]
pub(crate) struct MarkerScope {
    registry: ExtractorRegistry,
    is_enabled: [bool; DataMarkerClass::ALL.len()],
    high_fidelity: HashSet<String>,
    streams_max: usize,
}

/// What a message is to a tap that marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observed {
    /// Nothing but market data: no encoder has to be looked for.
    OnlyData,
    /// Something that may have an encoder.
    PerhapsMessage,
}

/// Marks the market data that passes one thread's tap.
#[derive(Debug)]
pub(crate) struct MarkerTap {
    scope: Arc<MarkerScope>,
    streams: TapStreams,
}

/// The streams that have passed one tap.
#[derive(Debug, Default)]
struct TapStreams {
    /// By class, each instrument's place in `cursors`.
    indices: [NameMap<usize>; DataMarkerClass::ALL.len()],
    cursors: Vec<TapCursor>,
    /// Streams that are announced so far. Their numbers count up from 0 in the order of their announcements.
    announced: u32,
}

/// How far a stream has come at this tap.
#[derive(Debug, Default)]
struct TapCursor {
    count: u64,
    ts_init: UnixNanos,
    ts_init_hi: UnixNanos,
    /// Records just before the last one that have its `ts_init`.
    same_ts_ordinal: u32,
    /// The stream's number, once it is announced.
    number: Option<u32>,
    is_high_fidelity: bool,
}

impl MarkerScope {
    /// `is_captured` says which types have an encoder too.
    pub(crate) fn new(
        mut registry: ExtractorRegistry,
        is_captured: impl Fn(TypeId) -> bool,
        config: &DataMarkerConfig,
    ) -> Self {
        registry.note_captured(is_captured);
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
        Self { scope, streams: TapStreams::default() }
    }

    /// Marks `message` through `producer`, if it is market data that is to be marked.
    #[inline]
    pub(crate) fn observe(&mut self, message: &dyn Any, producer: &mut Producer) -> Observed {
        let Self { scope, streams } = self;
        let Some(extractor) = scope.registry.find(message) else {
            return Observed::PerhapsMessage;
        };
        let observed =
            if extractor.is_captured { Observed::PerhapsMessage } else { Observed::OnlyData };
        if let Some(point) = (extractor.extract)(message)
            && scope.is_enabled[point.class.index()]
        {
            let fingerprint = || extractor.fingerprint.as_ref()?(message);
            streams.mark(scope, &point, fingerprint, producer);
        }
        observed
    }
}

impl TapStreams {
    /// `fingerprint` is asked where the stream is marked with high fidelity.
    #[inline]
    fn mark(
        &mut self,
        scope: &MarkerScope,
        point: &DataPoint<'_>,
        fingerprint: impl FnOnce() -> Option<Hash>,
        producer: &mut Producer,
    ) {
        let known = self.indices[point.class.index()].get(point.identifier);
        let Some(index) = known.or_else(|| self.add(scope, point, producer)) else {
            return producer.shed_mark();
        };
        let cursor = &mut self.cursors[index];
        cursor.advance(point);
        let Some(stream) = cursor.number.or_else(|| self.announce(index, point, producer)) else {
            return producer.shed_mark();
        };
        let cursor = &self.cursors[index];
        let mark = DataMark {
            stream,
            count: cursor.count,
            ts_event: point.ts_event,
            ts_init: point.ts_init,
            ts_init_hi: cursor.ts_init_hi,
        };
        if !cursor.is_high_fidelity {
            return producer.mark(&mark, None);
        }
        let same_ts_ordinal = cursor.same_ts_ordinal;
        let record = fingerprint().map(|fingerprint| MarkedRecord { fingerprint, same_ts_ordinal });
        producer.mark(&mark, record.as_ref());
    }

    /// The place of a new stream; `None` where there can be no more.
    #[cold]
    fn add(
        &mut self,
        scope: &MarkerScope,
        point: &DataPoint<'_>,
        producer: &Producer,
    ) -> Option<usize> {
        let has_room = self.cursors.len() < scope.streams_max;
        if !has_room || point.identifier.len() > producer.name_bytes_max() {
            return None;
        }
        let index = self.cursors.len();
        let is_high_fidelity = scope.high_fidelity.contains(point.identifier);
        self.cursors.push(TapCursor { is_high_fidelity, ..TapCursor::default() });
        self.indices[point.class.index()].insert(point.identifier, index);
        Some(index)
    }

    /// Announces a stream; `None` where there is no room for that. Its data is counted meanwhile.
    #[cold]
    fn announce(
        &mut self,
        index: usize,
        point: &DataPoint<'_>,
        producer: &mut Producer,
    ) -> Option<u32> {
        let number = self.announced;
        if !producer.announce_stream(number, point.class, point.identifier) {
            return None;
        }
        self.announced += 1;
        self.cursors[index].number = Some(number);
        Some(number)
    }
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
