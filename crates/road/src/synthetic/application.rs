//! Applications and their builds.

use std::sync::Arc;

use findings::{PackageKind, UnitKind};

use super::{Parameters, Synthetic, catalogue, digest, placed, random::Random};
use crate::fleet::{Hidden, ImageFacts, ImageKey, LayerFacts, Moment, PlacedUnit};

/// Between two builds, in microseconds: a week.
const WEEK: i64 = 7 * 24 * 3_600 * 1_000_000;

/// What an application is made of.
pub(super) struct Application {
    number: u32,
    random: Random,
    kind: PackageKind,
    /// All dependencies in one file, which each build makes anew.
    is_fat: bool,
    /// Packages of the distribution that it installs.
    installs: Vec<u32>,
    base: u32,
    dependencies: Vec<(u32, u32)>,
    /// The layer that some builds share.
    layer: Option<Arc<LayerFacts>>,
    installed: Option<(u32, Arc<LayerFacts>)>,
}

impl Application {
    pub(super) fn new(number: u32, parameters: &Parameters) -> Self {
        let mut random = Random::of(
            parameters
                .seed
                .wrapping_mul(31)
                .wrapping_add(u64::from(number) << 20),
        );
        let kind = match random.below(100) {
            0..40 => PackageKind::Java,
            40..65 => PackageKind::Npm,
            65..85 => PackageKind::Python,
            _ => PackageKind::Go,
        };
        let is_fat = kind == PackageKind::Go || (kind == PackageKind::Java && random.below(2) == 0);
        let does_install = random.below(100) < parameters.percent_installing;
        let installs = (0..12).map(|_| 1_000 + random.zipf(800)).collect();
        let mean = parameters.packages.saturating_sub(parameters.os_packages);
        let count = mean / 2 + random.below(mean);
        let mut dependencies: Vec<(u32, u32)> = (0..count)
            .map(|_| {
                (
                    random.zipf(catalogue::names(kind)),
                    random.zipf(catalogue::VERSIONS),
                )
            })
            .collect();
        dependencies.sort_unstable();
        dependencies.dedup_by_key(|(name, _)| *name);
        // Zipf's law draws the common ones again and again: what is missing is drawn from all.
        while dependencies.len() < count as usize {
            let name = random.below(catalogue::names(kind));
            if let Err(at) = dependencies.binary_search_by_key(&name, |(name, _)| *name) {
                dependencies.insert(at, (name, random.zipf(catalogue::VERSIONS)));
            }
        }
        Self {
            number,
            kind,
            is_fat,
            installs: if does_install { installs } else { Vec::new() },
            base: random.zipf(parameters.bases),
            dependencies,
            layer: None,
            installed: None,
            random,
        }
    }

    pub(super) fn build(&mut self, build: u32, fleet: &mut Synthetic) -> (ImageKey, ImageFacts, Moment) {
        let parameters = fleet.parameters;
        let base_version =
            (self.number + build / parameters.builds_per_dependencies) % parameters.base_versions;
        let mut facts = ImageFacts {
            is_scannable: self.random.below(50) != 0,
            ..ImageFacts::default()
        };
        let base = &fleet.bases[self.base as usize];
        facts.layers.clone_from(&base.versions[base_version as usize]);
        facts.base_layers = 1;
        facts.os = Some(base.os.clone());
        if !self.installs.is_empty() {
            // The base's database lies second in its layer.
            facts.hidden.push(Hidden { layer: 0, unit: 1 });
            facts.layers.push(self.installed(base_version, fleet));
        }
        if build.is_multiple_of(parameters.builds_per_dependencies) {
            self.update(build > 0);
            self.layer = (!self.is_fat).then(|| self.dependencies(build, fleet));
        }
        facts.layers.extend(self.layer.clone());
        facts.layers.push(self.code(build, &parameters));
        let key = ImageKey {
            repository: format!("team{}/app{}", self.number % 200, self.number),
            digest: digest(&format!("image {} {build}", self.number)),
        };
        (
            key,
            facts,
            Moment(i64::from(build) * WEEK + i64::from(self.number)),
        )
    }

    /// Every twentieth dependency goes to another version.
    fn update(&mut self, is_later: bool) {
        for (_, version) in self.dependencies.iter_mut().filter(|_| is_later) {
            if self.random.below(20) == 0 {
                *version = self.random.zipf(catalogue::VERSIONS);
            }
        }
    }

    fn installed(&mut self, base_version: u32, fleet: &Synthetic) -> Arc<LayerFacts> {
        if let Some((_, layer)) = self.installed.as_ref().filter(|(of, _)| *of == base_version) {
            return layer.clone();
        }
        let base = &fleet.bases[self.base as usize];
        let what = format!("installed {} {base_version}", self.number);
        let unit = placed(
            catalogue::database_path(base.kind).to_owned(),
            &what,
            catalogue::unit_kind(base.kind),
            base.installed(base_version, &self.installs),
        );
        let layer = Arc::new(layer(&what, vec![unit]));
        self.installed = Some((base_version, layer.clone()));
        layer
    }

    fn dependencies(&self, build: u32, fleet: &mut Synthetic) -> Arc<LayerFacts> {
        let units = self.dependencies.iter();
        let mut units: Vec<PlacedUnit> = units
            .map(|(name, version)| fleet.single(self.kind, *name, *version))
            .collect();
        units.sort_by(|left, right| left.path.cmp(&right.path));
        Arc::new(layer(&format!("dependencies {} {build}", self.number), units))
    }

    /// What each build makes anew.
    fn code(&self, build: u32, parameters: &Parameters) -> Arc<LayerFacts> {
        let what = format!("code {} {build}", self.number);
        let is_stamped = self.number.is_multiple_of(2);
        let stamp = if is_stamped {
            build
        } else {
            build / parameters.builds_per_dependencies
        };
        let stated = format!("stated {} {stamp}", self.number);
        let units = match (self.is_fat, self.kind) {
            (false, _) => Vec::new(),
            (true, PackageKind::Go) => vec![self.fat("app/server", &stated, UnitKind::GoBinary)],
            (true, _) => vec![self.fat("app/app.jar", &stated, UnitKind::JavaArchive)],
        };
        Arc::new(layer(&what, units))
    }

    fn fat(&self, path: &str, what: &str, kind: UnitKind) -> PlacedUnit {
        let packages = self.dependencies.iter().map(|(name, version)| {
            let mut package = catalogue::package(self.kind, *name, *version);
            if kind == UnitKind::JavaArchive {
                let lib = catalogue::path(&package).replace("app/lib/", "BOOT-INF/lib/");
                package.inner_path = vec![lib];
            }
            package
        });
        placed(path.to_owned(), what, kind, packages.collect())
    }
}

fn layer(what: &str, units: Vec<PlacedUnit>) -> LayerFacts {
    LayerFacts::new(digest(what), Some(digest(&format!("diff {what}"))), units)
}
