//! How the index is kept current: images come, change and go.

use findings::OsRelease;

use super::{
    Fleet, Moment, NONE,
    facts::{ImageFacts, ImageKey},
    image::Image,
    short::Short,
    slots::at,
};

impl Fleet {
    /// An image came, or more is known of one. `at` is when it came; of one that is there already, the moment stands that was
    /// told first.
    pub fn add_image(&mut self, key: &ImageKey, facts: &ImageFacts, moment: Moment) {
        self.epoch += 1;
        let known = self.number_of(key);
        let kept = known.and_then(|number| self.images.get(number)).cloned();
        let layers = facts.layers.iter().map(|layer| self.intern_layer(layer));
        let layers: Box<[u32]> = layers.collect();
        let (repository, digest) = match &kept {
            Some(image) => (image.repository, image.digest),
            None => (
                self.strings.intern(&key.repository),
                Short::of(&key.digest, &mut self.strings),
            ),
        };
        let mut hidden = facts.hidden.clone();
        hidden.retain(|hidden| {
            let layer = facts.layers.get(hidden.layer as usize);
            layer.is_some_and(|layer| (hidden.unit as usize) < layer.units().len())
        });
        hidden.sort_unstable();
        hidden.dedup();
        let mut image = Image {
            repository,
            digest,
            layers,
            hidden: hidden.into(),
            tags: kept.as_ref().map(|image| image.tags.clone()).unwrap_or_default(),
            lives: kept.map(|image| image.lives).unwrap_or_default(),
            base_layers: facts.base_layers,
        };
        image.begin(moment);
        let os = self.intern_os(facts.os.as_ref());
        self.put_image(known, image, os, facts.is_scannable);
    }

    /// An image was deleted. It is remembered as one that was there.
    pub fn remove_image(&mut self, key: &ImageKey, at: Moment) {
        let Some(number) = self.number_of(key) else { return };
        self.epoch += 1;
        self.present.remove(number);
        let Some(image) = self.images.get_mut(number) else {
            return;
        };
        image.end(at);
        image.tags = Box::default();
        if image.lives.is_empty() {
            self.drop_image(number);
        }
    }

    /// The tags that name an image now. Of one that is not there nothing is kept.
    pub fn set_tags<'a>(&mut self, key: &ImageKey, tags: impl IntoIterator<Item = &'a str>) {
        let Some(number) = self
            .number_of(key)
            .filter(|number| self.present.contains(*number))
        else {
            return;
        };
        self.epoch += 1;
        let mut tags: Vec<&str> = tags.into_iter().collect();
        tags.sort_unstable();
        tags.dedup();
        let tags = tags.into_iter().map(|tag| self.strings.intern(tag)).collect();
        if let Some(image) = self.images.get_mut(number) {
            image.tags = tags;
        }
    }

    /// How many layers of an image, from the bottom, are its base's.
    pub fn set_base_layers(&mut self, key: &ImageKey, layers: u32) {
        let Some(number) = self.number_of(key) else { return };
        self.epoch += 1;
        if let Some(image) = self.images.get_mut(number) {
            image.base_layers = layers;
        }
    }

    /// Forgets what was deleted by then. Answers how many images are forgotten.
    pub fn forget(&mut self, before: Moment) -> usize {
        self.epoch += 1;
        let ended: Vec<u32> = self.images.iter().map(|(number, _)| number).collect();
        let mut forgotten = 0;
        for number in ended {
            let Some(image) = self.images.get_mut(number) else {
                continue;
            };
            image.forget(before);
            if image.lives.is_empty() {
                self.drop_image(number);
                forgotten += 1;
            }
        }
        forgotten
    }

    pub(super) fn intern_os(&mut self, os: Option<&OsRelease>) -> u32 {
        let Some(os) = os else { return NONE };
        if let Some(number) = self.os_numbers.get(os) {
            return *number;
        }
        let number = super::dense(self.os.len());
        self.os.push(os.clone());
        self.os_numbers.insert(os.clone(), number);
        number
    }

    /// Puts an image, in the place of the one with the same number if there is one.
    pub(super) fn put_image(&mut self, known: Option<u32>, image: Image, os: u32, is_scannable: bool) {
        let left = known.map(|number| self.unlink(number)).unwrap_or_default();
        let is_there = image.is_there();
        let layers = image.distinct_layers();
        let hidden = image.hidden_spots();
        let name: Box<str> = self.strings.get(image.repository).into();
        let number = match known.and_then(|number| Some((number, self.images.get_mut(number)?))) {
            Some((number, slot)) => {
                *slot = image;
                number
            }
            None => self.images.insert(image),
        };
        for layer in layers {
            at(&mut self.layer_images, layer).insert(number);
        }
        for spot in hidden {
            self.hide(spot, number);
        }
        *at(&mut self.image_os, number) = os;
        self.repositories.entry(name).or_default().insert(number);
        if is_there {
            self.present.insert(number);
        }
        if is_scannable {
            self.not_scannable.remove(number);
        } else {
            self.not_scannable.insert(number);
        }
        self.drop_layers(&left);
    }

    fn drop_image(&mut self, number: u32) {
        let left = self.unlink(number);
        self.drop_layers(&left);
        self.present.remove(number);
        self.not_scannable.remove(number);
        self.excuses.clear(number);
        let Some(image) = self.images.remove(number) else {
            return;
        };
        let name = self.strings.get(image.repository);
        if let Some(images) = self.repositories.get_mut(name) {
            images.remove(number);
            if images.is_empty() {
                self.repositories.remove(name);
            }
        }
    }

    /// Takes an image from its layers. Answers which these were.
    fn unlink(&mut self, number: u32) -> Vec<u32> {
        let Some(image) = self.images.get(number) else {
            return Vec::new();
        };
        let (layers, hidden) = (image.distinct_layers(), image.hidden_spots());
        for spot in hidden {
            self.unhide(spot, number);
        }
        for layer in &layers {
            at(&mut self.layer_images, *layer).remove(number);
        }
        layers
    }

    fn drop_layers(&mut self, layers: &[u32]) {
        for layer in layers {
            if at(&mut self.layer_images, *layer).is_empty() {
                self.drop_layer(*layer);
            }
        }
    }
}
