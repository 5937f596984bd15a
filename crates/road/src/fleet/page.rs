//! Rows of an answer, a page at a time.

use findings::{Confidence, OsRelease, PackageKind, UnitKind, advisory::VulnerabilityFinding};
use oci::{Algorithm, Digest};
use roaring::RoaringBitmap;
use thiserror::Error;

use super::{
    Excuse, Fleet, Moment, NONE,
    answer::{Answer, Marked, State},
    facts::ImageKey,
    image::Image,
    layer::Layer,
    unit::Stated,
};

/// Most places that a row lists; a jar of jars can have thousands.
pub const PLACES: usize = 100;

/// Up to so many images are sorted; of more, only those of the first repositories are.
const SORTED: u64 = 2_000;

/// The index has changed since the answer was given: ask again, and go on after the same image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the fleet has changed since the answer was given: ask again")]
pub struct Stale;

/// Some rows, in the order of repositories and digests.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// The rows.
    pub rows: Vec<Row<'a>>,
    /// After which image the next page begins; `None`: this is the last.
    pub next: Option<ImageKey>,
}

/// An image of an answer.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// What it is called.
    pub key: ImageKey,
    /// Tags that name it now.
    pub tags: Vec<&'a str>,
    /// Whether it has what was asked about.
    pub state: State,
    /// By what right that does not count.
    pub excuse: Option<Excuse>,
    /// What it runs.
    pub os: Option<&'a OsRelease>,
    /// Since when it is known.
    pub first_seen: Option<Moment>,
    /// When it was deleted.
    pub deleted: Option<Moment>,
    /// All of it was looked into.
    pub is_scannable: bool,
    /// Where it has it.
    pub places: Vec<Place<'a>>,
    /// Places beyond [`PLACES`].
    pub more_places: usize,
}

/// Where an image has what was asked about.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The layer, counted from 0 at the bottom.
    pub layer: usize,
    /// Its digest.
    pub blob: Option<Digest>,
    /// Digest of its uncompressed bytes.
    pub diff_id: Option<Digest>,
    /// The layer is the base's.
    pub is_from_base: bool,
    /// What kind of evidence.
    pub unit_kind: UnitKind,
    /// What the evidence is called.
    pub unit: Option<Digest>,
    /// Where it lies.
    pub path: &'a str,
    /// Where the package lies inside of it, outermost archive first.
    pub inner_path: Vec<String>,
    /// The package of the distribution that the file belongs to.
    pub owned_by: Option<String>,
    /// Who installed the package.
    pub kind: PackageKind,
    /// Its name.
    pub name: &'a str,
    /// Its version; the first, where the evidence allows several.
    pub version: &'a str,
    /// The last version that the evidence allows.
    pub last_version: Option<String>,
    /// How sure name and version are.
    pub confidence: Confidence,
    /// What was seen that may help.
    pub mitigations: Vec<String>,
    /// Whether this place has what was asked about.
    pub state: State,
    /// The class itself lies here; otherwise a package that has it, or may. Of questions about a class.
    pub is_class_seen: bool,
    /// What the advisories say of it, with the fix for its line, the severity and the word of every source. Of questions about
    /// a vulnerability.
    pub finding: Option<&'a VulnerabilityFinding>,
    /// The package, by its number: the same for as long as [`Fleet::epoch`] is.
    pub version_number: u32,
}

impl Fleet {
    /// Rows of an answer: at most `limit`, those after `after`.
    ///
    /// # Errors
    /// The index has changed since.
    pub fn page<'a>(
        &'a self,
        answer: &'a Answer,
        after: Option<&ImageKey>,
        limit: usize,
    ) -> Result<Page<'a>, Stale> {
        let mut keys = self.keys_after(answer, after, limit.saturating_add(1))?;
        let has_more = keys.len() > limit;
        keys.truncate(limit);
        let next = keys.last().map(|(key, _)| key.clone()).filter(|_| has_more);
        let marked = Marked::of(self, answer);
        let rows = keys
            .into_iter()
            .filter_map(|(key, number)| self.row(answer, &marked, key, number));
        Ok(Page {
            rows: rows.collect(),
            next,
        })
    }

    /// How many images of an answer, of which somebody has to do something, each repository has, by its name: what groups an answer by application and owner.
    ///
    /// # Errors
    /// The index has changed since.
    pub fn by_repository<'a>(&'a self, answer: &Answer) -> Result<Vec<(&'a str, u64)>, Stale> {
        self.check(answer)?;
        let images = answer.open();
        let counted = self
            .repositories
            .iter()
            .map(|(name, of_repository)| (&**name, of_repository.intersection_len(&images)));
        Ok(counted.filter(|(_, count)| *count > 0).collect())
    }

    /// All images of an answer, in the order of pages.
    ///
    /// # Errors
    /// The index has changed since.
    pub fn keys(&self, answer: &Answer) -> Result<Vec<ImageKey>, Stale> {
        let keys = self.keys_after(answer, None, usize::MAX)?;
        Ok(keys.into_iter().map(|(key, _)| key).collect())
    }

    fn check(&self, answer: &Answer) -> Result<(), Stale> {
        if answer.epoch == self.epoch {
            Ok(())
        } else {
            Err(Stale)
        }
    }

    fn keys_after(
        &self,
        answer: &Answer,
        after: Option<&ImageKey>,
        limit: usize,
    ) -> Result<Vec<(ImageKey, u32)>, Stale> {
        self.check(answer)?;
        let images = answer.listed();
        if images.len() <= SORTED {
            return Ok(self.sorted_keys(&images, after, limit));
        }
        let mut keys = Vec::new();
        let from = after.map_or("", |key| key.repository.as_str());
        let repositories = self
            .repositories
            .range::<str, _>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded));
        for (name, of_repository) in repositories {
            if keys.len() >= limit {
                break;
            }
            let numbers = (of_repository & &images).into_iter();
            let mut of_this: Vec<(Digest, u32)> = numbers
                .filter_map(|number| Some((self.images.get(number)?.digest.digest(&self.strings)?, number)))
                .filter(|(digest, _)| {
                    after.is_none_or(|key| **name != *key.repository || *digest > key.digest)
                })
                .collect();
            of_this.sort_unstable();
            of_this.truncate(limit - keys.len());
            keys.extend(of_this.into_iter().map(|(digest, number)| {
                let repository = name.to_string();
                (ImageKey { repository, digest }, number)
            }));
        }
        Ok(keys)
    }

    /// The same for few images, of which most repositories have none.
    fn sorted_keys(
        &self,
        images: &RoaringBitmap,
        after: Option<&ImageKey>,
        limit: usize,
    ) -> Vec<(ImageKey, u32)> {
        let key_of = |number| {
            let image = self.images.get(number)?;
            let digest = image.digest.digest(&self.strings)?;
            Some((self.strings.get(image.repository), digest, number))
        };
        let after = after.map(|key| (key.repository.as_str(), key.digest));
        let mut keys: Vec<_> = images
            .iter()
            .filter_map(key_of)
            .filter(|(repository, digest, _)| after.is_none_or(|after| (*repository, *digest) > after))
            .collect();
        keys.sort_unstable();
        keys.truncate(limit);
        let owned = keys.into_iter().map(|(repository, digest, number)| {
            let repository = repository.to_owned();
            (ImageKey { repository, digest }, number)
        });
        owned.collect()
    }

    fn row<'a>(&'a self, answer: &'a Answer, marked: &Marked, key: ImageKey, number: u32) -> Option<Row<'a>> {
        let image = self.images.get(number)?;
        let os = self.os_of(number);
        let state = answer.state_of(number)?;
        let mut places = Vec::new();
        let mut more_places = 0;
        for (at, layer) in image.layers.iter().enumerate() {
            let Some(layer) = self.layers.get(*layer) else {
                continue;
            };
            self.places_in((answer, marked), (image, at, layer), (os, state), |place| {
                if places.len() < PLACES {
                    places.push(place);
                } else {
                    more_places += 1;
                }
            });
        }
        Some(Row {
            tags: image.tags.iter().map(|tag| self.strings.get(*tag)).collect(),
            state,
            excuse: answer.excuse_of(number),
            os: self.os.get(os as usize),
            first_seen: image.lives.first().map(|(from, _)| *from),
            deleted: image
                .lives
                .last()
                .map(|(_, until)| *until)
                .filter(|until| *until != Moment::NEVER),
            is_scannable: !self.not_scannable.contains(number),
            key,
            places,
            more_places,
        })
    }

    fn places_in<'a>(
        &'a self,
        (answer, marked): (&'a Answer, &Marked),
        (image, at, layer): (&Image, usize, &'a Layer),
        (os, of_image): (u32, State),
        mut each: impl FnMut(Place<'a>),
    ) {
        let hits = &answer.hits;
        for (place, placed) in layer.places.iter().enumerate() {
            if !marked.has_unit(placed.unit) {
                continue;
            }
            // Of an image that only hides it, what is hidden is shown; of others what they run.
            let is_hidden = image.is_hidden(at, place);
            if (hits.skips_owned && placed.owned_by != NONE) || is_hidden != (of_image == State::Hidden) {
                continue;
            }
            let Some(unit) = self.units.get(placed.unit) else {
                continue;
            };
            let may_have_class = marked.may_have_class(placed.unit);
            for stated in unit.packages.iter() {
                if !may_have_class && !marked.has_version(stated.version) {
                    continue;
                }
                let is_class_seen = self.is_class(answer, stated);
                let Some((state, finding)) = Self::hit(answer, (stated, is_class_seen), os) else {
                    continue;
                };
                let Some(version) = self.versions.get(stated.version) else {
                    continue;
                };
                if is_hidden && (unit.kind.is_wish() || version.kind.is_os()) {
                    continue;
                }
                let (at, layer) = self.came_with((image, at, layer), (placed.path, unit.kind), stated);
                each(Place {
                    layer: at,
                    blob: layer.blob.digest(&self.strings),
                    diff_id: layer.diff_id.digest(&self.strings),
                    is_from_base: at < image.base_layers as usize,
                    unit_kind: unit.kind,
                    unit: Digest::from_bytes(Algorithm::Sha256, &unit.id),
                    path: self.strings.get(placed.path),
                    inner_path: self.strings.list(stated.inner_path),
                    owned_by: self.strings.some(placed.owned_by),
                    kind: version.kind,
                    name: self.strings.get(version.name),
                    version: self.strings.get(version.number),
                    last_version: self.strings.some(version.last),
                    confidence: version.confidence,
                    mitigations: self.strings.list(version.mitigations),
                    state: if is_hidden { State::Hidden } else { state },
                    is_class_seen,
                    finding,
                    version_number: stated.version,
                });
            }
        }
    }

    /// The layer that a package came with: whoever installs one more writes the distribution's list of all again.
    fn came_with<'a>(
        &'a self,
        (image, at, layer): (&Image, usize, &'a Layer),
        (path, kind): (u32, UnitKind),
        stated: Stated,
    ) -> (usize, &'a Layer) {
        let mut found = (at, layer);
        if !kind.is_database() {
            return found;
        }
        for (below, number) in image.layers.iter().enumerate().take(at).rev() {
            let Some(layer) = self.layers.get(*number) else {
                continue;
            };
            let lists = layer.places.iter().filter(|placed| placed.path == path);
            let mut lists = lists
                .filter_map(|placed| self.units.get(placed.unit))
                .filter(|unit| unit.kind == kind);
            match lists.next() {
                Some(unit) if unit.packages.iter().any(|had| had.version == stated.version) => {
                    found = (below, layer);
                }
                Some(_) => break,
                None => {}
            }
        }
        found
    }

    /// Whether what is stated is the class that was asked about.
    fn is_class(&self, answer: &Answer, stated: Stated) -> bool {
        let class = answer.hits.class.as_ref();
        class.is_some_and(|class| class.is_in(&self.strings.list(stated.inner_path)))
    }

    fn hit(
        answer: &Answer,
        (stated, is_class): (Stated, bool),
        os: u32,
    ) -> Option<(State, Option<&VulnerabilityFinding>)> {
        if is_class {
            return Some((State::Affected, None));
        }
        let hit = answer.hits.get(stated.version, os)?;
        Some((hit.state, hit.finding.as_deref()))
    }
}
