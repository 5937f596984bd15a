//! What is to be done about what an image has.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Digest, RepoName};
use road::{
    fleet::{ImageKey, Place, Row, State},
    incident::{MAX_REMEDIES, Remedy},
    lineage::Release,
    names::{BaseName, VulnerabilityId},
};

use super::Sought;

/// What an application's type says of images that are built elsewhere (`spec.type` of a catalogue).
const BUILT_ELSEWHERE: [&str; 3] = ["external", "third-party", "vendor"];

/// Finds out what helps.
pub(super) struct Remedies<'a> {
    sought: &'a Sought,
    /// For each base that has releases, its current one that none of the vulnerabilities affects.
    fixed: BTreeMap<BaseName, String>,
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
        Self { sought, fixed }
    }

    /// Adds what is to be done about one image.
    pub(super) fn add(&self, row: &Row<'_>, diff_ids: &[Option<Digest>], remedies: &mut BTreeSet<Remedy>) {
        let repo = row.key.repository.parse::<RepoName>().ok();
        let lineage = self.sought.road.releases.lineage(diff_ids);
        let base = lineage.base().map(|standing| standing.base.clone());
        for place in row.places.iter().filter(|place| place.state == State::Affected) {
            let remedy = match (&base, &repo) {
                (Some(base), _) if place.is_from_base => self.of_base(base),
                (_, Some(repo)) if self.is_built_elsewhere(repo) => Remedy::Vendor {
                    image: repo.to_string(),
                },
                _ => of_own(place),
            };
            if remedies.len() < MAX_REMEDIES {
                remedies.insert(remedy);
            }
        }
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

fn of_own(place: &Place<'_>) -> Remedy {
    let package = place.name.to_owned();
    match place.finding.and_then(|finding| finding.fix.version()) {
        Some(fix) => Remedy::Upgrade {
            package,
            fixed_in: vec![fix.to_owned()],
        },
        None => Remedy::NoFix { package },
    }
}
