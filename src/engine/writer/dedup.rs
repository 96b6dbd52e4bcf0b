use std::collections::HashSet;

/// The identities of the last messages that had one, to recognise a message that passes a second
/// tap. Kept by the writer, so that it holds across threads and costs the capture path nothing.
#[derive(Debug)]
pub(super) struct DedupWindow {
    known: HashSet<Identity, foldhash::fast::RandomState>,
    /// The known identities in the order they came, as a ring.
    order: Vec<Identity>,
    oldest: usize,
    capacity: usize,
}

/// Number of the payload type, and the message's id: a command and its acknowledgement may go by
/// the same id and are two messages.
type Identity = (u32, u128);

impl DedupWindow {
    /// A window over `capacity` identities; 0 recognises nothing.
    pub(super) fn new(capacity: usize) -> Self {
        // Allocated at once: to grow a large set takes long, and the rings would fill meanwhile.
        let hasher = foldhash::fast::RandomState::default();
        let known = HashSet::with_capacity_and_hasher(capacity + 1, hasher);
        Self { known, order: Vec::with_capacity(capacity), oldest: 0, capacity }
    }

    /// Notes an identity; says whether it was known.
    pub(super) fn is_repeat(&mut self, identity: Identity) -> bool {
        if self.capacity == 0 {
            return false;
        }
        if !self.known.insert(identity) {
            return true;
        }
        if self.order.len() < self.capacity {
            self.order.push(identity);
        } else {
            let forgotten = std::mem::replace(&mut self.order[self.oldest], identity);
            self.known.remove(&forgotten);
            self.oldest = (self.oldest + 1) % self.capacity;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_beyond_capacity() {
        let mut window = DedupWindow::new(2);
        assert!(!window.is_repeat((7, 1)));
        assert!(!window.is_repeat((7, 2)));
        assert!(window.is_repeat((7, 1)));
        assert!(!window.is_repeat((7, 3)), "3 pushes 1, the oldest, out");
        assert!(window.is_repeat((7, 2)));
        assert!(!window.is_repeat((7, 1)), "1 is forgotten and pushes 2 out");
        assert!(!window.is_repeat((7, 2)));
        assert_eq!(window.known.len(), 2);
        assert!(!window.is_repeat((8, 2)), "of another type it is another message");
    }

    #[test]
    fn capacity_zero_recognises_nothing() {
        let mut window = DedupWindow::new(0);
        assert!(!window.is_repeat((7, 1)));
        assert!(!window.is_repeat((7, 1)));
    }
}
