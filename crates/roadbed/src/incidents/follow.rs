//! How incidents are kept current.
//!
//! Once a second it is asked whether anything has changed that tags and images are affected by: the index of all images, whose they
//! are and what they stand on, advisories, the policy and waivers, decisions. If so, each incident is told all that is affected, and
//! what is news to it becomes events. So an event that is missed is made up for by the next look, and a start needs no more than
//! the first one. It runs behind requests and spends at most a fifth of the time.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use road::{
    fleet::is_fix_superseded,
    incident::{Event, EventKind, Incident, Sighting, Status, Vulnerability},
    names::IncidentId,
};
use store::{Actor, StoreError};
use time::OffsetDateTime;
use web::{IncidentsError, MayPull};

use super::{IncidentService, Kept, is_followed, missing::Missing, refused};
use crate::{fleet::Seen, judge::Facts};

/// How often it is asked whether anything has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Before what failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// A look is followed by so many times its length without one.
const REST: u32 = 4;

/// What mitigations, waivers and deadlines end without that anything else happens is seen after so long.
const AT_LEAST_EVERY: Duration = Duration::from_mins(10);

/// Who it is in events.
const ACTOR: &str = "incidents";

/// What everything rests on; the same stand needs no second look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Basis {
    epoch: u64,
    road: u64,
    rulings: u64,
    decisions: u64,
}

/// Until its task is ended.
pub(crate) async fn follow(service: Arc<IncidentService>) {
    while let Err(error) = service.load().await {
        let error = format!("{error:#}");
        tracing::error!(error, "incidents could not be read; it is tried again");
        tokio::time::sleep(TRY_AGAIN).await;
    }
    let (mut last, mut looked) = (None, Instant::now());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let basis = service.basis();
        let is_due = looked.elapsed() >= AT_LEAST_EVERY;
        if service.fleet.stand().percent < 100 || (last == Some(basis) && !is_due) {
            continue;
        }
        let began = Instant::now();
        looked = began;
        last = match service.look().await {
            Ok(true) => Some(basis),
            // Something is still on its way.
            Ok(false) => None,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "incidents could not be brought up to date; it is tried again"
                );
                tokio::time::sleep(TRY_AGAIN).await;
                None
            }
        };
        tokio::time::sleep(began.elapsed() * REST).await;
    }
}

impl IncidentService {
    /// Reads what is to be followed. One that is damaged does not keep the others from it.
    async fn load(&self) -> Result<()> {
        for stored in self.store.incidents().await? {
            if !is_followed(stored.settled_at, self.store.now()) {
                continue;
            }
            if let Err(error) = self.current(&stored.id).await {
                let of_store = error.downcast_ref::<StoreError>();
                if of_store.is_some_and(|error| !matches!(error, StoreError::Damaged { .. })) {
                    return Err(error.context(format!("incident {} cannot be read", stored.id)));
                }
                let error = format!("{error:#}");
                tracing::error!(incident = %stored.id, error, "an incident that was stored cannot be read and is not followed");
            }
        }
        Ok(())
    }

    fn basis(&self) -> Basis {
        Basis {
            epoch: self.fleet.stand().epoch,
            road: *self.store.entries().borrow(),
            rulings: *self.store.rulings().borrow(),
            decisions: *self.store.decisions().borrow(),
        }
    }

    /// Brings each incident up to date. `false`: something could not be told yet.
    pub(super) async fn look(&self) -> Result<bool> {
        let followed: BTreeMap<IncidentId, Kept> = {
            let now = self.store.now();
            let kept = self.kept();
            let followed = kept.iter().filter(|(_, kept)| kept.is_followed(now));
            followed.map(|(id, kept)| (id.clone(), kept.clone())).collect()
        };
        let mut is_whole = true;
        if followed.is_empty() {
            return Ok(is_whole);
        }
        let facts = self.knowledge.facts().await;
        for (id, kept) in followed {
            is_whole &= self.look_at(&id, &kept.incident, &facts).await?;
        }
        Ok(is_whole)
    }

    async fn look_at(&self, id: &IncidentId, incident: &Arc<Incident>, facts: &Arc<Facts>) -> Result<bool> {
        let told = self.told_anew(incident, facts).await?;
        let ids = incident.vulnerabilities().iter().map(|known| known.id.clone());
        let sought = self
            .sought(ids.collect(), Some(Arc::clone(incident)), Arc::clone(facts))
            .await?;
        let seen = self.fleet.sight(sought).await?;
        let missing = self.missing(incident, &seen.missing).await?;
        let is_sure = !missing.is_unsure;
        let mut told = [told, self.covered_anew(incident).await?].concat();
        if !told.is_empty() && stands(incident, &seen, self.now()) {
            told.clear();
        }
        let is_quiet = told.is_empty()
            && missing.gone.is_empty()
            && !seen.sightings.iter().any(|sighting| incident.is_news(sighting));
        if is_quiet {
            return Ok(is_sure);
        }
        let actor = Actor::system(ACTOR);
        let written = self.write(&actor, id, |incident, now| {
            take_in(incident, told, seen, missing, now)
        });
        match written.await {
            Ok(_) => Ok(is_sure),
            Err(IncidentsError::Failed(error)) => Err(anyhow::anyhow!(error)),
            // Others were faster.
            Err(IncidentsError::NotYet(_)) => Ok(false),
            Err(error) => {
                // It is full. Trying again before something changes would only say so again.
                tracing::warn!(incident = %id, %error, "an incident could not take in what has changed");
                Ok(is_sure)
            }
        }
    }

    /// How much is covered, if that changes what is said of it. What is still being looked into comes and goes and is left out.
    async fn covered_anew(&self, incident: &Incident) -> Result<Vec<EventKind>> {
        let road = self.store.road().await?;
        let everything: MayPull = Arc::new(|_| true);
        let fleet = Arc::clone(&self.fleet);
        let coverage = tokio::task::spawn_blocking(move || fleet.covered(&road, &everything, false)).await;
        let coverage = coverage.context("the coverage was lost")?;
        let is_other = coverage.headline(0) != incident.coverage().headline(0);
        Ok(is_other
            .then_some(EventKind::Covered { coverage })
            .into_iter()
            .collect())
    }

    /// What advisories say otherwise than before.
    async fn told_anew(&self, incident: &Incident, facts: &Arc<Facts>) -> Result<Vec<EventKind>> {
        let mut told = Vec::new();
        for was in incident.vulnerabilities() {
            // Of what no advisory knows any more, nothing is known.
            if let Some(now) = self.fleet.vulnerability(&was.id, facts, Some(was)).await? {
                told.extend(changes(was, &now, facts));
            }
        }
        Ok(told)
    }
}

/// Whether it is closed and nothing that was seen opens it again. Then what it says of severities, fixes and coverage stands as at its
/// closing; once it is open again, it says what is known by then.
fn stands(incident: &Incident, seen: &Seen, now: OffsetDateTime) -> bool {
    if !matches!(incident.status(now), Status::Closed { .. }) {
        return false;
    }
    let news = seen.sightings.iter();
    let affected: Vec<Sighting> = news
        .filter(|sighting| !sighting.affected_by.is_empty() && incident.is_news(sighting))
        .cloned()
        .collect();
    if affected.is_empty() {
        return true;
    }
    let mut then = incident.clone();
    // What cannot be taken in opens nothing.
    let is_seen = then.see(affected, ACTOR, now).is_ok();
    !is_seen || matches!(then.status(now), Status::Closed { .. })
}

/// What is otherwise about a vulnerability. A fix that turned out not to be one, with another in its place, begins a new generation.
fn changes(was: &Vulnerability, now: &Vulnerability, facts: &Facts) -> Vec<EventKind> {
    let mut changes = Vec::new();
    let id = &was.id;
    let is_new = |fix: &&String| !was.fixed_in.contains(fix);
    let has_new = now.fixed_in.iter().any(|fix| is_new(&fix));
    let is_lost = was.fixed_in.iter().any(|fix| !now.fixed_in.contains(fix));
    if has_new || is_lost {
        let knowledge = facts.knowledge();
        let mut fixes = was.fixed_in.iter();
        let is_superseded = has_new && fixes.any(|fix| is_fix_superseded(fix, id.as_str(), &knowledge));
        changes.push(EventKind::FixChanged {
            vulnerability: id.clone(),
            fixed_in: now.fixed_in.clone(),
            supersedes: is_superseded,
            targets: Vec::new(),
        });
    }
    if was.severity != now.severity || was.by_source != now.by_source {
        changes.push(EventKind::SeverityChanged {
            vulnerability: id.clone(),
            severity: now.severity,
            by_source: now.by_source.clone(),
        });
    }
    changes
}

fn take_in(
    incident: &mut Incident,
    told: Vec<EventKind>,
    seen: Seen,
    missing: Missing,
    now: OffsetDateTime,
) -> Result<Vec<Event>, IncidentsError> {
    let mut events = Vec::new();
    for mut kind in told {
        if let EventKind::FixChanged { targets, .. } = &mut kind {
            targets.clone_from(&seen.targets);
        }
        events.push(incident.record(kind, store::SYSTEM, now).map_err(refused)?);
    }
    events.extend(
        incident
            .see(seen.sightings, store::SYSTEM, now)
            .map_err(refused)?,
    );
    for kind in missing.gone {
        events.push(incident.record(kind, store::SYSTEM, now).map_err(refused)?);
    }
    Ok(events)
}
