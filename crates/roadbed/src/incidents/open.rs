//! How an incident is opened, and how ids of vulnerabilities are understood.

use std::{collections::BTreeSet, sync::Arc};

use policy::yaml::one_line;
use road::{
    incident::{Incident, MAX_VULNERABILITIES, Opening, Status, Vulnerability},
    names::{IncidentId, VulnerabilityId},
    work::SUBJECT_PREFIX,
};
use store::{Actor, IncidentAppend};
use web::{IncidentOpening, IncidentsError};

use super::{IncidentService, Kept, MAX_FOLLOWED, failed, moment, refused};
use crate::judge::Facts;

/// Longest title, in bytes.
const TITLE_BYTES: usize = 200;

impl IncidentService {
    pub(super) async fn open_one(
        &self,
        actor: &Actor,
        wanted: IncidentOpening,
    ) -> Result<Arc<Incident>, IncidentsError> {
        self.check_index()?;
        if wanted.deadlines.by.is_some_and(|by| moment(by.0) <= self.now()) {
            return Err(IncidentsError::Malformed(
                "the day by which all must be done is over: name one that lies ahead".to_owned(),
            ));
        }
        let facts = self.knowledge.facts().await;
        let vulnerabilities = self.told(&wanted.vulnerabilities, &facts).await?;
        let first = vulnerabilities
            .first()
            .ok_or_else(|| refused(road::incident::IncidentError::NoVulnerability))?;
        let id = match wanted.id {
            Some(id) => id,
            None => id_of(&first.id)?,
        };
        if id.as_str().starts_with(SUBJECT_PREFIX) {
            return Err(IncidentsError::Malformed(format!(
                "what begins with `{SUBJECT_PREFIX}` stands for what releases ask for: name another id"
            )));
        }
        let title = title(wanted.title.as_deref(), first, &facts)?;
        let deadlines = wanted.deadlines.or(self.deadlines);
        let ids = vulnerabilities.iter().map(|known| known.id.clone()).collect();
        let _turn = self.turn.lock().await;
        self.check_room()?;
        if !wanted.another {
            self.check_not_followed(&vulnerabilities, &facts).await?;
        }
        let sought = self.sought(ids, None, facts).await.map_err(failed)?;
        let now = self.now();
        let seen = self.fleet.sight(sought).await.map_err(failed)?;
        let opening = Opening {
            id: id.clone(),
            title,
            vulnerabilities,
            deadlines,
            coverage: self.sight_of(Arc::new(|_| true)).await?.coverage,
            affected: seen.sightings,
            targets: seen.targets,
        };
        let (incident, events) = Incident::open(opening, actor.name(), now).map_err(refused)?;
        let count = events.len() as u64;
        let append = IncidentAppend {
            id: id.clone(),
            after: 0,
            events,
            settled_at: None,
        };
        self.store.open_incident(actor, append).await?;
        let incident = Arc::new(incident);
        let kept = Kept {
            incident: Arc::clone(&incident),
            events: count,
            settled_at: None,
        };
        self.remember(&id, kept);
        Ok(incident)
    }

    /// Whether the answer would be about all images.
    pub(super) fn check_index(&self) -> Result<(), IncidentsError> {
        match self.fleet.stand().percent {
            100 => Ok(()),
            percent => Err(IncidentsError::NotYet(format!(
                "the index of all images is still being built ({percent} %): what is affected would not be all"
            ))),
        }
    }

    /// Whether an open incident is about one of these already: two of them would tell owners the same thing twice, by two clocks.
    async fn check_not_followed(
        &self,
        wanted: &[Vulnerability],
        facts: &Facts,
    ) -> Result<(), IncidentsError> {
        let stored = self
            .store
            .incidents()
            .await
            .map_err(|error| failed(error.into()))?;
        for open in stored.into_iter().filter(|stored| stored.settled_at.is_none()) {
            // One that cannot be read is told of where it is read.
            let Ok(Some(kept)) = self.current(&open.id).await else {
                continue;
            };
            if matches!(kept.incident.status(self.now()), Status::Closed { .. }) {
                continue;
            }
            let lead = |id: &VulnerabilityId| leading(id, facts).unwrap_or_else(|_| id.clone());
            let group: BTreeSet<VulnerabilityId> = kept
                .incident
                .vulnerabilities()
                .iter()
                .map(|known| lead(&known.id))
                .collect();
            let (both, new): (Vec<_>, Vec<_>) = wanted
                .iter()
                .map(|known| known.id.to_string())
                .partition(|id| group.iter().any(|known| known.as_str() == id));
            if !both.is_empty() {
                return Err(covered(&open.id, &both, &new));
            }
        }
        Ok(())
    }

    fn check_room(&self) -> Result<(), IncidentsError> {
        let now = self.now();
        let open = self
            .kept()
            .values()
            .filter(|kept| super::settled_at(&kept.incident, now).is_none())
            .count();
        if open >= MAX_FOLLOWED {
            return Err(IncidentsError::Conflict(format!(
                "{MAX_FOLLOWED} incidents are open: close one of them first"
            )));
        }
        Ok(())
    }

    /// What advisories say of vulnerabilities, each once, under the id that leads.
    pub(super) async fn told(
        &self,
        wanted: &[VulnerabilityId],
        facts: &Arc<Facts>,
    ) -> Result<Vec<Vulnerability>, IncidentsError> {
        if wanted.len() > MAX_VULNERABILITIES {
            return Err(IncidentsError::Malformed(format!(
                "{} vulnerabilities are asked for: an incident follows at most {MAX_VULNERABILITIES}",
                wanted.len()
            )));
        }
        let (mut told, mut known) = (Vec::new(), BTreeSet::new());
        for asked in wanted {
            let id = leading(asked, facts)?;
            if !known.insert(id.clone()) {
                continue;
            }
            let found = self.fleet.vulnerability(&id, facts, None).await.map_err(failed)?;
            told.push(found.ok_or_else(|| unknown(asked))?);
        }
        Ok(told)
    }
}

/// The id that leads among those of a vulnerability: its CVE, if it has one.
pub(super) fn leading(asked: &VulnerabilityId, facts: &Facts) -> Result<VulnerabilityId, IncidentsError> {
    let shouted = asked.as_str().to_ascii_uppercase();
    let known = facts.index.vulnerability(asked.as_str());
    let known = known.or_else(|| facts.index.vulnerability(&shouted));
    let known = known.ok_or_else(|| unknown(asked))?;
    known.id.parse().map_err(|_| unknown(asked))
}

/// That an incident is about some of what another one is to be opened for, and what can be done.
fn covered(open: &IncidentId, both: &[String], new: &[String]) -> IncidentsError {
    let add = if new.is_empty() {
        format!(
            "`roadbed incident show {open}` says how it stands, `roadbed incident add {open} CVE` adds more to it"
        )
    } else {
        format!(
            "`roadbed incident add {open} {}` adds the rest to it",
            new.join(" ")
        )
    };
    IncidentsError::Conflict(format!(
        "the open incident {open} is about {} already: {add}; to open another one all the same, say --another and name it with --id",
        both.join(", ")
    ))
}

fn unknown(asked: &VulnerabilityId) -> IncidentsError {
    IncidentsError::Unknown(format!(
        "no advisory that was imported here knows {asked}: import advisories (roadbed advisories sync), or ask who has the \
         package (roadbed affected NAME)"
    ))
}

fn id_of(first: &VulnerabilityId) -> Result<IncidentId, IncidentsError> {
    let text = first.as_str().replace(':', "-");
    text.parse().map_err(|_| {
        IncidentsError::Malformed(format!(
            "{first} cannot be the id of an incident: name one with --id"
        ))
    })
}

/// One line, that of whoever opens it or of the advisories.
fn title(wanted: Option<&str>, first: &Vulnerability, facts: &Facts) -> Result<String, IncidentsError> {
    if let Some(title) = wanted {
        let title = title.trim();
        if title.is_empty() || one_line(title, TITLE_BYTES) != title {
            return Err(IncidentsError::Malformed(format!(
                "the title must be one line of at most {TITLE_BYTES} bytes"
            )));
        }
        return Ok(title.to_owned());
    }
    let known = facts.index.vulnerability(first.id.as_str());
    let mut summaries = known
        .into_iter()
        .flat_map(|known| facts.index.advisories_of(known))
        .map(|advisory| one_line(&advisory.summary, TITLE_BYTES));
    let summary = summaries.find(|summary| !summary.trim().is_empty());
    Ok(summary.unwrap_or_else(|| first.id.to_string()))
}
