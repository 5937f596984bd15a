//! Findings of images that do not count, by somebody's word: a trusted signer's, or that of whoever granted a waiver.
//!
//! The index does not find that out: what was decided of an image says it. It is not part of the stored form either, since
//! decisions are kept elsewhere and may change while the index is not looked at.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Answer, Fleet, ImageKey, Stale};

/// By what right a finding of an image does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Excuse {
    /// A trusted signer says that the vulnerability does not matter there.
    Vex,
    /// Somebody bears it for a while.
    Waiver,
}

/// Images with an excuse, by the id of what it is about.
#[derive(Debug, Default)]
pub(super) struct Excuses {
    by_id: HashMap<Arc<str>, [RoaringBitmap; 2]>,
    /// The ids that each image has excuses for.
    of_image: BTreeMap<u32, Box<[Arc<str>]>>,
}

impl Excuses {
    pub(super) fn clear(&mut self, image: u32) {
        for id in self.of_image.remove(&image).unwrap_or_default() {
            let Some(sets) = self.by_id.get_mut(&id) else {
                continue;
            };
            for set in &mut *sets {
                set.remove(image);
            }
            if sets.iter().all(RoaringBitmap::is_empty) {
                self.by_id.remove(&id);
            }
        }
    }

    fn put(&mut self, image: u32, excuses: BTreeMap<String, Excuse>) {
        self.clear(image);
        let mut ids = Vec::with_capacity(excuses.len());
        for (id, excuse) in excuses {
            let known = self
                .by_id
                .get_key_value(id.as_str())
                .map(|(id, _)| Arc::clone(id));
            let id = known.unwrap_or_else(|| id.into());
            let sets = self.by_id.entry(Arc::clone(&id)).or_default();
            sets[excuse as usize].insert(image);
            ids.push(id);
        }
        if !ids.is_empty() {
            self.of_image.insert(image, ids.into());
        }
    }

    /// Bytes in memory, estimated.
    pub(super) fn bytes(&self) -> usize {
        let sets = self.by_id.values().flatten();
        let sets: usize = sets.map(|set| super::posting::bitmap_bytes(set) + 64).sum();
        let lists: usize = self.of_image.values().map(|ids| ids.len() * 16 + 48).sum();
        sets + lists
    }
}

/// Ids are the same however they are spelt.
fn spelt(id: &str) -> String {
    id.to_ascii_lowercase()
}

impl Fleet {
    /// All excuses that an image has, in place of those that it had. Where an id has both, the weaker one counts: a waiver. Of an
    /// image that is not known nothing is kept.
    pub fn set_excuses<'a>(&mut self, key: &ImageKey, excuses: impl IntoIterator<Item = (&'a str, Excuse)>) {
        let Some(number) = self.number_of(key) else { return };
        let mut by_id = BTreeMap::new();
        for (id, excuse) in excuses {
            let known = by_id.entry(spelt(id)).or_insert(excuse);
            *known = (*known).max(excuse);
        }
        self.excuses.put(number, by_id);
    }

    /// Has images that have an excuse for one of these ids counted apart, and nobody told to do anything about them.
    ///
    /// # Errors
    /// The index has changed since.
    pub fn excuse<'a>(
        &self,
        answer: &mut Answer,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Stale> {
        if answer.epoch != self.epoch {
            return Err(Stale);
        }
        let open = answer.images();
        let mut excused = [RoaringBitmap::new(), RoaringBitmap::new()];
        for sets in ids
            .into_iter()
            .filter_map(|id| self.excuses.by_id.get(spelt(id).as_str()))
        {
            for (excused, set) in excused.iter_mut().zip(sets) {
                *excused |= set & &open;
            }
        }
        let [vex, waived] = excused;
        // One vulnerability under two ids: the weaker word counts.
        answer.vex = vex - &waived;
        answer.waived = waived;
        Ok(())
    }
}
