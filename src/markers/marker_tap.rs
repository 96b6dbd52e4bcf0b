use std::any::{Any, TypeId};
use std::collections::HashSet;
use std::sync::Arc;

use super::{DataMarkerConfig, DataPoint, ExtractorRegistry};
use crate::engine::{Announced, NameMap, Producer};
use crate::format::{DataMark, MarkedRecord};
use crate::model::{DataMarkerClass, Hash, UnixNanos};

/// What the taps of a run mark.
#[derive(Debug)]
pub(crate) struct MarkerScope {
    registry: ExtractorRegistry,
    is_enabled: [bool; DataMarkerClass::ALL.len()],
    high_fidelity: HashSet<String>,
    streams_max: usize,
}

/// What a tap that marks has found a message to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observed {
    /// Market data and nothing else. It has no encoder.
    OnlyData,
    /// It may have an encoder.
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
    /// By class, then by instrument.
    cursors: [NameMap<TapCursor>; DataMarkerClass::ALL.len()],
    /// How many streams are announced. Streams get numbers from 0, in the order of their
    /// announcements.
    announced: u32,
}

/// How far a stream has come at this tap.
#[derive(Debug)]
struct TapCursor {
    /// The stream's number, once it is announced.
    number: Option<u32>,
    count: u64,
    ts_init_hi: UnixNanos,
    /// Only if the stream is marked with high fidelity.
    last_record: Option<LastRecord>,
}

/// What tells a record from others with the same `ts_init`.
#[derive(Debug, Default)]
struct LastRecord {
    /// `None` before the first record.
    ts_init: Option<UnixNanos>,
    /// How many records right before it have the same `ts_init`.
    same_ts_ordinal: u32,
}

impl MarkerScope {
    /// `is_captured` says which types also have an encoder.
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

    /// True if there is nothing to mark.
    pub(crate) fn is_empty(&self) -> bool {
        self.registry.is_empty()
    }
}

impl MarkerTap {
    pub(crate) fn new(scope: Arc<MarkerScope>) -> Self {
        Self { scope, streams: TapStreams::default() }
    }

    /// Marks `message` through `producer` if it is market data of a class to be marked.
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
    /// `fingerprint` is called only if the stream is marked with high fidelity.
    #[inline]
    fn mark(
        &mut self,
        scope: &MarkerScope,
        point: &DataPoint<'_>,
        fingerprint: impl FnOnce() -> Option<Hash>,
        producer: &mut Producer,
    ) {
        let known = self.cursors[point.class.index()].get_mut(point.identifier);
        if let Some(cursor) = known
            && let Some(stream) = cursor.number
        {
            cursor.mark(stream, point, fingerprint, producer);
        } else {
            self.announce(scope, point, fingerprint, producer);
        }
    }

    /// Announces a stream and marks its data. Only counts the data if there is no room.
    #[cold]
    fn announce(
        &mut self,
        scope: &MarkerScope,
        point: &DataPoint<'_>,
        fingerprint: impl FnOnce() -> Option<Hash>,
        producer: &mut Producer,
    ) {
        let (number, class) = (self.announced, point.class);
        let Some(cursor) = self.cursor(scope, point, producer) else {
            return producer.shed_mark();
        };
        if producer.announce_stream(number, class, point.identifier) == Announced::NoRoom {
            cursor.count(point);
            return producer.shed_mark();
        }
        cursor.number = Some(number);
        cursor.mark(number, point, fingerprint, producer);
        self.announced += 1;
    }

    /// The cursor of a stream, new or known; `None` if there can be no more streams.
    fn cursor(
        &mut self,
        scope: &MarkerScope,
        point: &DataPoint<'_>,
        producer: &Producer,
    ) -> Option<&mut TapCursor> {
        let streams: usize = self.cursors.iter().map(NameMap::len).sum();
        let of_class = &mut self.cursors[point.class.index()];
        if of_class.get_mut(point.identifier).is_none() {
            let is_too_long = point.identifier.len() > producer.name_bytes_max();
            if streams == scope.streams_max || is_too_long {
                return None;
            }
            of_class.insert(point.identifier, TapCursor::new(scope, point.identifier));
        }
        of_class.get_mut(point.identifier)
    }
}

impl TapCursor {
    fn new(scope: &MarkerScope, identifier: &str) -> Self {
        let is_high_fidelity = scope.high_fidelity.contains(identifier);
        Self {
            number: None,
            count: 0,
            ts_init_hi: UnixNanos::default(),
            last_record: is_high_fidelity.then(LastRecord::default),
        }
    }

    #[inline]
    fn mark(
        &mut self,
        stream: u32,
        point: &DataPoint<'_>,
        fingerprint: impl FnOnce() -> Option<Hash>,
        producer: &mut Producer,
    ) {
        let same_ts_ordinal = self.count(point);
        let mark = DataMark {
            stream,
            count: self.count,
            ts_event: point.ts_event,
            ts_init: point.ts_init,
            ts_init_hi: self.ts_init_hi,
        };
        if let Some(same_ts_ordinal) = same_ts_ordinal
            && let Some(fingerprint) = fingerprint()
        {
            return producer.mark_record(&mark, &MarkedRecord { fingerprint, same_ts_ordinal });
        }
        producer.mark(&mark);
    }

    /// Counts a record. Returns its ordinal within its `ts_init` if the stream is marked with high
    /// fidelity.
    #[inline]
    fn count(&mut self, point: &DataPoint<'_>) -> Option<u32> {
        self.count += 1;
        self.ts_init_hi = self.ts_init_hi.max(point.ts_init);
        self.last_record.as_mut().map(|last| last.follow(point.ts_init))
    }
}

impl LastRecord {
    fn follow(&mut self, ts_init: UnixNanos) -> u32 {
        let repeats = self.ts_init.replace(ts_init) == Some(ts_init);
        self.same_ts_ordinal = if repeats { self.same_ts_ordinal.saturating_add(1) } else { 0 };
        self.same_ts_ordinal
    }
}
