//! Incidents, followed until nobody is affected any more.
//!
//! The state of an incident (`road::incident`) is what its events make of it; they lie in the store and nowhere else. Those that are
//! followed are held in memory. One writer at a time changes one: what happens is applied to a copy, written, and only then shown, so
//! that nothing is seen that a crash could take back.
//!
//! - `incidents/open.rs`: how one is opened. `incidents/change.rs`: what people do to one.
//! - `incidents/follow.rs`: how each is kept current. `incidents/missing.rs`: what became of tags that are there no more.
//! - `incidents/withdrawn.rs`: vulnerabilities that are none any more. `incidents/answer.rs`: for the API.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result};
use findings::Severity;
use oci::{Digest, Reference, RepoName, Tag};
use road::{
    incident::{Deadlines, Event, Incident, IncidentError, LineKey, Status},
    message::Message,
    names::{IncidentId, VulnerabilityId},
};
use store::{Actor, IncidentAppend, Store, Timestamp};
use time::OffsetDateTime;
use tokio::sync::Mutex as Turn;
use web::IncidentsError;

use crate::{
    fleet::{FleetService, Sought},
    judge::{Facts, Knowledge},
};

mod answer;
mod change;
mod follow;
mod missing;
mod open;
mod tell;
#[cfg(test)]
mod tests;
mod withdrawn;

pub(crate) use follow::follow;

/// Incidents of which something is open at a time. Default: the only value.
pub(crate) const MAX_FOLLOWED: usize = 100;

/// How long an incident that is over is followed on: what comes back within that time opens it again.
const FOLLOWED_ON: std::time::Duration = std::time::Duration::from_hours(90 * 24);

/// Incidents that are over which are held in memory for whoever asks next.
const REMEMBERED: usize = 4;

/// Events that are read at a time: each can hold hundreds of lines.
const PAGE: usize = 20;

/// Images in use by somebody's word that are read at a time.
const WORDS_PAGE: usize = 1_000;

/// One incident in memory.
#[derive(Debug, Clone)]
struct Kept {
    incident: Arc<Incident>,
    /// How many events it has.
    events: u64,
    /// Since when nothing of it is affected and somebody has closed it.
    settled_at: Option<Timestamp>,
}

impl Kept {
    /// Whether what comes back opens it again: until some time after it was over.
    fn is_followed(&self, now: Timestamp) -> bool {
        is_followed(self.settled_at, now)
    }
}

fn is_followed(settled_at: Option<Timestamp>, now: Timestamp) -> bool {
    settled_at.is_none_or(|settled| settled >= now.minus(FOLLOWED_ON))
}

/// Keeps incidents.
pub(crate) struct IncidentService {
    store: Store,
    fleet: Arc<FleetService>,
    knowledge: Arc<Knowledge>,
    /// By when incidents are to be over of which nothing else is said.
    deadlines: Deadlines,
    kept: Mutex<BTreeMap<IncidentId, Kept>>,
    /// Whoever changes one.
    turn: Turn<()>,
    /// Whoever reads one from its events: a large one takes much memory.
    reading: Turn<()>,
}

impl IncidentService {
    /// Knows nothing yet: [`follow()`] reads what is to be followed.
    pub(crate) fn of(
        store: Store,
        fleet: Arc<FleetService>,
        knowledge: Arc<Knowledge>,
        deadlines: Deadlines,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            fleet,
            knowledge,
            deadlines,
            kept: Mutex::default(),
            turn: Turn::default(),
            reading: Turn::default(),
        })
    }

    /// What each owner is to be told of an incident; nothing of one that is not there.
    pub(crate) async fn messages_of(&self, id: &IncidentId, now: OffsetDateTime) -> Result<Vec<Message>> {
        let Some(kept) = self.current(id).await? else {
            return Ok(Vec::new());
        };
        // It goes through all lines; a thread that serves connections must not.
        let made = tokio::task::spawn_blocking(move || road::message::messages(&kept.incident, None, now));
        made.await.context("the messages of an incident were lost")
    }

    /// Incidents about which somebody has to do something now: what is due soon comes by time alone.
    pub(crate) async fn pressing(&self, now: OffsetDateTime) -> Result<Vec<IncidentId>> {
        let kept = self.kept().clone();
        let found = tokio::task::spawn_blocking(move || {
            let is_pressing = |kept: &Kept| kept.incident.lines().any(|line| line.state(now).is_open());
            let pressing = kept.into_iter().filter(|(_, kept)| is_pressing(kept));
            pressing.map(|(id, _)| id).collect()
        });
        found.await.context("the open incidents were lost")
    }

    /// An incident of such a severity in which a tag is open.
    pub(crate) fn open_on(
        &self,
        repository: &RepoName,
        tag: &Tag,
        severity: Severity,
        now: OffsetDateTime,
    ) -> Option<String> {
        let of_severity = |incident: &Incident| {
            let worst = incident.vulnerabilities().iter().map(|one| one.severity).max();
            incident.closed_at().is_none() && worst >= Some(severity)
        };
        // Whose it is does not tell two lines apart.
        let key = LineKey {
            application: None,
            repository: repository.clone(),
            reference: Reference::Tag(tag.clone()),
        };
        let is_open = |incident: &Incident| incident.line(&key).is_some_and(|line| line.state(now).is_open());
        let kept = self.kept();
        let found = kept
            .iter()
            .find(|(_, kept)| of_severity(&kept.incident) && is_open(&kept.incident));
        found.map(|(id, _)| id.to_string())
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<IncidentId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> OffsetDateTime {
        moment(self.store.now())
    }

    /// An incident as it stands, from memory or from its events.
    async fn current(&self, id: &IncidentId) -> Result<Option<Kept>> {
        if let Some(kept) = self.kept().get(id) {
            return Ok(Some(kept.clone()));
        }
        let _reading = self.reading.lock().await;
        if let Some(kept) = self.kept().get(id) {
            return Ok(Some(kept.clone()));
        }
        let Some(stored) = self.store.incident(id).await? else {
            return Ok(None);
        };
        let Some((incident, events)) = self.replay(id, None).await? else {
            return Ok(None);
        };
        let kept = Kept {
            incident: Arc::new(incident),
            events,
            settled_at: stored.settled_at,
        };
        self.remember(id, kept.clone());
        Ok(Some(kept))
    }

    fn remember(&self, id: &IncidentId, kept: Kept) {
        let now = self.store.now();
        let mut all = self.kept();
        all.insert(id.clone(), kept);
        let others = all
            .iter()
            .filter(|(other, kept)| !kept.is_followed(now) && *other != id);
        let others: Vec<IncidentId> = others.map(|(other, _)| other.clone()).collect();
        for other in others.iter().skip(REMEMBERED) {
            all.remove(other);
        }
    }

    /// What the events up to a moment make of an incident, with how many these are. `None`: it was not there then.
    async fn replay(
        &self,
        id: &IncidentId,
        until: Option<OffsetDateTime>,
    ) -> Result<Option<(Incident, u64)>> {
        let (mut incident, mut count): (Option<Incident>, u64) = (None, 0);
        loop {
            let page = self.store.incident_events(id, count, PAGE).await?;
            let read = page.len();
            let is_then = |event: &&Event| until.is_none_or(|until| event.at <= until);
            let then: Vec<&Event> = page.iter().take_while(is_then).collect();
            count += then.len() as u64;
            let is_last = then.len() < PAGE || then.len() < read;
            for event in then {
                match &mut incident {
                    None => incident = Some(Incident::replay([event])?),
                    Some(incident) => incident.apply(event).context("an event cannot have happened")?,
                }
            }
            if is_last {
                return Ok(incident.map(|incident| (incident, count)));
            }
        }
    }

    /// Makes something happen to an incident. What makes no event is not written.
    async fn write(
        &self,
        actor: &Actor,
        id: &IncidentId,
        happens: impl FnOnce(&mut Incident, OffsetDateTime) -> Result<Vec<Event>, IncidentsError>,
    ) -> Result<Arc<Incident>, IncidentsError> {
        let _turn = self.turn.lock().await;
        let kept = self.current(id).await.map_err(failed)?;
        let kept = kept.ok_or_else(|| unknown(id))?;
        let (mut incident, now) = ((*kept.incident).clone(), self.now());
        let events = happens(&mut incident, now)?;
        if events.is_empty() {
            return Ok(kept.incident);
        }
        let (count, settled_at) = (events.len() as u64, settled_at(&incident, now));
        let news = IncidentAppend {
            id: id.clone(),
            after: kept.events,
            settled_at,
            events,
        };
        let written = self.store.append_incident(actor, news).await;
        if !written.map_err(|error| failed(error.into()))? {
            // Nobody else writes; what is in memory is not what was thought.
            self.kept().remove(id);
            return Err(IncidentsError::NotYet(format!(
                "incident {id} has changed meanwhile: try again"
            )));
        }
        let incident = Arc::new(incident);
        let kept = Kept {
            incident: Arc::clone(&incident),
            events: kept.events + count,
            settled_at,
        };
        self.remember(id, kept);
        Ok(incident)
    }

    /// What is looked for, for an incident or before there is one.
    async fn sought(
        &self,
        ids: Vec<VulnerabilityId>,
        incident: Option<Arc<Incident>>,
        facts: Arc<Facts>,
    ) -> Result<Sought> {
        let withdrawn = match &incident {
            Some(incident) => self.withdrawn(incident, &facts).await?,
            None => BTreeMap::new(),
        };
        Ok(Sought {
            ids,
            incident,
            withdrawn,
            by_word: self.in_use_by_word().await?,
            road: self.store.road().await?,
            facts,
            now: self.now(),
        })
    }

    /// Images that somebody says are in use, by their digests.
    async fn in_use_by_word(&self) -> Result<BTreeSet<(RepoName, Digest)>> {
        let (mut images, mut after) = (BTreeSet::new(), None::<(String, String)>);
        loop {
            let from = after
                .as_ref()
                .map(|(repo, reference)| (repo.as_str(), reference.as_str()));
            let page = self.store.in_use_by_word(from, WORDS_PAGE).await?;
            let Some(last) = page.items.last().filter(|_| page.more) else {
                images.extend(page.items.into_iter().filter_map(by_digest));
                return Ok(images);
            };
            after = Some((last.repo.to_string(), last.reference.to_string()));
            images.extend(page.items.into_iter().filter_map(by_digest));
        }
    }
}

fn by_digest(entry: store::InUse) -> Option<(RepoName, Digest)> {
    match entry.reference {
        Reference::Digest(digest) => Some((entry.repo, digest)),
        Reference::Tag(_) => None,
    }
}

/// Since when nothing of it is affected and somebody has closed it.
fn settled_at(incident: &Incident, now: OffsetDateTime) -> Option<Timestamp> {
    let is_over = incident.lines().all(|line| line.state(now).is_over());
    let stops = incident.lines().flat_map(|line| &line.clocks);
    let last = stops.filter_map(|clock| clock.stopped).map(|(at, _)| at).max();
    match incident.status(now) {
        // What was mitigated when it was closed may have been fixed later.
        Status::Closed { at } if is_over => Some(timestamp(last.map_or(at, |last| last.max(at)))),
        _ => None,
    }
}

fn moment(at: Timestamp) -> OffsetDateTime {
    let nanos = i128::from(at.micros()) * 1_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp(i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
}

fn failed(error: anyhow::Error) -> IncidentsError {
    IncidentsError::Failed(error.into())
}

fn unknown(id: &IncidentId) -> IncidentsError {
    IncidentsError::Unknown(format!(
        "there is no incident {id}: `roadbed incident list` shows all"
    ))
}

/// What the state machine refuses, by what whoever asked can do about it.
fn refused(error: IncidentError) -> IncidentsError {
    let text = error.to_string();
    match error {
        IncidentError::UnknownVulnerability(_) | IncidentError::UnknownLine(_) => {
            IncidentsError::Unknown(text)
        }
        IncidentError::Known(_)
        | IncidentError::StillOpen(_)
        | IncidentError::Vulnerabilities
        | IncidentError::Generations
        | IncidentError::Lines
        | IncidentError::Reliefs(_) => IncidentsError::Conflict(text),
        IncidentError::Opening | IncidentError::Backwards { .. } => failed(anyhow::Error::from(error)),
        IncidentError::NoVulnerability
        | IncidentError::Long { .. }
        | IncidentError::Text(_)
        | IncidentError::Until
        | IncidentError::CoversNothing => IncidentsError::Malformed(text),
    }
}
