//! Questions about packages: by name, and by a range in the order of their ecosystem.

use findings::{OsRelease, PackageKind};

use super::{
    Fleet, NONE,
    answer::{Answer, Found, Hit, State},
    scope::Scope,
    unit::{Spot, Spots},
    version::{Version, is_same_name},
};
use crate::question::{Membership, OsQuestion, PackageQuestion};

impl Fleet {
    /// The images that have a package, at the versions asked about. A package of a distribution is meant by its own name and
    /// by that of its source, each with its own version.
    pub fn by_package(&self, question: &PackageQuestion, scope: &Scope) -> Answer {
        let mut found = Found::of(self);
        let kinds = PackageKind::ALL
            .into_iter()
            .filter(|kind| question.kind.is_none_or(|asked| asked == *kind));
        for kind in kinds {
            for number in self.versions_named(kind, &question.name) {
                let Some(version) = self.versions.get(number) else {
                    continue;
                };
                let Some(state) = self.membership(question, version) else {
                    continue;
                };
                found
                    .hits
                    .versions
                    .insert((number, NONE), Some(Hit { state, finding: None }));
                self.for_each_image(number, false, |image| {
                    if question.os.as_ref().is_none_or(|os| self.runs(image, os)) {
                        found.put(image, state);
                    }
                });
                self.for_each_hiding_image(number, false, |image| {
                    if question.os.as_ref().is_none_or(|os| self.runs(image, os)) {
                        found.put(image, State::Hidden);
                    }
                });
            }
        }
        found.into_answer(scope)
    }

    /// Whether a version is asked about.
    fn membership(&self, question: &PackageQuestion, version: &Version) -> Option<State> {
        let is_named = |name| is_same_name(version.kind, &question.name, self.strings.get(name));
        let text = |number| self.strings.get(number);
        let own = is_named(version.name).then(|| {
            if version.first == NONE {
                question.holds(version.kind, text(version.number))
            } else {
                question.holds_between(version.kind, text(version.first), text(version.last))
            }
        });
        let source = (version.source_name != NONE && is_named(version.source_name))
            .then(|| question.holds(version.kind, text(version.source_number)));
        let either = own.into_iter().chain(source).max()?;
        match either {
            Membership::Inside => Some(State::Affected),
            Membership::Unknown => Some(State::Uncertain),
            Membership::Outside => None,
        }
    }

    fn runs(&self, image: u32, asked: &OsQuestion) -> bool {
        let os: Option<&OsRelease> = self.os.get(self.os_of(image) as usize);
        os.is_some_and(|os| asked.is(os))
    }

    /// Every image that has a version, some more than once.
    pub(super) fn for_each_image(&self, version: u32, skips_owned: bool, mut each: impl FnMut(u32)) {
        let Some(units) = self.version_units.get(version as usize) else {
            return;
        };
        units.for_each(|unit| self.for_each_image_of_unit(unit, skips_owned, &mut each));
    }

    pub(super) fn for_each_image_of_unit(&self, unit: u32, skips_owned: bool, each: &mut impl FnMut(u32)) {
        let spots = self.unit_spots.get(unit as usize).map(Spots::as_slice);
        for spot in spots.unwrap_or_default() {
            if skips_owned && self.is_owned(*spot) {
                continue;
            }
            if let Some(images) = self.layer_images.get(spot.layer as usize) {
                images.for_each_without(self.hiding(*spot), &mut *each);
            }
        }
    }

    /// Every image that has a version only where something above hides the file that says so, some more than once. The databases
    /// of distributions are none of these: an upper layer that installs anything hides the one below, and a package that was
    /// updated is not there any more. Neither is what only says what somebody wanted to install.
    pub(super) fn for_each_hiding_image(&self, version: u32, skips_owned: bool, mut each: impl FnMut(u32)) {
        let is_file = self
            .versions
            .get(version)
            .is_some_and(|version| !version.kind.is_os());
        let units = self.version_units.get(version as usize).filter(|_| is_file);
        let Some(units) = units else { return };
        units.for_each(|unit| self.for_each_image_hiding_unit(unit, skips_owned, &mut each));
    }

    pub(super) fn for_each_image_hiding_unit(
        &self,
        unit: u32,
        skips_owned: bool,
        each: &mut impl FnMut(u32),
    ) {
        if self.units.get(unit).is_none_or(|unit| unit.kind.is_wish()) {
            return;
        }
        let spots = self.unit_spots.get(unit as usize).map(Spots::as_slice);
        for spot in spots.unwrap_or_default() {
            if !(skips_owned && self.is_owned(*spot)) {
                self.hiding(*spot).for_each(&mut *each);
            }
        }
    }

    /// Whether the file belongs to a package of the distribution.
    fn is_owned(&self, spot: Spot) -> bool {
        let layer = self.layers.get(spot.layer);
        let placed = layer.and_then(|layer| layer.places.get(spot.place as usize));
        placed.is_some_and(|placed| placed.owned_by != NONE)
    }
}
