//! Start-time fair queueing on one level: whose turn it is among those who wait.
//!
//! Goyal, Vin, Cheng: "Start-time Fair Queueing" (1996). Each flow has a tag: the virtual time at which its next request
//! would start if everybody were served at the same time. The smallest tag is next, and the clock goes to it. Whoever comes
//! back after a pause begins at the clock: nobody saves up for later, and nobody who was busy begins before the others.

use std::collections::BTreeSet;

/// Virtual time of one request that costs 1. Divisible by each weight up to [`MAX_WEIGHT`].
const UNIT: u64 = 840;

/// Most weight of one flow.
pub(super) const MAX_WEIGHT: u64 = 8;

/// The flows that wait, by their tags.
#[derive(Debug)]
pub(super) struct Turns<K> {
    clock: u64,
    order: BTreeSet<(u64, K)>,
}

/// What one flow has had.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tags {
    start: u64,
    finish: u64,
    /// Had beyond what was known when its turn came.
    debt: u64,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self {
            clock: 0,
            order: BTreeSet::new(),
        }
    }
}

impl<K: Copy + Ord> Turns<K> {
    /// A flow has something that waits, and had nothing before.
    pub(super) fn enter(&mut self, key: K, tags: &mut Tags) {
        tags.start = tags.finish.max(self.clock);
        self.order.insert((tags.start, key));
    }

    /// Nothing of a flow waits any more, though it was not served.
    pub(super) fn leave(&mut self, key: K, tags: &Tags) {
        self.order.remove(&(tags.start, key));
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<K> {
        self.order.first().map(|(_, key)| *key)
    }

    /// It was somebody's turn. `goes_on`: more of it waits.
    pub(super) fn served(&mut self, key: K, tags: &mut Tags, cost: u64, weight: u64, goes_on: bool) {
        self.order.remove(&(tags.start, key));
        self.clock = self.clock.max(tags.start);
        let cost = cost.saturating_add(std::mem::take(&mut tags.debt)).max(1);
        let virtual_cost = cost.saturating_mul(UNIT) / weight.clamp(1, MAX_WEIGHT);
        tags.finish = tags.start.saturating_add(virtual_cost);
        if goes_on {
            self.enter(key, tags);
        }
    }

    /// Flows that wait.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether it makes no difference whether a flow that does not wait is remembered.
    pub(super) fn forgives(&self, tags: &Tags) -> bool {
        tags.finish <= self.clock && tags.debt == 0
    }
}

impl Tags {
    /// More was had than was known when the turn came.
    pub(super) fn owe(&mut self, cost: u64) {
        self.debt = self.debt.saturating_add(cost);
    }
}
