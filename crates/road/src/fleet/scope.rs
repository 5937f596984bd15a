//! Which images a question is about: those that the caller may pull, as of a moment.

use oci::Digest;
use roaring::RoaringBitmap;

use super::{Fleet, ImageKey, Moment, NONE, image::Image};

/// Images that a question is about. It holds until the index changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    pub(super) images: RoaringBitmap,
    pub(super) epoch: u64,
}

/// How much of a scope was looked into. What is not known is no "no".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Images of the scope.
    pub images: u64,
    /// Those of which something could not be looked into.
    pub not_scannable: u64,
    /// Those that do not say which operating system they run: of its packages nothing is known.
    pub without_os: u64,
}

impl Scope {
    /// How many images there are.
    pub fn len(&self) -> u64 {
        self.images.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }
}

/// An image of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<'a> {
    /// Which.
    pub digest: Digest,
    /// Tags that name it now.
    pub tags: Vec<&'a str>,
    /// All of it was looked into.
    pub is_scannable: bool,
}

impl Fleet {
    /// The images of the repositories that the caller may pull from; those of now, or those that were there at a moment.
    /// Repositories that hold nothing are not asked about.
    pub fn scope(&self, mut may_pull: impl FnMut(&str) -> bool, at: Option<Moment>) -> Scope {
        let mut images = RoaringBitmap::new();
        for (name, of_repository) in &self.repositories {
            if may_pull(name) {
                images |= of_repository;
            }
        }
        match at {
            None => images &= &self.present,
            Some(at) => {
                let was_there = |number: &u32| self.images.get(*number).is_some_and(|it| it.was_there(at));
                let then = images.iter().filter(was_there);
                images = then.collect();
            }
        }
        Scope {
            images,
            epoch: self.epoch,
        }
    }

    /// How much of a scope was looked into.
    pub fn coverage(&self, scope: &Scope) -> Coverage {
        let has_none = |number: &u32| self.os_of(*number) == NONE;
        Coverage {
            images: scope.images.len(),
            not_scannable: scope.images.intersection_len(&self.not_scannable),
            without_os: scope.images.iter().filter(has_none).count() as u64,
        }
    }

    /// The images of a scope, in no order that means anything.
    pub fn keys_in(&self, scope: &Scope) -> Vec<ImageKey> {
        let images = scope.images.iter().filter_map(|number| self.images.get(number));
        images.filter_map(|image| self.key_of(image)).collect()
    }

    /// The images of a repository that are there, with what they are called.
    pub fn named<'a>(&'a self, repository: &str) -> Vec<Named<'a>> {
        let numbers = self.repositories.get(repository).map(|all| all & &self.present);
        let numbers = numbers.into_iter().flatten();
        let named = numbers.filter_map(|number| {
            let image = self.images.get(number)?;
            Some(Named {
                digest: image.digest.digest(&self.strings)?,
                tags: image.tags.iter().map(|tag| self.strings.get(*tag)).collect(),
                is_scannable: !self.not_scannable.contains(number),
            })
        });
        named.collect()
    }

    /// The diff ids of an image's layers, lowest first; `None` where one is not known.
    pub fn diff_ids_of(&self, key: &ImageKey) -> Option<Vec<Option<Digest>>> {
        let image = self.images.get(self.number_of(key)?)?;
        let diff_id = |layer: &u32| self.layers.get(*layer)?.diff_id.digest(&self.strings);
        Some(image.layers.iter().map(diff_id).collect())
    }

    /// The layers of an image, lowest first, and how many of them are its base's. 0: no base of it is known.
    pub fn stack_of(&self, key: &ImageKey) -> Option<(Vec<Option<Digest>>, u32)> {
        let image = self.images.get(self.number_of(key)?)?;
        let layers = image.layers.iter().map(|number| {
            let layer = self.layers.get(*number)?;
            layer.blob.digest(&self.strings)
        });
        Some((layers.collect(), image.base_layers))
    }

    /// The images of which another number of layers is the base's than is known, with that number, for
    /// [`set_base_layers`](Self::set_base_layers). `base_layers` is given the diff ids of an image's layers, lowest first.
    pub fn other_base_layers(
        &self,
        scope: &Scope,
        base_layers: impl Fn(&[Option<Digest>]) -> u32,
    ) -> Vec<(ImageKey, u32)> {
        let diff_id = |layer: &u32| self.layers.get(*layer)?.diff_id.digest(&self.strings);
        let images = scope.images.iter().filter_map(|number| self.images.get(number));
        let others = images.filter_map(|image| {
            let diff_ids: Vec<Option<Digest>> = image.layers.iter().map(diff_id).collect();
            let layers = base_layers(&diff_ids);
            (layers != image.base_layers).then(|| Some((self.key_of(image)?, layers)))?
        });
        others.collect()
    }

    /// The images of a scope that have tags and of which `of` says something, with their tags. It is given the diff ids of an image's
    /// layers, lowest first.
    pub fn tagged<T>(
        &self,
        scope: &Scope,
        of: impl Fn(&[Option<Digest>]) -> Option<T>,
    ) -> Vec<(ImageKey, Vec<String>, T)> {
        let diff_id = |layer: &u32| self.layers.get(*layer)?.diff_id.digest(&self.strings);
        let images = scope.images.iter().filter_map(|number| self.images.get(number));
        let found = images.filter(|image| !image.tags.is_empty()).filter_map(|image| {
            let diff_ids: Vec<Option<Digest>> = image.layers.iter().map(diff_id).collect();
            let said = of(&diff_ids)?;
            let tags = image.tags.iter().map(|tag| self.strings.get(*tag).to_owned());
            Some((self.key_of(image)?, tags.collect(), said))
        });
        found.collect()
    }

    fn key_of(&self, image: &Image) -> Option<ImageKey> {
        Some(ImageKey {
            repository: self.strings.get(image.repository).to_owned(),
            digest: image.digest.digest(&self.strings)?,
        })
    }

    pub(super) fn os_of(&self, image: u32) -> u32 {
        self.image_os.get(image as usize).copied().unwrap_or(NONE)
    }
}
