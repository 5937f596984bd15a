//! What the tags and images of the fleet are affected by, for incidents.
//!
//! A line of an incident is a tag, with all images that it names (those of an index for several platforms), or an image without a tag
//! that is in use by somebody's word. All of it is computed from memory, some hundred images at a time, so that nothing that is
//! pushed waits for it.
//!
//! - `sightings/found.rs`: which images have which of the vulnerabilities. `sightings/remedy.rs`: what is to be done about a place.
//! - `sightings/lines.rs`: from images to tags. `sightings/versions.rs`: tags that others take the place of; `sightings/newer.rs`: which
//!   of these to go to.
//! - `sightings/relief.rs`: VEX and waivers that count. `sightings/withdrawn.rs`: what advisories say no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use findings::{Severity, advisory::Rating};
use oci::{Digest, RepoName};
use road::{
    fleet::{Answer, ImageKey, State, is_fix_superseded},
    incident::{Coverage, Incident, LineKey, Sighting, Vulnerability},
    names::VulnerabilityId,
};
use store::RoadEntries;
use time::OffsetDateTime;
use web::MayPull;

use super::{FleetService, owners::Whose};
use crate::judge::Facts;

mod found;
mod lines;
mod newer;
mod relief;
mod remedy;
mod versions;
mod withdrawn;

/// Most severities by source that are told of one vulnerability: those of a dozen feeds.
const SOURCES: usize = 12;

/// Most advisories that are noted of one vulnerability.
const ADVISORIES: usize = 20;

/// A version that was pulled within that time is still used, also where a later one is there.
const STILL_PULLED: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// What is looked for.
pub(crate) struct Sought {
    /// Vulnerabilities, by any of their ids.
    pub(crate) ids: Vec<VulnerabilityId>,
    /// The incident as it stands, if there is one.
    pub(crate) incident: Option<Arc<Incident>>,
    /// Vulnerabilities of it of which every advisory was withdrawn, with the reason.
    pub(crate) withdrawn: BTreeMap<VulnerabilityId, String>,
    /// Images without a tag that are in use by somebody's word.
    pub(crate) by_word: BTreeSet<(RepoName, Digest)>,
    /// Whose repositories are, and what images stand on.
    pub(crate) road: Arc<RoadEntries>,
    /// What advisories say.
    pub(crate) facts: Arc<Facts>,
    /// The moment.
    pub(crate) now: OffsetDateTime,
}

/// What was seen.
pub(crate) struct Seen {
    /// Each line that is affected, and each that is followed and could be found.
    pub(crate) sightings: Vec<Sighting>,
    /// Lines that are followed and that no image of the index is called.
    pub(crate) missing: Vec<LineKey>,
    /// Versions that are without all that is looked for, one per package and line of releases that is affected.
    pub(crate) targets: Vec<String>,
    /// The images behind each line that is affected.
    images: BTreeMap<LineKey, Vec<ImageKey>>,
    /// Of these, tags in whose place another one is to be used, with what that is without.
    followed: BTreeMap<LineKey, BTreeSet<VulnerabilityId>>,
    /// Newer tags that are without all that a line has, the newest first.
    newer: BTreeMap<LineKey, Vec<newer::Newer>>,
}

/// The change of the index that was last seen, with whether it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stand {
    /// Changes with the index.
    pub(crate) epoch: u64,
    /// How much of it stands, in percent.
    pub(crate) percent: u8,
    /// The last line of the audit log that it takes in.
    pub(crate) event: i64,
    /// The last report of a layer that it takes in.
    pub(crate) report: i64,
}

impl FleetService {
    /// Where the index stands.
    pub(crate) fn stand(&self) -> Stand {
        let state = self.read();
        Stand {
            epoch: state.fleet.epoch(),
            percent: self.progress.percent(),
            event: state.mark.event,
            report: state.mark.report,
        }
    }

    /// What tags and images are affected by now, with what VEX and waivers take away.
    pub(crate) async fn sight(self: &Arc<Self>, sought: Sought) -> Result<Seen> {
        let (service, sought) = (Arc::clone(self), Arc::new(sought));
        let asked = Arc::clone(&sought);
        // It computes; a thread that serves connections must not.
        let seen = tokio::task::spawn_blocking(move || service.see(&asked)).await;
        let mut seen = seen.context("the look at the fleet was lost")?;
        self.leave_out_followed(&sought, &mut seen).await?;
        newer::choose(&self.store, &mut seen).await?;
        relief::add(&self.store, &sought, &mut seen).await?;
        Ok(seen)
    }

    /// A version in whose place a later one without it is to be used is fixed, unless somebody still pulls it or says that it runs.
    async fn leave_out_followed(&self, sought: &Sought, seen: &mut Seen) -> Result<()> {
        let since = self.store.now().minus(STILL_PULLED);
        for sighting in &mut seen.sightings {
            let key = &sighting.line;
            let Some(without) = seen.followed.get(key) else {
                continue;
            };
            let mut is_used = false;
            for image in seen.images.get(key).into_iter().flatten() {
                is_used |= sought.by_word.contains(&(key.repository.clone(), image.digest))
                    || self
                        .store
                        .was_pulled_since(&key.repository, &image.digest, since)
                        .await?;
            }
            if is_used {
                continue;
            }
            sighting.affected_by.retain(|id| !without.contains(id));
            for relief in &mut sighting.reliefs {
                relief.covers.retain(|id| !without.contains(id));
            }
            sighting.reliefs.retain(|relief| !relief.covers.is_empty());
            if sighting.affected_by.is_empty() {
                sighting.remedies.clear();
            }
        }
        Ok(())
    }

    fn see(&self, sought: &Sought) -> Seen {
        let found = found::find(self, sought);
        lines::of_images(self, sought, &found)
    }

    /// What advisories say of a vulnerability, and which versions fix it here. `None`: none of them knows it.
    pub(crate) async fn vulnerability(
        self: &Arc<Self>,
        id: &VulnerabilityId,
        facts: &Arc<Facts>,
        was: Option<&Vulnerability>,
    ) -> Result<Option<Vulnerability>> {
        let (service, facts) = (Arc::clone(self), Arc::clone(facts));
        let (id, was) = (id.clone(), was.cloned());
        let told = tokio::task::spawn_blocking(move || service.told_of(&id, &facts, was.as_ref()));
        told.await.context("what is said of a vulnerability was lost")
    }

    fn told_of(
        &self,
        id: &VulnerabilityId,
        facts: &Facts,
        was: Option<&Vulnerability>,
    ) -> Option<Vulnerability> {
        let known = facts.index.vulnerability(id.as_str())?;
        let state = self.read();
        let scope = state.fleet.scope(|_| true, None);
        let answer = state
            .fleet
            .by_vulnerability(id.as_str(), &facts.knowledge(), &scope)?;
        let mut by_source = severities(&answer);
        if by_source.is_empty() {
            for advisory in facts.index.advisories_of(known) {
                let rated = Rating::leading(&advisory.ratings);
                rate(
                    &mut by_source,
                    advisory.database.as_str(),
                    rated.map_or(Severity::Unknown, |rating| rating.severity),
                );
            }
        }
        let shown = answer.findings().map(|finding| finding.severity).max();
        let severity = shown.or_else(|| by_source.values().copied().max());
        let mut fixes: BTreeSet<String> = answer.fixes().into_iter().map(str::to_owned).collect();
        // What nobody here needs any more was still a fix.
        let kept = was.into_iter().flat_map(|was| &was.fixed_in);
        let holds = |fix: &&String| !is_fix_superseded(fix, id.as_str(), &facts.knowledge());
        fixes.extend(kept.filter(holds).cloned());
        let advisories = facts.index.advisories_of(known);
        let advisories = advisories.map(|advisory| advisory.id.to_string());
        Some(Vulnerability {
            advisories: advisories.take(ADVISORIES).collect(),
            id: id.clone(),
            severity: severity.unwrap_or(Severity::Unknown),
            by_source: by_source.into_iter().take(SOURCES).collect(),
            fixed_in: fixes.into_iter().take(road::incident::MAX_FIXES).collect(),
        })
    }

    /// How much of the repositories is covered that somebody may pull from; with what is still being looked into, or without.
    pub(crate) fn covered(&self, road: &RoadEntries, may_pull: &MayPull, with_waiting: bool) -> Coverage {
        let state = self.read();
        let may = |name: &str| name.parse().is_ok_and(|repo: RepoName| may_pull(&repo));
        let is_ownerless = |name: &str| {
            let repo = name.parse::<RepoName>();
            may(name) && repo.is_ok_and(|repo| !super::owners::has_owner(Whose::of(&repo, road).as_ref()))
        };
        let looked = state.fleet.coverage(&state.fleet.scope(may, None));
        let ownerless = state.fleet.coverage(&state.fleet.scope(is_ownerless, None));
        let waiting = state.waiting.iter().filter(|(name, _)| with_waiting && may(name));
        let waiting: u64 = waiting.map(|(_, digests)| digests.len() as u64).sum();
        let owned_but_unseen = looked.not_scannable - ownerless.not_scannable;
        Coverage {
            images: looked.images + waiting,
            not_scannable: looked.not_scannable + waiting,
            without_owner: ownerless.images,
            either: ownerless.images + owned_but_unseen + waiting,
        }
    }
}

/// What each source rates it, the worst of its words about any package that is here.
fn severities(answer: &Answer) -> BTreeMap<String, Severity> {
    let mut by_source = BTreeMap::new();
    for source in answer.findings().flat_map(|finding| &finding.sources) {
        let rated = Rating::leading(&source.ratings).map_or(Severity::Unknown, |rating| rating.severity);
        rate(&mut by_source, source.database.as_str(), rated);
    }
    by_source
}

fn rate(by_source: &mut BTreeMap<String, Severity>, source: &str, severity: Severity) {
    let known = by_source.entry(source.to_owned()).or_insert(severity);
    *known = severity.max(*known);
}

/// Whether a state counts: what is uncertain is to be found out and is shown by questions, not followed.
fn counts(state: State) -> bool {
    matches!(state, State::Affected | State::Mitigated)
}
