//! Images: their layers, when they were there, and what hides what.

use super::{Moment, NONE, facts::Hidden, short::Short, slots::Keyed, unit::Spot};

/// Most intervals that an image is remembered to have been there: whoever pushes and deletes one all day fills no memory. The
/// oldest are joined then.
pub const LIVES: usize = 32;

#[derive(Debug, Clone)]
pub(super) struct Image {
    /// Number of its name.
    pub(super) repository: u32,
    pub(super) digest: Short,
    /// Lowest first.
    pub(super) layers: Box<[u32]>,
    /// Sorted.
    pub(super) hidden: Box<[Hidden]>,
    /// Numbers of texts, sorted as those.
    pub(super) tags: Box<[u32]>,
    /// From and until, in their order. The last one may be open ([`Moment::NEVER`]).
    pub(super) lives: Vec<(Moment, Moment)>,
    pub(super) base_layers: u32,
}

impl Keyed for Image {
    type Key = (u32, Short);

    fn key(&self) -> Self::Key {
        (self.repository, self.digest)
    }
}

impl Image {
    pub(super) fn was_there(&self, at: Moment) -> bool {
        self.lives.iter().any(|(from, until)| *from <= at && at < *until)
    }

    pub(super) fn is_there(&self) -> bool {
        self.lives
            .last()
            .is_some_and(|(_, until)| *until == Moment::NEVER)
    }

    /// Begins an interval, unless it is there.
    pub(super) fn begin(&mut self, at: Moment) {
        if self.is_there() {
            return;
        }
        let from = self.lives.last().map_or(at, |(_, until)| at.max(*until));
        self.lives.push((from, Moment::NEVER));
        if self.lives.len() > LIVES {
            let (from, _) = self.lives.remove(0);
            self.lives[0].0 = from;
        }
    }

    /// Ends it.
    pub(super) fn end(&mut self, at: Moment) {
        if !self.is_there() {
            return;
        }
        if let Some((from, until)) = self.lives.last_mut() {
            *until = at.max(*from);
        }
        self.lives.retain(|(from, until)| from < until);
    }

    /// Forgets what ended by then.
    pub(super) fn forget(&mut self, before: Moment) {
        self.lives.retain(|(_, until)| *until > before);
    }

    /// Its layers, each once.
    pub(super) fn distinct_layers(&self) -> Vec<u32> {
        let mut layers = self.layers.to_vec();
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    /// Places that are hidden wherever their layer lies in the stack.
    pub(super) fn hidden_spots(&self) -> Vec<Spot> {
        let mut spots: Vec<Spot> = self
            .hidden
            .iter()
            .map(|hidden| Spot {
                layer: self.layers.get(hidden.layer as usize).copied().unwrap_or(NONE),
                place: hidden.unit,
            })
            .collect();
        spots.sort_unstable();
        let times = |layer: u32| self.layers.iter().filter(|other| **other == layer).count();
        let groups = spots.chunk_by(|left, right| left == right);
        groups
            .filter(|group| group.len() == times(group[0].layer))
            .map(|group| group[0])
            .collect()
    }

    pub(super) fn is_hidden(&self, layer: usize, place: usize) -> bool {
        let hidden = Hidden {
            layer: super::dense(layer),
            unit: super::dense(place),
        };
        self.hidden.binary_search(&hidden).is_ok()
    }
}
