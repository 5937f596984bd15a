//! Things by a dense number and by what they are called. Numbers of what was taken out are given out again.

use std::hash::{BuildHasher as _, Hash, RandomState};

use hashbrown::HashTable;

use super::dense;

/// What lies in a slot.
pub(super) trait Keyed {
    /// By which it is found.
    type Key: Hash + Eq;

    fn key(&self) -> Self::Key;
}

#[derive(Debug)]
pub(super) struct Slots<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
    table: HashTable<u32>,
    state: RandomState,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            state: RandomState::new(),
        }
    }
}

impl<T: Keyed> Slots<T> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// One more than the largest number.
    pub(super) fn end(&self) -> usize {
        self.items.len()
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.items.get(number as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.items.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let numbered = self.items.iter().enumerate();
        numbered.filter_map(|(number, slot)| Some((dense(number), slot.as_ref()?)))
    }

    pub(super) fn find(&self, key: &T::Key) -> Option<u32> {
        let is_it = |number: &u32| self.get(*number).is_some_and(|item| item.key() == *key);
        self.table.find(self.state.hash_one(key), is_it).copied()
    }

    /// Puts what is not there yet.
    pub(super) fn insert(&mut self, item: T) -> u32 {
        let hash = self.state.hash_one(item.key());
        let number = self.free.pop().unwrap_or_else(|| dense(self.items.len()));
        if number as usize == self.items.len() {
            self.items.push(Some(item));
        } else {
            self.items[number as usize] = Some(item);
        }
        let Self {
            items, table, state, ..
        } = self;
        table.insert_unique(hash, number, |number| {
            let slot = items.get(*number as usize).and_then(Option::as_ref);
            slot.map_or(0, |item| state.hash_one(item.key()))
        });
        number
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        let hash = self.state.hash_one(self.get(number)?.key());
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
        self.free.push(number);
        self.items.get_mut(number as usize)?.take()
    }

    pub(super) fn shrink(&mut self) {
        self.items.shrink_to_fit();
        self.free.shrink_to_fit();
    }

    /// Bytes without what the items have elsewhere.
    pub(super) fn bytes(&self) -> usize {
        let slots = self.items.capacity() * size_of::<Option<T>>();
        slots + self.free.capacity() * 4 + self.table.capacity() * 5
    }
}

/// The list of a number, which is made if it is not there yet.
pub(super) fn at<T: Default + Clone>(lists: &mut Vec<T>, number: u32) -> &mut T {
    let number = number as usize;
    if lists.len() <= number {
        lists.resize(number + 1, T::default());
    }
    &mut lists[number]
}
