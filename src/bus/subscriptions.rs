use std::collections::HashMap;
use std::rc::Rc;

use super::{Handler, topic_matches};

/// The topics whose subscribers are remembered: as many as a tap takes by default (`names_max`).
/// When there are more, all are forgotten and found again as they come.
pub(super) const CACHED_TOPICS_MAX: usize = 65_536;

/// Names one subscription of one bus. Never used again, also after the subscription is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(u64);

/// Who subscribed to what, and a cache of which topics that means.
#[derive(Default)]
pub(super) struct Subscriptions {
    /// In the order they were made, so also by id.
    entries: Vec<Subscription>,
    /// Topic to the handlers it reaches. Every handler in here is also in `entries`, so
    /// forgetting a topic never drops the last reference to a handler, which could run code that
    /// uses the bus.
    cache: HashMap<Box<str>, Rc<[Handler]>, foldhash::fast::RandomState>,
    last_id: u64,
}

pub(super) struct Subscription {
    id: SubscriptionId,
    pattern: Box<str>,
    handler: Handler,
}

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The handlers a message on `topic` reaches, in the order they subscribed.
    #[inline]
    pub(super) fn handlers(&mut self, topic: &str) -> Rc<[Handler]> {
        match self.cache.get(topic) {
            Some(handlers) => Rc::clone(handlers),
            None => self.find_handlers(topic),
        }
    }

    #[cold]
    fn find_handlers(&mut self, topic: &str) -> Rc<[Handler]> {
        let matching = self.entries.iter().filter(|s| topic_matches(&s.pattern, topic));
        let handlers: Rc<[Handler]> = matching.map(|s| Rc::clone(&s.handler)).collect();
        if self.cache.len() >= CACHED_TOPICS_MAX {
            self.cache.clear();
        }
        self.cache.insert(topic.into(), Rc::clone(&handlers));
        handlers
    }

    pub(super) fn add(&mut self, pattern: &str, handler: Handler) -> SubscriptionId {
        self.last_id += 1;
        let id = SubscriptionId(self.last_id);
        self.forget_topics(pattern);
        self.entries.push(Subscription { id, pattern: pattern.into(), handler });
        id
    }

    /// Takes a subscription out. The caller drops it.
    pub(super) fn remove(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let position = self.entries.binary_search_by_key(&id, |s| s.id).ok()?;
        let removed = self.entries.remove(position);
        self.forget_topics(&removed.pattern);
        Some(removed)
    }

    /// Forgets the topics `pattern` matches; for the others nothing has changed.
    fn forget_topics(&mut self, pattern: &str) {
        self.cache.retain(|topic, _| !topic_matches(pattern, topic));
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{CACHED_TOPICS_MAX, Subscriptions};

    #[test]
    fn a_topic_seen_before_is_found_again_without_matching() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.add("a*", Rc::new(|_| ()));
        let first = subscriptions.handlers("ab");
        assert!(Rc::ptr_eq(&first, &subscriptions.handlers("ab")));
    }

    #[test]
    fn a_change_forgets_the_topics_it_is_about_and_no_others() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.add("*", Rc::new(|_| ()));
        let (a, b) = (subscriptions.handlers("a"), subscriptions.handlers("b"));
        let id = subscriptions.add("a*", Rc::new(|_| ()));
        assert_eq!(subscriptions.handlers("a").len(), 2);
        assert!(Rc::ptr_eq(&b, &subscriptions.handlers("b")));
        assert!(subscriptions.remove(id).is_some());
        assert_eq!(subscriptions.handlers("a").len(), 1);
        assert_eq!(a.len(), 1);
        assert!(Rc::ptr_eq(&b, &subscriptions.handlers("b")));
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.add("*", Rc::new(|_| ()));
        for topic in 0..=CACHED_TOPICS_MAX {
            assert_eq!(subscriptions.handlers(&topic.to_string()).len(), 1);
            assert!(subscriptions.cache.len() <= CACHED_TOPICS_MAX);
        }
        assert_eq!(subscriptions.cache.len(), 1, "the last one started over");
    }
}
