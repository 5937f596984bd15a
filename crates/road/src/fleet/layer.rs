//! Layers: which units lie where.

use super::{
    Fleet,
    facts::LayerFacts,
    posting::Posting,
    short::Short,
    slots::{Keyed, at},
    unit::Spot,
};

/// A layer by all that is said of it: another analyser's word about the same blob is another one.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) fingerprint: [u8; 32],
    pub(super) blob: Short,
    pub(super) diff_id: Short,
    pub(super) places: Box<[Placed]>,
}

/// A unit where the layer has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) unit: u32,
    pub(super) path: u32,
    /// The package of the distribution that it belongs to.
    pub(super) owned_by: u32,
}

impl Keyed for Layer {
    type Key = [u8; 32];

    fn key(&self) -> [u8; 32] {
        self.fingerprint
    }
}

impl Fleet {
    pub(super) fn intern_layer(&mut self, facts: &LayerFacts) -> u32 {
        let fingerprint = facts.fingerprint();
        if let Some(number) = self.layers.find(&fingerprint) {
            return number;
        }
        let mut places = Vec::with_capacity(facts.units().len());
        for placed in facts.units() {
            places.push(Placed {
                unit: self.intern_unit(placed),
                path: self.strings.intern(&placed.path),
                owned_by: self.strings.intern_some(placed.owned_by.as_deref()),
            });
        }
        let layer = Layer {
            fingerprint,
            blob: Short::of(facts.blob(), &mut self.strings),
            diff_id: Short::of_some(facts.diff_id(), &mut self.strings),
            places: places.into(),
        };
        self.put_layer(layer)
    }

    pub(super) fn put_layer(&mut self, layer: Layer) -> u32 {
        let units: Vec<u32> = layer.places.iter().map(|placed| placed.unit).collect();
        let number = self.layers.insert(layer);
        *at(&mut self.layer_images, number) = Posting::None;
        at(&mut self.layer_hidden, number).clear();
        for (place, unit) in units.into_iter().enumerate() {
            let spot = Spot {
                layer: number,
                place: super::dense(place),
            };
            at(&mut self.unit_spots, unit).insert(spot);
        }
        number
    }

    /// Forgets a layer that no image has, and the units that lie in no other one.
    pub(super) fn drop_layer(&mut self, number: u32) {
        let Some(layer) = self.layers.remove(number) else {
            return;
        };
        *at(&mut self.layer_hidden, number) = Vec::new();
        for placed in &layer.places {
            let spots = at(&mut self.unit_spots, placed.unit);
            spots.leave(number);
            if spots.as_slice().is_empty() {
                // A unit that lies in the layer twice is gone the second time.
                self.drop_unit(placed.unit);
            }
        }
    }

    /// The images that hide a place of a layer.
    pub(super) fn hiding(&self, spot: Spot) -> &Posting {
        let hidden = self.layer_hidden.get(spot.layer as usize);
        let hidden = hidden.map(Vec::as_slice).unwrap_or_default();
        match hidden.binary_search_by_key(&spot.place, |(place, _)| *place) {
            Ok(index) => &hidden[index].1,
            Err(_) => &Posting::None,
        }
    }

    pub(super) fn hide(&mut self, spot: Spot, image: u32) {
        let hidden = at(&mut self.layer_hidden, spot.layer);
        match hidden.binary_search_by_key(&spot.place, |(place, _)| *place) {
            Ok(index) => hidden[index].1.insert(image),
            Err(index) => hidden.insert(index, (spot.place, Posting::One(image))),
        }
    }

    pub(super) fn unhide(&mut self, spot: Spot, image: u32) {
        let hidden = at(&mut self.layer_hidden, spot.layer);
        if let Ok(index) = hidden.binary_search_by_key(&spot.place, |(place, _)| *place) {
            hidden[index].1.remove(image);
            if hidden[index].1.is_empty() {
                hidden.remove(index);
            }
        }
    }
}
