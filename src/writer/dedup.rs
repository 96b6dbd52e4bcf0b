use std::collections::HashSet;

/// The identities of the last messages that had one, to recognise a message that passes a second
/// tap. Kept by the writer, so that it holds across threads and costs the capture path nothing.
#[derive(Debug)]
pub(super) struct DedupWindow {
    known: HashSet<u128, foldhash::fast::RandomState>,
    /// The known identities in the order they came, as a ring.
    order: Vec<u128>,
    oldest: usize,
    capacity: usize,
}

impl DedupWindow {
    /// A window over `capacity` identities; 0 recognises nothing.
    pub(super) fn new(capacity: usize) -> Self {
        let known = HashSet::with_hasher(foldhash::fast::RandomState::default());
        Self { known, order: Vec::new(), oldest: 0, capacity }
    }

    /// Notes an identity; says whether it was known.
    pub(super) fn is_repeat(&mut self, identity: u128) -> bool {
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
        assert!(!window.is_repeat(1));
        assert!(!window.is_repeat(2));
        assert!(window.is_repeat(1));
        assert!(!window.is_repeat(3), "3 pushes 1, the oldest, out");
        assert!(window.is_repeat(2));
        assert!(!window.is_repeat(1), "1 is forgotten and pushes 2 out");
        assert!(!window.is_repeat(2));
        assert_eq!(window.known.len(), 2);
    }

    #[test]
    fn capacity_zero_recognises_nothing() {
        let mut window = DedupWindow::new(0);
        assert!(!window.is_repeat(1));
        assert!(!window.is_repeat(1));
    }
}
