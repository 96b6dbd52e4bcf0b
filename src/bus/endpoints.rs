use std::collections::HashMap;
use std::rc::Rc;

use super::Handler;
use super::timer::TIMER_PREFIX;

/// Which handler is at which endpoint.
///
/// A timer is an endpoint like any other, but kept by the timer's name, so that firing it builds
/// no string and needs one look-up.
#[derive(Default)]
pub(super) struct Endpoints {
    /// Endpoint to handler, without the timers.
    plain: HashMap<Box<str>, Handler, foldhash::fast::RandomState>,
    /// Timer name, the endpoint without its prefix, to timer.
    timers: HashMap<Box<str>, Timer, foldhash::fast::RandomState>,
}

/// A timer's endpoint, written out, and its handler.
#[derive(Clone)]
pub(super) struct Timer {
    pub(super) endpoint: Rc<str>,
    pub(super) handler: Handler,
}

impl Endpoints {
    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.timers.len()
    }

    #[inline]
    pub(super) fn get(&self, endpoint: &str) -> Option<&Handler> {
        match endpoint.strip_prefix(TIMER_PREFIX) {
            Some(name) => self.timers.get(name).map(|timer| &timer.handler),
            None => self.plain.get(endpoint),
        }
    }

    #[inline]
    pub(super) fn timer(&self, name: &str) -> Option<&Timer> {
        self.timers.get(name)
    }

    /// Adds a handler at an endpoint that has none.
    pub(super) fn insert(&mut self, endpoint: &str, handler: Handler) {
        let replaced = match endpoint.strip_prefix(TIMER_PREFIX) {
            Some(name) => self
                .timers
                .insert(name.into(), Timer { endpoint: endpoint.into(), handler })
                .is_some(),
            None => self.plain.insert(endpoint.into(), handler).is_some(),
        };
        debug_assert!(!replaced, "the caller checked that {endpoint} is free");
    }

    /// Takes the handler out. The caller drops it.
    pub(super) fn remove(&mut self, endpoint: &str) -> Option<Handler> {
        match endpoint.strip_prefix(TIMER_PREFIX) {
            Some(name) => self.timers.remove(name).map(|timer| timer.handler),
            None => self.plain.remove(endpoint),
        }
    }
}
