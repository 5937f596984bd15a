//! What counts as a version shipped to customers, and what does not.
//!
//! Otherwise automatic rebases would make any team six times as fast.

use std::collections::{BTreeMap, BTreeSet};

use oci::Digest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::event::{App, Place};
use super::journal::{Journal, PlaceHistory};

/// What a new digest in production is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Its own layers or its source revision are new.
    Feature,
    /// Nothing of its own is new: the same layers on another base, or built again.
    Maintenance,
    /// Neither its lineage nor its revision is known. It counts as nothing.
    Unclassified,
}

/// A digest that was shipped to production for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Whose.
    pub app: App,
    /// The image or index.
    pub digest: Digest,
    /// When it was first ready in production.
    pub at: OffsetDateTime,
    /// What it is.
    pub kind: Kind,
    /// A feature version by its layers whose revision was shipped before: built again, by a build that does not give the same
    /// layers twice.
    pub same_revision: bool,
}

/// A rollout of what had been shipped before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Whose.
    pub app: App,
    /// When.
    pub at: OffsetDateTime,
    /// What ran before it; the same for a configuration deploy.
    pub from: Digest,
    /// What was rolled out.
    pub to: Digest,
}

/// All that was shipped to production, each in the order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ships {
    /// New digests.
    pub versions: Vec<Version>,
    /// Back to an earlier digest of the place; many clusters count once.
    pub rollbacks: Vec<Again>,
    /// The same digest rolled out again; many clusters count once.
    pub configurations: Vec<Again>,
}

impl Ships {
    /// Finds them.
    pub fn of(journal: &Journal) -> Self {
        let mut ships = Self::default();
        let mut first: BTreeMap<&App, BTreeMap<Digest, OffsetDateTime>> = BTreeMap::new();
        let mut again = Vec::new();
        for (place, history) in journal.production() {
            let of_app = first.entry(&place.app).or_default();
            for start in history.starts.iter().filter(|start| start.held) {
                let at = of_app.entry(start.digest).or_insert(start.at);
                *at = start.at.min(*at);
            }
            again.extend(repeats(place, history));
        }
        for (app, digests) in first {
            ships.versions.extend(versions(journal, app, digests));
        }
        ships
            .versions
            .sort_by(|a, b| (a.at, &a.app, a.digest).cmp(&(b.at, &b.app, b.digest)));
        for repeat in once(again) {
            if repeat.from == repeat.to {
                ships.configurations.push(repeat);
            } else {
                ships.rollbacks.push(repeat);
            }
        }
        ships
    }
}

/// Rollouts in one place of what ran there before.
fn repeats<'p>(place: &'p Place, history: &PlaceHistory) -> Vec<(&'p Place, Again)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut current: Option<Digest> = None;
    for start in history.starts.iter().filter(|start| start.held) {
        let known = !seen.insert(start.digest);
        if let (true, Some(from)) = (known, current) {
            let again = Again {
                app: place.app.clone(),
                at: start.at,
                from,
                to: start.digest,
            };
            found.push((place, again));
        }
        current = Some(start.digest);
    }
    found
}

/// Each as often as in the place that had it most often: the second cluster that goes back with the first is not a second
/// rollback.
fn once(mut repeats: Vec<(&Place, Again)>) -> Vec<Again> {
    repeats.sort_by(|(a_place, a), (b_place, b)| {
        (a.at, &a.app, a.from, a.to, *a_place).cmp(&(b.at, &b.app, b.from, b.to, *b_place))
    });
    let mut in_place: BTreeMap<(&Place, Digest, Digest), u64> = BTreeMap::new();
    let mut counted: BTreeMap<(App, Digest, Digest), u64> = BTreeMap::new();
    let mut found = Vec::new();
    for (place, again) in repeats {
        let here = in_place.entry((place, again.from, again.to)).or_default();
        *here += 1;
        let most = counted
            .entry((again.app.clone(), again.from, again.to))
            .or_default();
        if *here > *most {
            *most = *here;
            found.push(again);
        }
    }
    found
}

/// The new digests of one application, each compared to all earlier ones.
fn versions(journal: &Journal, app: &App, digests: BTreeMap<Digest, OffsetDateTime>) -> Vec<Version> {
    let mut ordered: Vec<(OffsetDateTime, Digest)> =
        digests.into_iter().map(|(digest, at)| (at, digest)).collect();
    ordered.sort_unstable();
    let mut bases_seen: BTreeMap<&BTreeSet<Digest>, BTreeSet<&BTreeSet<Digest>>> = BTreeMap::new();
    let mut revisions_seen = BTreeSet::new();
    let mut found = Vec::new();
    for (at, digest) in ordered {
        let layers = journal.standings.get(&digest).map(|standing| {
            let known = bases_seen.entry(&standing.app_layers).or_default();
            let is_new = known.is_empty();
            let on_the_same_base = !known.insert(&standing.bases) && !standing.bases.is_empty();
            match (is_new, on_the_same_base) {
                (true, _) => Layers::New,
                (false, true) => Layers::OnTheSameBase,
                (false, false) => Layers::OnAnotherBase,
            }
        });
        let revision = journal.revisions.get(&digest);
        let revision_new = revision.map(|revision| revisions_seen.insert(revision));
        found.push(Version {
            app: app.clone(),
            digest,
            at,
            kind: kind(layers, revision_new),
            same_revision: layers == Some(Layers::New) && revision_new == Some(false),
        });
    }
    found
}

/// The layers of an application, compared to those of its earlier digests in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layers {
    New,
    OnTheSameBase,
    OnAnotherBase,
}

/// By its own layers and by whether its revision is new, as far as each is known. The same layers on another base are a rebase,
/// whatever the revision: what a machine commits to move a base is nothing of the application.
fn kind(layers: Option<Layers>, revision_new: Option<bool>) -> Kind {
    match (layers, revision_new) {
        (Some(Layers::New), _) | (Some(Layers::OnTheSameBase) | None, Some(true)) => Kind::Feature,
        (Some(_), _) | (None, Some(false)) => Kind::Maintenance,
        (None, None) => Kind::Unclassified,
    }
}

#[cfg(test)]
mod tests;
