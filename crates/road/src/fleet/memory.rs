//! What the index takes.

use super::{
    Fleet,
    posting::{Posting, bitmap_bytes},
    unit::Spots,
};

impl Fleet {
    /// Bytes in memory, estimated from what is held.
    pub fn bytes(&self) -> usize {
        let bitmaps = self
            .repositories
            .values()
            .chain([&self.present, &self.not_scannable]);
        let repositories: usize = bitmaps.map(|bitmap| bitmap_bytes(bitmap) + 64).sum();
        self.strings.bytes()
            + self.os.len() * 300
            + self.package_bytes()
            + self.layer_bytes()
            + self.image_bytes()
            + self.excuses.bytes()
            + repositories
    }

    /// Gives back what was reserved for more. What grows takes up to twice of what it needs.
    pub fn shrink(&mut self) {
        self.strings.shrink();
        self.versions.shrink();
        self.units.shrink();
        self.layers.shrink();
        self.images.shrink();
        self.version_units.shrink_to_fit();
        self.unit_spots.shrink_to_fit();
        self.layer_images.shrink_to_fit();
        self.layer_hidden.shrink_to_fit();
        self.image_os.shrink_to_fit();
        let postings = self.version_units.iter_mut().chain(&mut self.layer_images);
        let postings = postings
            .chain(self.by_name.values_mut())
            .chain(self.classes.values_mut());
        postings.for_each(Posting::shrink);
        self.unit_spots.iter_mut().for_each(Spots::shrink);
    }

    /// [`Fleet::bytes`] by part: texts, packages and units, layers, images.
    pub fn bytes_by_part(&self) -> [usize; 4] {
        [
            self.strings.bytes(),
            self.package_bytes(),
            self.layer_bytes(),
            self.image_bytes(),
        ]
    }

    fn package_bytes(&self) -> usize {
        let postings = self.by_name.values().chain(self.classes.values());
        let names: usize = postings.map(|posting| posting.bytes() + 40).sum();
        let units: usize = self.version_units.iter().map(Posting::bytes).sum();
        let stated: usize = self.units.iter().map(|(_, unit)| unit.packages.bytes()).sum();
        let spots: usize = self.unit_spots.iter().map(Spots::bytes).sum();
        let lists = self.version_units.capacity() + self.unit_spots.capacity();
        self.versions.bytes() + self.units.bytes() + names + units + stated + spots + lists * 24
    }

    fn layer_bytes(&self) -> usize {
        let places: usize = self
            .layers
            .iter()
            .map(|(_, layer)| size_of_val(&*layer.places) + 16)
            .sum();
        let images: usize = self.layer_images.iter().map(Posting::bytes).sum();
        let hidden: usize = self
            .layer_hidden
            .iter()
            .map(|hidden| {
                hidden.capacity() * 32 + hidden.iter().map(|(_, images)| images.bytes()).sum::<usize>()
            })
            .sum();
        let lists = self.layer_images.capacity() + self.layer_hidden.capacity();
        self.layers.bytes() + places + images + hidden + lists * 24
    }

    fn image_bytes(&self) -> usize {
        let own = self.images.iter().map(|(_, image)| {
            let lists = size_of_val(&*image.layers) + size_of_val(&*image.hidden) + size_of_val(&*image.tags);
            lists + image.lives.capacity() * 16 + 64
        });
        self.images.bytes() + own.sum::<usize>() + self.image_os.capacity() * 4
    }
}
