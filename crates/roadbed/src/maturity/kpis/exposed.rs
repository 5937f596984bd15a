//! What incidents say of images: what was affected when, when it was told, and in which cohort an application was then.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use maturity::kpi::{
    Cohort, Severity, Source,
    event::{App, Event, VulnerabilityGroup, What},
    remediation::{Cohorts, Frozen},
};
use road::{
    incident::{EventKind, Sighting, Vulnerability},
    names::IncidentId,
};
use store::{Store, StoredIncident};
use time::OffsetDateTime;

use super::{Of, named};
use crate::maturity::collect::Places;

/// Events of an incident that are read at a time: each can hold hundreds of lines.
const PAGE: usize = 20;

/// Sightings of all incidents that are counted, of the latest incidents. Default: the only value.
const MAX_SIGHTINGS: usize = 500_000;

/// What incidents come to.
#[derive(Default)]
pub(super) struct Exposed {
    pub(super) events: Vec<Of<Event>>,
    pub(super) cohorts: Cohorts,
}

/// One incident that is read.
struct Reading<'p> {
    places: &'p Places,
    now: OffsetDateTime,
    group: VulnerabilityGroup,
    severity: Severity,
    owners: BTreeMap<String, BTreeSet<App>>,
    sightings: usize,
}

/// Of all incidents, those opened last first.
pub(super) async fn read(store: &Store, places: &Places, now: OffsetDateTime) -> Result<Exposed> {
    let mut exposed = Exposed::default();
    let mut told: HashMap<String, Vec<(String, OffsetDateTime)>> = HashMap::new();
    for one in store.owners_told().await? {
        told.entry(one.incident)
            .or_default()
            .push((one.owner, one.at.to_utc()));
    }
    let mut sightings = 0;
    for incident in store.incidents().await? {
        if sightings >= MAX_SIGHTINGS {
            break;
        }
        let told = told.remove(incident.id.as_str()).unwrap_or_default();
        sightings += read_one(store, places, (&incident, &told), now, &mut exposed).await?;
    }
    Ok(exposed)
}

async fn read_one(
    store: &Store,
    places: &Places,
    (incident, told): (&StoredIncident, &[(String, OffsetDateTime)]),
    now: OffsetDateTime,
    exposed: &mut Exposed,
) -> Result<usize> {
    let Some(mut reading) = Reading::of(places, &incident.id, now) else {
        return Ok(0);
    };
    let mut after = 0;
    loop {
        let events = store.incident_events(&incident.id, after, PAGE).await?;
        if events.is_empty() {
            break;
        }
        after += events.len() as u64;
        for event in &events {
            if let EventKind::Opened { vulnerabilities, .. } = &event.kind {
                for (at, what) in published(store, (&reading.group, event.at), vulnerabilities).await? {
                    Reading::add(at, (None, what), exposed);
                }
            }
            reading.take(event.at, &event.kind, exposed);
        }
    }
    for (owner, at) in told {
        for app in reading.owners.get(owner).into_iter().flatten() {
            let (app, group) = (app.clone(), reading.group.clone());
            Reading::add(*at, (Some(app.clone()), What::Notify { app, group }), exposed);
        }
    }
    Ok(reading.sightings)
}

/// The advisories of these, as far as they are known: when each came out, was last changed, and who published it.
async fn published(
    store: &Store,
    (group, opened): (&VulnerabilityGroup, OffsetDateTime),
    vulnerabilities: &[Vulnerability],
) -> Result<Vec<(OffsetDateTime, What)>> {
    let mut found = Vec::new();
    for name in vulnerabilities.iter().flat_map(|known| &known.advisories) {
        let row = store.advisory(name).await?;
        let Some(advisory) = row.and_then(|row| row.advisory().ok()) else {
            continue;
        };
        let (Ok(id), Ok(feed)) = (advisory.id.parse(), advisory.database.to_string().parse()) else {
            continue;
        };
        let at = advisory.published.unwrap_or(opened).min(opened);
        let what = What::Advisory {
            group: group.clone(),
            id,
            feed,
            modified: advisory.modified.unwrap_or(at),
        };
        found.push((at, what));
    }
    if found.is_empty() {
        // Somebody opened it without an advisory.
        found.push((opened, unpublished(group, opened)?));
    }
    Ok(found)
}

/// That something is known from the incident alone.
fn unpublished(group: &VulnerabilityGroup, opened: OffsetDateTime) -> Result<What> {
    Ok(What::Advisory {
        group: group.clone(),
        id: group.as_str().parse()?,
        feed: "incident".parse()?,
        modified: opened,
    })
}

impl<'p> Reading<'p> {
    fn of(places: &'p Places, id: &IncidentId, now: OffsetDateTime) -> Option<Self> {
        Some(Self {
            places,
            now,
            group: id.as_str().parse().ok()?,
            severity: Severity::Unknown,
            owners: BTreeMap::new(),
            sightings: 0,
        })
    }

    fn add(at: OffsetDateTime, (app, what): Of<What>, exposed: &mut Exposed) {
        let event = Event {
            at,
            source: Source::RegistryProxy,
            what,
        };
        exposed.events.push((app, event));
    }

    fn take(&mut self, at: OffsetDateTime, kind: &EventKind, exposed: &mut Exposed) {
        let fix = |fixed_in: &[String]| {
            let group = self.group.clone();
            (!fixed_in.is_empty()).then_some(What::FixAvailable { group, line: None })
        };
        match kind {
            EventKind::Opened { vulnerabilities, .. } => {
                for known in vulnerabilities {
                    self.severity = self.severity.max(severity(known.severity));
                }
                let all_fixed = vulnerabilities.iter().all(|known| !known.fixed_in.is_empty());
                if all_fixed {
                    let group = self.group.clone();
                    Self::add(at, (None, What::FixAvailable { group, line: None }), exposed);
                }
            }
            EventKind::VulnerabilityAdded { vulnerability, .. } => {
                let fix = fix(&vulnerability.fixed_in);
                self.severity = self.severity.max(severity(vulnerability.severity));
                Self::add_some(at, fix.map(|fix| (None, fix)), exposed);
            }
            EventKind::FixChanged { fixed_in, .. } => {
                let fix = fix(fixed_in);
                Self::add_some(at, fix.map(|fix| (None, fix)), exposed);
            }
            EventKind::Seen { lines } => {
                for line in lines {
                    self.see(at, line, exposed);
                }
            }
            EventKind::Mitigated { line, until, .. } => {
                let app = self.app_of(&line.repository);
                let (group, until) = (self.group.clone(), *until);
                let what = app.map(|app| (Some(app.clone()), What::Mitigate { app, group, until }));
                Self::add_some(at, what, exposed);
            }
            EventKind::Waived { line, until, .. } => {
                let app = self.app_of(&line.repository);
                let (group, until) = (self.group.clone(), *until);
                let what = app.map(|app| (Some(app.clone()), What::Exempt { app, group, until }));
                Self::add_some(at, what, exposed);
            }
            _ => {}
        }
    }

    fn add_some(at: OffsetDateTime, what: Option<Of<What>>, exposed: &mut Exposed) {
        if let Some(what) = what {
            Self::add(at, what, exposed);
        }
    }

    fn app_of(&self, repository: &oci::RepoName) -> Option<App> {
        named(self.places.app_of(repository)?.0)
    }

    fn see(&mut self, at: OffsetDateTime, line: &Sighting, exposed: &mut Exposed) {
        self.sightings += 1;
        let (group, digest) = (self.group.clone(), line.digest);
        let Some((name, app)) = self
            .places
            .app_of(&line.line.repository)
            .and_then(|(name, _)| Some((name, named(name)?)))
        else {
            return;
        };
        if let Some(owner) = &line.owner {
            self.owners
                .entry(owner.to_string())
                .or_default()
                .insert(app.clone());
        }
        if line.affected_by.is_empty() {
            Self::add(at, (Some(app), What::Cleared { digest, group }), exposed);
            return;
        }
        let road = self.places.road.paving.app_road(name, self.now);
        let known = self.places.road.applications.get(name);
        let tier = known
            .and_then(|known| known.tier.as_ref())
            .map(|tier| *tier.value());
        // The first word stands: what it is afterwards would flatter the road.
        exposed
            .cohorts
            .entry((group.clone(), app.clone()))
            .or_insert_with(|| Frozen {
                cohort: cohort(line.cohort),
                ring: road.map(|road| road.ring.as_str().to_owned()),
                tier,
                language: None,
            });
        // Which one it was is in no sighting: it is the group.
        let Ok(component) = group.as_str().parse() else {
            return;
        };
        let what = What::Match {
            digest,
            group,
            component,
            severity: self.severity,
            line: None,
        };
        Self::add(at, (Some(app), what), exposed);
    }
}

pub(super) fn severity(of: findings::Severity) -> Severity {
    match of {
        findings::Severity::Unknown => Severity::Unknown,
        findings::Severity::Negligible | findings::Severity::Low => Severity::Low,
        findings::Severity::Medium => Severity::Medium,
        findings::Severity::High => Severity::High,
        findings::Severity::Critical => Severity::Critical,
    }
}

fn cohort(of: road::cohort::Cohort) -> Cohort {
    match of {
        road::cohort::Cohort::Paved => Cohort::Paved,
        road::cohort::Cohort::Stale => Cohort::Stale,
        road::cohort::Cohort::Exempt => Cohort::Exempt,
        road::cohort::Cohort::OwnRoad => Cohort::OwnRoad,
        road::cohort::Cohort::Unknown => Cohort::Unknown,
    }
}
