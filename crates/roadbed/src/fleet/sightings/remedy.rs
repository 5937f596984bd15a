//! What is to be done about what an image has.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

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
    known: HashMap<String, Arc<CommonFix>>,
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
            let current = current.filter(|release| release.superseded.is_none());
            let without = current.filter(|release| !is_affected(&base.repository, &release.digest));
            if let Some(release) = without.max_by_key(|release| release.released_at) {
                fixed.insert(base.name.clone(), named(release));
            }
        }
        Self {
            sought,
            fixed,
            known: HashMap::new(),
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
        let Some(package) = fleet.package_at(place) else {
            return Arc::default();
        };
        let (ids, facts) = (&self.sought.ids, &self.sought.facts);
        let known = self.known.entry(format!("{package:?} {:?}", row.os));
        let help = known.or_insert_with(|| {
            let ids = ids.iter().map(VulnerabilityId::as_str);
            Arc::new(common_fix(&package, row.os, ids, &facts.knowledge()))
        });
        Arc::clone(help)
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
