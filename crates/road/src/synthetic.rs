//! Fleets that nobody has, for benchmarks and tests: the same seed makes the same fleet.
//!
//! Applications stand on a few lines of bases, each of which comes out in many versions. About every third one installs packages
//! of the distribution on top, which makes another database of all of them and hides the base's. Dependencies lie in one file
//! each (Node, Python, half of Java) in a layer of their own that a few builds share, or all in one (fat jars, Go), half of which state the version
//! of the build and so are another unit each time. Packages and their versions are chosen with Zipf's law.

mod application;
mod catalogue;
mod random;

use std::{collections::HashMap, sync::Arc};

use findings::{Package, PackageKind, Unit, UnitKind, advisory::Advisory};
use oci::{Algorithm, Digest};

use crate::fleet::{ImageFacts, ImageKey, Moment, PlacedUnit};
use application::Application;
use catalogue::Base;
use random::Random;

/// What a fleet is made from. Figures are to be told with these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Of the choice.
    pub seed: u64,
    /// Images in all.
    pub images: u32,
    /// Builds of one application, each an image; an application has a repository.
    pub builds: u32,
    /// Lines of bases.
    pub bases: u32,
    /// Versions of each.
    pub base_versions: u32,
    /// Packages of the distribution in a base.
    pub os_packages: u32,
    /// Packages of an image, on average.
    pub packages: u32,
    /// Builds that share a layer of dependencies, and a version of the base.
    pub builds_per_dependencies: u32,
    /// Of a hundred applications, those that install packages of the distribution.
    pub percent_installing: u32,
}

impl Parameters {
    /// A fleet of so many images, like that of the organisation that had 22,000 in 2,000 repositories.
    pub const fn of(images: u32) -> Self {
        Self {
            seed: 20_211_210,
            images,
            builds: 11,
            bases: 40,
            base_versions: 12,
            os_packages: 110,
            packages: 300,
            builds_per_dependencies: 4,
            percent_installing: 35,
        }
    }
}

/// A fleet that is made on demand.
#[derive(Debug)]
pub struct Synthetic {
    parameters: Parameters,
    bases: Vec<Base>,
    /// Units that hold one package, by kind, name and version.
    singles: HashMap<(PackageKind, u32, u32), PlacedUnit>,
}

impl Synthetic {
    /// Nothing of it is made yet but its bases.
    pub fn new(parameters: Parameters) -> Self {
        let mut random = Random::of(parameters.seed);
        let bases = (0..parameters.bases).map(|line| Base::new(line, &parameters, &mut random));
        Self {
            bases: bases.collect(),
            parameters,
            singles: HashMap::new(),
        }
    }

    /// Makes every image, with the moment at which it came.
    pub fn for_each(&mut self, mut each: impl FnMut(&ImageKey, &ImageFacts, Moment)) {
        let mut left = self.parameters.images;
        let mut number = 0;
        while left > 0 {
            let mut application = Application::new(number, &self.parameters);
            for build in 0..self.parameters.builds.min(left) {
                let (key, facts, moment) = application.build(build, self);
                each(&key, &facts, moment);
            }
            left -= self.parameters.builds.min(left);
            number += 1;
        }
    }

    /// Advisories about packages of the fleet, each of which calls the lower part of the versions affected.
    pub fn advisories(&self, count: u32) -> Vec<Advisory> {
        let mut random = Random::of(self.parameters.seed ^ 1);
        (0..count)
            .map(|number| catalogue::advisory(number, &mut random))
            .collect()
    }

    fn single(&mut self, kind: PackageKind, name: u32, version: u32) -> PlacedUnit {
        let placed = self.singles.entry((kind, name, version)).or_insert_with(|| {
            let package = catalogue::package(kind, name, version);
            let unit_kind = catalogue::unit_kind(kind);
            let path = catalogue::path(&package);
            placed(
                path,
                &format!("single {kind:?} {name} {version}"),
                unit_kind,
                vec![package],
            )
        });
        placed.clone()
    }
}

/// A unit whose digest stands for what it says, without writing it down: fleets have millions.
fn placed(path: String, what: &str, kind: UnitKind, packages: Vec<Package>) -> PlacedUnit {
    PlacedUnit {
        path,
        owned_by: None,
        id: digest(what),
        unit: Arc::new(Unit::of_packages(kind, packages)),
    }
}

fn digest(what: &str) -> Digest {
    Digest::of(Algorithm::Sha256, what.as_bytes())
}
