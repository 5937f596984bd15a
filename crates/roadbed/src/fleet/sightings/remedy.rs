//! What is to be done about what an image has.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use findings::{OsRelease, Package};
use oci::{Digest, RepoName};
use road::{
    fleet::{CommonFix, Fleet, ImageKey, Place, Row, State, common_fix},
    incident::{MAX_REMEDIES, Remedy},
    lineage::Release,
    names::{BaseName, VulnerabilityId},
};

use super::{Sought, found::Found};

/// What an application's type says of images that are built elsewhere (`spec.type` of a catalogue).
const BUILT_ELSEWHERE: [&str; 3] = ["external", "third-party", "vendor"];

/// Finds out what helps.
pub(super) struct Remedies<'a> {
    sought: &'a Sought,
    /// For each base that has releases, its current one that none of the vulnerabilities affects.
    fixed: BTreeMap<BaseName, String>,
    /// What helps each version of a package that was met, on each operating system.
    known: HashMap<(Package, Option<OsRelease>), Arc<CommonFix>>,
    /// The same by the numbers that packages have now.
    numbered: Numbered,
}

/// What helps packages, by numbers that hold for as long as the index is the same.
#[derive(Default)]
struct Numbered {
    epoch: u64,
    /// Operating systems that were met: few.
    systems: Vec<Option<OsRelease>>,
    known: HashMap<(u32, usize), Arc<CommonFix>>,
}

/// What helps a package in one's own layers against all that is looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Own {
    package: String,
    /// The version to go to, if anything helps.
    version: Option<String>,
    /// What is there still in that version.
    leaves: Vec<VulnerabilityId>,
}

impl<'a> Remedies<'a> {
    pub(super) fn of(sought: &'a Sought, affected: &BTreeMap<VulnerabilityId, BTreeSet<ImageKey>>) -> Self {
        let is_affected = |repository: &RepoName, digest: &Digest| {
            let key = ImageKey {
                repository: repository.to_string(),
                digest: *digest,
            };
            affected.values().any(|keys| keys.contains(&key))
        };
        let road = &sought.road;
        let mut fixed = BTreeMap::new();
        for base in road.bases.iter() {
            let current = road.releases.of_base(&base.name);
            let current = current.filter(|release| release.superseded.is_none() && release.word.counts());
            let without = current.filter(|release| !is_affected(&base.repository, &release.digest));
            if let Some(release) = without.max_by_key(|release| release.released_at) {
                fixed.insert(base.name.clone(), named(release));
            }
        }
        Self {
            sought,
            fixed,
            known: HashMap::new(),
            numbered: Numbered::default(),
        }
    }

    /// Adds what is to be done about one image.
    pub(super) fn add(
        &mut self,
        fleet: &Fleet,
        row: &Row<'_>,
        diff_ids: &[Option<Digest>],
        image: &mut Found,
    ) {
        let repo = row.key.repository.parse::<RepoName>().ok();
        let lineage = self.sought.road.releases.lineage(diff_ids);
        let base = lineage.base().map(|standing| standing.base.clone());
        for place in &row.places {
            if !matches!(place.state, State::Affected | State::Mitigated) {
                continue;
            }
            let fix = place.finding.and_then(|finding| finding.fix.version());
            image.fixes.extend(fix.map(str::to_owned));
            if place.state != State::Affected {
                continue;
            }
            let help = self.help(fleet, row, place);
            image.fixes.extend(help.version.clone());
            image.targets.extend(help.version.clone());
            let remedy = match (&base, &repo) {
                (Some(base), _) if place.is_from_base => self.of_base(base),
                (_, Some(repo)) if self.is_built_elsewhere(repo) => Remedy::Vendor {
                    image: repo.to_string(),
                },
                _ => {
                    image.own.insert(Own::of(place, &help));
                    continue;
                }
            };
            if image.remedies.len() < MAX_REMEDIES {
                image.remedies.insert(remedy);
            }
        }
    }

    /// What helps the package at a place against all that is looked for, whichever of it was asked about.
    fn help(&mut self, fleet: &Fleet, row: &Row<'_>, place: &Place<'_>) -> Arc<CommonFix> {
        let key = (place.version_number, self.numbered.system(fleet.epoch(), row.os));
        if let Some(help) = self.numbered.known.get(&key) {
            return Arc::clone(help);
        }
        let Some(package) = fleet.package_at(place) else {
            return Arc::default();
        };
        let (ids, facts) = (&self.sought.ids, &self.sought.facts);
        let known = self.known.entry((package, row.os.cloned()));
        let help = Arc::clone(known.or_insert_with_key(|(package, os)| {
            let ids = ids.iter().map(VulnerabilityId::as_str);
            Arc::new(common_fix(package, os.as_ref(), ids, &facts.knowledge()))
        }));
        self.numbered.known.insert(key, Arc::clone(&help));
        help
    }

    fn of_base(&self, base: &BaseName) -> Remedy {
        let base = base.clone();
        match self.fixed.get(&base) {
            Some(release) => Remedy::TakeBase {
                release: release.clone(),
                base,
            },
            None => Remedy::AwaitBase { base },
        }
    }

    fn is_built_elsewhere(&self, repo: &RepoName) -> bool {
        let ownership = self.sought.road.applications.owner_of(repo);
        let kind = ownership
            .application()
            .and_then(|application| application.kind.as_ref());
        kind.is_some_and(|kind| BUILT_ELSEWHERE.contains(&kind.value().to_ascii_lowercase().as_str()))
    }
}

impl Numbered {
    /// The number of an operating system. Of another index, nothing holds.
    fn system(&mut self, epoch: u64, os: Option<&OsRelease>) -> usize {
        if self.epoch != epoch {
            self.known.clear();
            self.epoch = epoch;
        }
        let met = self.systems.iter().position(|met| met.as_ref() == os);
        met.unwrap_or_else(|| {
            self.systems.push(os.cloned());
            self.systems.len() - 1
        })
    }
}

fn named(release: &Release) -> String {
    if release.version.is_empty() {
        release.digest.to_string()
    } else {
        release.version.clone()
    }
}

impl Own {
    fn of(place: &Place<'_>, help: &CommonFix) -> Self {
        let leaves = help.leaves.iter().filter_map(|id| id.parse().ok());
        Self {
            package: place.name.to_owned(),
            version: help.version.clone(),
            leaves: leaves.collect(),
        }
    }
}

/// One thing to do for each package: the versions to go to, one for each line of releases that is there.
pub(super) fn of_own<'o>(own: impl Iterator<Item = &'o Own>) -> Vec<Remedy> {
    let mut by_package: BTreeMap<&str, (BTreeSet<&str>, BTreeSet<&VulnerabilityId>)> = BTreeMap::new();
    for own in own {
        let (versions, leaves) = by_package.entry(&own.package).or_default();
        versions.extend(own.version.as_deref());
        leaves.extend(&own.leaves);
    }
    let remedy = |(package, (versions, leaves)): (&str, (BTreeSet<&str>, BTreeSet<&VulnerabilityId>))| {
        let package = package.to_owned();
        if versions.is_empty() {
            return Remedy::NoFix { package };
        }
        Remedy::Upgrade {
            package,
            fixed_in: by_number(versions.into_iter().map(str::to_owned)),
            leaves: leaves.into_iter().cloned().collect(),
        }
    };
    by_package.into_iter().map(remedy).collect()
}

/// In the order in which people count: 2.3.2 before 2.12.4.
pub(super) fn by_number(versions: impl Iterator<Item = String>) -> Vec<String> {
    let mut versions: Vec<String> = versions.collect();
    versions.sort_by_cached_key(|version| {
        let numbers = version.split(|letter: char| !letter.is_ascii_digit());
        let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
        (numbers, version.clone())
    });
    versions
}
