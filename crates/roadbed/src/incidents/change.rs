//! What people do to an incident.

use std::{collections::BTreeSet, sync::Arc};

use road::{
    incident::{Event, EventKind, Incident, Line, LineKey, ReliefKind, Vulnerability},
    names::{IncidentId, VulnerabilityId},
};
use store::Actor;
use time::OffsetDateTime;
use web::{IncidentChange, IncidentsError, LineSelection};

use super::{IncidentService, failed, open, refused, unknown};
use crate::{fleet::Seen, judge::Facts};

/// Tags and images that one request mitigates or waives. Default: the only value.
pub(super) const MAX_SELECTED: usize = 500;

/// What is to count, or to count no more.
struct Relieving {
    kind: ReliefKind,
    covers: Vec<VulnerabilityId>,
    /// `None`: it ends.
    until: Option<OffsetDateTime>,
    reason: String,
}

impl IncidentService {
    pub(super) async fn change_one(
        &self,
        actor: &Actor,
        id: &IncidentId,
        change: IncidentChange,
    ) -> Result<Arc<Incident>, IncidentsError> {
        match change {
            IncidentChange::Add(wanted) => self.add(actor, id, &wanted).await,
            IncidentChange::Relieve {
                kind,
                lines,
                covers,
                until,
                reason,
            } => {
                let facts = self.knowledge.facts().await;
                let covers = covers
                    .iter()
                    .map(|id| open::leading(id, &facts).or(Ok(id.clone())));
                let relieving = Relieving {
                    kind,
                    covers: covers.collect::<Result<_, IncidentsError>>()?,
                    until: Some(until),
                    reason,
                };
                self.relieve(actor, id, &lines, relieving).await
            }
            IncidentChange::EndRelief { kind, lines, reason } => {
                let relieving = Relieving {
                    kind,
                    covers: Vec::new(),
                    until: None,
                    reason,
                };
                self.relieve(actor, id, &lines, relieving).await
            }
            IncidentChange::Close { note } => {
                self.write(actor, id, |incident, now| {
                    let closed = incident.record(EventKind::Closed { note }, actor.name(), now);
                    Ok(vec![closed.map_err(refused)?])
                })
                .await
            }
        }
    }

    async fn add(
        &self,
        actor: &Actor,
        id: &IncidentId,
        wanted: &[VulnerabilityId],
    ) -> Result<Arc<Incident>, IncidentsError> {
        self.check_index()?;
        let kept = self.current(id).await.map_err(failed)?;
        let before = kept.ok_or_else(|| unknown(id))?.incident;
        let facts = self.knowledge.facts().await;
        let added = self.told(wanted, &facts).await?;
        if added.is_empty() {
            return Err(IncidentsError::Malformed(
                "name at least one vulnerability that is to be followed".to_owned(),
            ));
        }
        check_new(&before, &added, &facts)?;
        let known = before.vulnerabilities().iter().chain(&added);
        let ids = known.map(|known| known.id.clone()).collect();
        let sought = self.sought(ids, Some(before), facts).await.map_err(failed)?;
        let seen = self.fleet.sight(sought).await.map_err(failed)?;
        self.write(actor, id, |incident, now| {
            grow(incident, added, seen, actor.name(), now)
        })
        .await
    }

    async fn relieve(
        &self,
        actor: &Actor,
        id: &IncidentId,
        lines: &LineSelection,
        relieving: Relieving,
    ) -> Result<Arc<Incident>, IncidentsError> {
        self.write(actor, id, |incident, now| {
            let mut events = Vec::new();
            for line in selected(incident, lines, now)? {
                relieving.check(incident, &line, now)?;
                let kind = relieving.event(incident, line);
                events.push(incident.record(kind, actor.name(), now).map_err(refused)?);
            }
            Ok(events)
        })
        .await
    }
}

impl Relieving {
    /// What is over needs no help, and would have it without being asked if it came back; what nobody said cannot be taken back.
    fn check(&self, incident: &Incident, key: &LineKey, now: OffsetDateTime) -> Result<(), IncidentsError> {
        let Some(line) = incident.line(key) else {
            return Ok(());
        };
        let word = match self.kind {
            ReliefKind::Mitigation => "mitigation",
            ReliefKind::Waiver => "waiver",
        };
        if self.until.is_some() && incident.affected_by(line).is_empty() {
            let state = line.state(now).as_str();
            return Err(IncidentsError::Conflict(format!(
                "{key} is {state}: a {word} has nothing to cover there"
            )));
        }
        let mut own = line
            .reliefs
            .iter()
            .filter(|relief| relief.kind == self.kind && relief.is_live(now));
        if self.until.is_none() && own.next().is_none() {
            return Err(IncidentsError::Conflict(format!(
                "{key} has no {word} by somebody's word that could end"
            )));
        }
        Ok(())
    }

    fn event(&self, incident: &Incident, line: LineKey) -> EventKind {
        let covers = if self.covers.is_empty() {
            let all = incident.vulnerabilities().iter();
            all.map(|known| known.id.clone()).collect()
        } else {
            self.covers.clone()
        };
        let reason = self.reason.clone();
        match (self.kind, self.until) {
            (ReliefKind::Mitigation, Some(until)) => EventKind::Mitigated {
                line,
                covers,
                until,
                reason,
            },
            (ReliefKind::Waiver, Some(until)) => EventKind::Waived {
                line,
                covers,
                until,
                reason,
            },
            (ReliefKind::Mitigation, None) => EventKind::MitigationEnded { line, reason },
            (ReliefKind::Waiver, None) => EventKind::WaiverEnded { line, reason },
        }
    }
}

/// One that is in the group under another of its ids is in the group.
fn check_new(incident: &Incident, added: &[Vulnerability], facts: &Facts) -> Result<(), IncidentsError> {
    let leading = |id: &VulnerabilityId| open::leading(id, facts).unwrap_or_else(|_| id.clone());
    let group: BTreeSet<VulnerabilityId> = incident
        .vulnerabilities()
        .iter()
        .map(|known| leading(&known.id))
        .collect();
    match added.iter().find(|added| group.contains(&added.id)) {
        Some(known) => Err(refused(road::incident::IncidentError::Known(known.id.clone()))),
        None => Ok(()),
    }
}

/// The group grows, and what is affected by it is seen. What people said to help against what was known before counts no more where
/// a fix turned out not to be one: they know what it does against the new one, nobody else.
fn grow(
    incident: &mut Incident,
    added: Vec<Vulnerability>,
    seen: Seen,
    actor: &str,
    now: OffsetDateTime,
) -> Result<Vec<Event>, IncidentsError> {
    let generations = incident.generations().len();
    let new: Vec<VulnerabilityId> = added.iter().map(|added| added.id.clone()).collect();
    let mut events = Vec::new();
    for vulnerability in added {
        let event = incident.add_vulnerability(vulnerability, &seen.targets, actor, now);
        events.push(event.map_err(refused)?);
    }
    events.extend(incident.see(seen.sightings, actor, now).map_err(refused)?);
    if incident.generations().len() > generations {
        events.extend(end_mitigations(incident, &new, actor, now)?);
    }
    Ok(events)
}

/// Ends mitigations by somebody's word where one of `new` affects the line and they do not cover it.
fn end_mitigations(
    incident: &mut Incident,
    new: &[VulnerabilityId],
    actor: &str,
    now: OffsetDateTime,
) -> Result<Vec<Event>, IncidentsError> {
    let mut ended = Vec::new();
    for line in incident.lines() {
        let affected_by = incident.affected_by(line);
        let hit = new.iter().find(|id| affected_by.contains(id));
        let mut in_force = line
            .reliefs
            .iter()
            .filter(|relief| relief.kind == ReliefKind::Mitigation && relief.is_live(now));
        if let (Some(found), Some(first)) = (hit, in_force.next()) {
            let reason = format!(
                "{found} needs another fix: what was said to help before ({}) counts no more until somebody says it anew",
                policy::yaml::one_line(&first.reason, 200)
            );
            let line = line.key.clone();
            ended.push(EventKind::MitigationEnded { line, reason });
        }
    }
    let record = |kind| incident.record(kind, actor, now).map_err(refused);
    ended.into_iter().map(record).collect()
}

/// The lines that are meant; those named must be there, and of others the ones that are not over.
fn selected(
    incident: &Incident,
    wanted: &LineSelection,
    now: OffsetDateTime,
) -> Result<Vec<LineKey>, IncidentsError> {
    let mut lines = BTreeSet::new();
    for key in &wanted.lines {
        let line = incident.line(key);
        let line =
            line.ok_or_else(|| refused(road::incident::IncidentError::UnknownLine(key.to_string())))?;
        lines.insert(line.key.clone());
    }
    let is_meant = |line: &&Line| {
        let application = wanted.application.as_ref();
        let is_of_application = application.is_some() && line.key.application.as_ref() == application;
        let is_of_owner = wanted.owner.is_some() && line.owner == wanted.owner;
        (is_of_application || is_of_owner) && !line.state(now).is_over()
    };
    lines.extend(incident.lines().filter(is_meant).map(|line| line.key.clone()));
    if lines.is_empty() {
        return Err(IncidentsError::Malformed(
            "nothing is meant: name tags or images of the incident, or an application or owner with something that is affected"
                .to_owned(),
        ));
    }
    if lines.len() > MAX_SELECTED {
        return Err(IncidentsError::Malformed(format!(
            "{} tags and images are meant: at most {MAX_SELECTED} at a time are allowed, name an application",
            lines.len()
        )));
    }
    Ok(lines.into_iter().collect())
}
