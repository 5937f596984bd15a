//! Which ids mean the same vulnerability: the closure of what advisories call their aliases.

use std::{collections::HashMap, sync::Arc};

/// Sets of ids, joined as aliases are learned.
#[derive(Debug, Default)]
pub(super) struct AliasSets {
    numbers: HashMap<Arc<str>, u32>,
    ids: Vec<Arc<str>>,
    parents: Vec<u32>,
}

impl AliasSets {
    /// The number of an id.
    pub(super) fn number(&mut self, id: &Arc<str>) -> u32 {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        // An index has far fewer ids than `u32` has numbers: the limits of documents and index see to it.
        let number = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.numbers.insert(id.clone(), number);
        self.ids.push(id.clone());
        self.parents.push(number);
        number
    }

    /// The two mean the same.
    pub(super) fn join(&mut self, left: u32, right: u32) {
        let [left, right] = [self.root(left), self.root(right)];
        if let Some(parent) = self.parents.get_mut(left.max(right) as usize) {
            *parent = left.min(right);
        }
    }

    /// The number that stands for all that means the same. Halves the way on each walk, so that ways stay short.
    pub(super) fn root(&mut self, mut number: u32) -> u32 {
        loop {
            let parent = self.parents[number as usize];
            if parent == number {
                return number;
            }
            let grandparent = self.parents[parent as usize];
            self.parents[number as usize] = grandparent;
            number = grandparent;
        }
    }

    /// The sets, each with its ids sorted, and for each id the number of its set.
    pub(super) fn into_sets(mut self) -> (Vec<Vec<Arc<str>>>, Vec<u32>) {
        let mut sets: Vec<Vec<Arc<str>>> = Vec::new();
        let mut set_of_root: HashMap<u32, u32> = HashMap::new();
        let mut set_of: Vec<u32> = Vec::with_capacity(self.ids.len());
        for number in 0..self.ids.len() {
            let root = self.root(u32::try_from(number).unwrap_or(u32::MAX));
            let set = *set_of_root.entry(root).or_insert_with(|| {
                sets.push(Vec::new());
                u32::try_from(sets.len() - 1).unwrap_or(u32::MAX)
            });
            sets[set as usize].push(self.ids[number].clone());
            set_of.push(set);
        }
        for set in &mut sets {
            set.sort_unstable();
        }
        (sets, set_of)
    }
}

/// The id by which people know it.
pub(super) fn best_known(ids: &[Arc<str>]) -> Option<Arc<str>> {
    let first = |prefix: &str| ids.iter().find(|id| id.starts_with(prefix));
    first("CVE-")
        .or_else(|| first("GHSA-"))
        .or_else(|| ids.first())
        .cloned()
}
