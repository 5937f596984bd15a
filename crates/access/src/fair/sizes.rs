//! Who has most waiting.

use std::collections::BTreeSet;

/// Those who wait, by how many requests of theirs do.
#[derive(Debug)]
pub(super) struct Sizes<K>(BTreeSet<(usize, K)>);

impl<K> Default for Sizes<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Copy + Ord> Sizes<K> {
    /// One of them has had `before` and has `now`.
    pub(super) fn change(&mut self, key: K, before: usize, now: usize) {
        self.0.remove(&(before, key));
        if now > 0 {
            self.0.insert((now, key));
        }
    }

    /// Whoever has most.
    pub(super) fn largest(&self) -> Option<K> {
        self.0.last().map(|(_, key)| *key)
    }
}
