//! Which of several observations counts, whatever the order in which they came.

use std::cmp::Ordering;

use time::OffsetDateTime;

use super::Observation;
use crate::words::{EvidenceId, ItemKey};

/// Sources that are kept of one fact; of more, those with the newest observations.
pub const MAX_SOURCES: usize = 8;

/// Images or happenings that are kept of one fact of one subject: the newest ones.
pub const MAX_ITEMS: usize = 2000;

/// Newer, then trusted more, then of the greater id; what is left only makes the order total.
fn rank(a: &Observation, b: &Observation) -> Ordering {
    let key = |one: &Observation| (one.observed_at, one.source.trust);
    let rest = |one: &Observation| (one.value, one.valid_until);
    key(a)
        .cmp(&key(b))
        .then_with(|| a.id.cmp(&b.id))
        .then_with(|| rest(a).cmp(&rest(b)))
        .then_with(|| a.source.cmp(&b.source))
        .then_with(|| a.events.cmp(&b.events))
}

/// What is known of one state, or of one item: the best observation of each source, best first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Slot(Vec<Observation>);

impl Slot {
    /// Takes one more; answers whether what is kept changed.
    pub(crate) fn offer(&mut self, seen: Observation) -> bool {
        let same = self
            .0
            .iter()
            .position(|known| known.source.name == seen.source.name);
        if let Some(place) = same {
            if rank(&seen, &self.0[place]) != Ordering::Greater {
                return false;
            }
            self.0.remove(place);
        }
        let place = self
            .0
            .partition_point(|known| rank(known, &seen) == Ordering::Greater);
        if place >= MAX_SOURCES {
            return same.is_some();
        }
        // Nearly always one source: room for four would be most of what an organisation takes in memory.
        self.0.reserve_exact(1);
        self.0.insert(place, seen);
        self.0.truncate(MAX_SOURCES);
        true
    }

    /// The one that counts.
    pub(crate) fn best(&self) -> Option<&Observation> {
        self.0.first()
    }

    /// Those of other sources that say something else and still count.
    pub(crate) fn contradictions(&self, now: OffsetDateTime) -> impl Iterator<Item = &EvidenceId> {
        let value = self.best().map(|best| best.value);
        let others = self.0.iter().skip(1);
        let live = others.filter(move |one| one.valid_until.is_none_or(|until| until > now));
        live.filter(move |one| Some(one.value) != value)
            .map(|one| &one.id)
    }
}

/// One image or happening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) key: ItemKey,
    pub(crate) slot: Slot,
}

impl Item {
    fn age(&self) -> (Option<OffsetDateTime>, &ItemKey) {
        (self.slot.best().map(|best| best.observed_at), &self.key)
    }
}

/// What is known of one fact of one subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) state: Slot,
    /// Oldest first.
    pub(crate) items: Vec<Item>,
}

impl Series {
    /// Takes one more; answers whether what is kept changed.
    pub(crate) fn offer(&mut self, key: Option<ItemKey>, seen: Observation) -> bool {
        let Some(key) = key else {
            return self.state.offer(seen);
        };
        // Most is about what came last.
        let found = self.items.iter().rposition(|item| item.key == key);
        let mut item = match found {
            Some(place) => self.items.remove(place),
            None => Item {
                key,
                slot: Slot::default(),
            },
        };
        let changed = item.slot.offer(seen);
        let place = self.items.partition_point(|known| known.age() < item.age());
        self.items.insert(place, item);
        if self.items.len() > MAX_ITEMS {
            self.items.remove(0);
            return changed && (found.is_some() || place > 0);
        }
        changed
    }
}
