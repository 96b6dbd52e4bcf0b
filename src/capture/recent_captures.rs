use std::any::TypeId;

use uuid::Uuid;

use crate::model::Ticket;

/// The last messages with an identity that a tap captured, to recognise one that passes it again: a
/// command that is sent and then published, say. The writer recognises repeats over all threads and
/// a long window; this finds the common ones before they are encoded a second time.
#[derive(Debug)]
pub(super) struct RecentCaptures {
    last: [Option<(Identity, Ticket)>; RECENT_MAX],
    next: usize,
    window: usize,
}

/// Type and id of a message: a command and its acknowledgement may go by the same id.
pub(super) type Identity = (TypeId, Uuid);

/// Between its two taps a message meets those that its handlers bring meanwhile: a few.
const RECENT_MAX: usize = 8;

impl RecentCaptures {
    /// Remembers no more messages than the writer does; `None` for none.
    pub(super) fn new(dedup_window: usize) -> Option<Self> {
        let window = dedup_window.min(RECENT_MAX);
        (window > 0).then_some(Self { last: [None; RECENT_MAX], next: 0, window })
    }

    /// The ticket of the message that `identity` repeats.
    #[inline]
    pub(super) fn find(&self, identity: Identity) -> Option<Ticket> {
        let known = self.last.iter().flatten().find(|(known, _)| *known == identity);
        known.map(|(_, ticket)| *ticket)
    }

    #[inline]
    pub(super) fn add(&mut self, identity: Identity, ticket: Ticket) {
        self.last[self.next] = Some((identity, ticket));
        self.next = (self.next + 1) % self.window;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_eight_are_recognised() {
        let mut recent = RecentCaptures::new(65_536).expect("it remembers");
        let identity = |id: u128| (TypeId::of::<u8>(), Uuid::from_u128(id));
        let ticket = |ordinal| Ticket { run: 1, producer: 2, ordinal };
        for id in 0..9 {
            recent.add(identity(id), ticket(id as u64));
        }
        assert_eq!(recent.find(identity(0)), None, "the ninth took its place");
        for id in 1..9 {
            assert_eq!(recent.find(identity(id)), Some(ticket(id as u64)));
        }
        assert_eq!(recent.find((TypeId::of::<u16>(), Uuid::from_u128(5))), None);
        assert!(RecentCaptures::new(0).is_none());
    }
}
