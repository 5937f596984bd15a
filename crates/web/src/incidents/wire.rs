//! Incidents as they travel.

use std::collections::BTreeMap;

use findings::Severity;
use oci::{Digest, Reference, RepoName};
use road::cohort::Cohort;
use road::incident::{
    Clock, Deadlines, Incident, Line, Relief, Remedy, Reopening, Report, State, Status, Vulnerability,
};
use road::names::{ApplicationName, Contact, IncidentId, Owner, VulnerabilityId};
use serde::{Deserialize, Serialize};
use store::Timestamp;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::LineSelection;
use crate::moment::Moment;

/// An incident that is to be opened.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    /// What it is about, by any of their ids: `CVE-2021-44228`, `GHSA-jfh8-c2jp-5v3q`. At most 64.
    #[schema(value_type = Vec<String>)]
    pub vulnerabilities: Vec<VulnerabilityId>,
    /// What it is called in links; by default like its first vulnerability, in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub id: Option<IncidentId>,
    /// What it is about, in a line of at most 200 bytes; by default what advisories call the first vulnerability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// By when it is to be over, where that is not as configured.
    #[serde(default)]
    pub deadlines: IncidentDeadlines,
    /// Open it also if an open incident is about one of the vulnerabilities already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub another: bool,
}

/// By when an incident is to be over: spans in seconds from the moment at which something is found to be affected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentDeadlines {
    /// For critical ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical_seconds: Option<u32>,
    /// For high ones, and for those that nobody rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_seconds: Option<u32>,
    /// For medium ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium_seconds: Option<u32>,
    /// For all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_seconds: Option<u32>,
    /// A day by which all must be done that is open before it, as of a directive; it lies ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Moment>,
}

impl IncidentDeadlines {
    /// These, and the configured ones where nothing is said.
    pub fn or(&self, configured: Deadlines) -> Deadlines {
        Deadlines {
            critical: self.critical_seconds.unwrap_or(configured.critical),
            high: self.high_seconds.unwrap_or(configured.high),
            medium: self.medium_seconds.unwrap_or(configured.medium),
            low: self.low_seconds.unwrap_or(configured.low),
            by: self.by.map(|by| at(by.0)),
        }
    }
}

/// More that an incident is about.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVulnerabilities {
    /// By any of their ids.
    #[schema(value_type = Vec<String>)]
    pub vulnerabilities: Vec<VulnerabilityId>,
}

/// A mitigation, or a waiver.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRelief {
    /// Tags and images: `shop/cart:1.4`, `shop/cart@sha256:…`. At most 500 together with those of `application` and `owner`.
    #[serde(default)]
    pub lines: Vec<String>,
    /// All of this application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub application: Option<ApplicationName>,
    /// All of this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    /// Against which vulnerabilities of the incident; by default all of it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub covers: Vec<VulnerabilityId>,
    /// Until when, not included.
    pub until: Moment,
    /// What was done, or why it is borne.
    pub reason: String,
}

/// The end of mitigations, or of waivers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReliefEnd {
    /// Tags and images.
    #[serde(default)]
    pub lines: Vec<String>,
    /// All of this application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub application: Option<ApplicationName>,
    /// All of this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    /// Why.
    pub reason: String,
}

/// What somebody says who closes an incident.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentNote {
    /// What they say.
    #[serde(default)]
    pub note: String,
}

/// A vulnerability of an incident.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IncidentVulnerability {
    /// Its id.
    #[schema(value_type = String)]
    pub id: VulnerabilityId,
    /// How bad it is.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// What each source says of that.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub by_source: BTreeMap<String, Severity>,
    /// Versions that are without it, one for each line of releases that is in use here.
    pub fixed_in: Vec<String>,
}

/// All vulnerabilities of an incident that are rated alike.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IncidentPart {
    /// How.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// `open`, or `resolved`: nobody has to do anything about it now.
    #[serde(default)]
    pub state: String,
    /// In words: whether it is resolved, and how much is affected.
    pub words: String,
    /// Tags and images about which somebody has to do something because of them.
    pub open: u64,
}

/// Where an incident stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IncidentEntry {
    /// What it is called.
    #[schema(value_type = String)]
    pub id: IncidentId,
    /// What it is about.
    pub title: String,
    /// `open`; `closed`: somebody says that it is over; `reopened`: closed once, and something is affected again.
    pub status: String,
    /// When it was opened.
    pub opened_at: Moment,
    /// When somebody last closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Moment>,
    /// How many are affected, with how much of that is known.
    pub headline: String,
    /// Not all images could be looked into or have an owner: every count is the least that it can be.
    #[serde(default)]
    pub at_least: bool,
    /// Who opened it.
    #[serde(default)]
    pub opened_by: String,
    /// Who last closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    /// What they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The group.
    pub vulnerabilities: Vec<IncidentVulnerability>,
    /// What of it is over, by severity.
    pub parts: Vec<IncidentPart>,
    /// How often a fix was superseded, and one.
    pub generation: u16,
    /// Versions to go to.
    pub targets: Vec<String>,
    /// Tags and images that are or were affected.
    pub lines: u64,
    /// Affected, and nothing is done about it.
    pub open: u64,
    /// Open past their time.
    pub overdue: u64,
    /// Affected, and harmless for a while.
    pub mitigated: u64,
    /// Affected, and borne for a while.
    pub waived: u64,
    /// Affected no more.
    pub fixed: u64,
    /// There no more.
    pub gone: u64,
    /// The first moment by which something must be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Moment>,
}

/// A mitigation or waiver of a line.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IncidentRelief {
    /// `mitigation` or `waiver`.
    pub kind: String,
    /// Against what.
    #[schema(value_type = Vec<String>)]
    pub covers: Vec<VulnerabilityId>,
    /// Until when, not included; missing: as long as the registry sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// What, or why.
    pub reason: String,
    /// Who says so.
    pub by: String,
}

/// A tag or image of an incident.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IncidentLine {
    /// `shop/cart:1.4` or `shop/cart@sha256:…`.
    pub line: String,
    /// Its repository.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Tag or digest.
    #[schema(value_type = String)]
    pub reference: Reference,
    /// The image behind it, at last.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Of which application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub application: Option<ApplicationName>,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    /// How they are reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub contacts: Vec<Contact>,
    /// Its cohort when it was found.
    #[schema(value_type = String)]
    pub cohort: Cohort,
    /// `open`, `mitigated`, `waived`, `fixed`, `gone` or `reopened`, with `until` where it has an end.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub state: State,
    /// By what it is affected now.
    #[schema(value_type = Vec<String>)]
    pub affected_by: Vec<VulnerabilityId>,
    /// The worst of these; of what is over, of what it was affected by.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// When it was found to be affected.
    pub since: Moment,
    /// Whether it was so when the incident was opened.
    pub at_opening: bool,
    /// By when it must be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Moment>,
    /// It is open past that.
    pub overdue: bool,
    /// How long it was affected.
    pub spent_seconds: u64,
    /// How often it opened again.
    pub reopened: u32,
    /// The last time, with the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub last_reopening: Option<Reopened>,
    /// Why it is there no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<String>,
    /// What must be done.
    #[schema(value_type = Vec<Object>)]
    pub remedies: Vec<Remedy>,
    /// Mitigations and waivers that are in force.
    pub reliefs: Vec<IncidentRelief>,
    /// In which generations it was affected.
    pub generations: Vec<u16>,
}

/// That a line opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reopened {
    /// When.
    pub at: Moment,
    /// Why.
    pub cause: road::incident::ReopeningCause,
}

/// All figures of an incident.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub struct IncidentReport(pub Report);

impl IncidentEntry {
    /// As it stands at a moment.
    pub fn of(incident: &Incident, now: OffsetDateTime) -> Self {
        let (mut counts, mut overdue) = (BTreeMap::<&str, u64>::new(), 0);
        for line in incident.lines() {
            *counts.entry(line.state(now).as_str()).or_default() += 1;
            overdue += u64::from(incident.is_overdue(line, now));
        }
        let of = |state| counts.get(state).copied().unwrap_or_default();
        let (status, closed_at) = match incident.status(now) {
            Status::Open => ("open", None),
            Status::Closed { at } => ("closed", Some(at)),
            Status::Reopened => ("reopened", incident.closed_at()),
        };
        let open = incident.lines().filter(|line| line.state(now).is_open());
        let due = open.filter_map(|line| incident.due(line)).min();
        let last = incident.generations().last();
        let lines = incident.lines().len() as u64;
        let closing = incident.closings().pop();
        let note = closing.as_ref().map(|closing| closing.note.clone());
        Self {
            id: incident.id().clone(),
            title: incident.title().to_owned(),
            status: status.to_owned(),
            opened_at: moment(incident.opened_at()),
            closed_at: closed_at.map(moment),
            headline: incident.coverage().headline(lines - of("fixed") - of("gone")),
            at_least: !incident.coverage().is_whole(),
            opened_by: incident.opened_by().to_owned(),
            closed_by: closing.map(|closing| closing.by),
            note: note.filter(|note| !note.trim().is_empty()),
            vulnerabilities: incident.vulnerabilities().iter().map(Into::into).collect(),
            parts: incident.parts(now).iter().map(Into::into).collect(),
            generation: last.map_or(1, |last| last.number),
            targets: last.map_or_else(Vec::new, |last| last.targets.clone()),
            lines,
            open: of("open") + of("reopened"),
            overdue,
            mitigated: of("mitigated"),
            waived: of("waived"),
            fixed: of("fixed"),
            gone: of("gone"),
            due: due.map(moment),
        }
    }
}

impl IncidentLine {
    /// As it stands at a moment.
    pub fn of(incident: &Incident, line: &Line, now: OffsetDateTime) -> Self {
        let state = line.state(now);
        let severity = if state.is_over() {
            incident.severity_of(line)
        } else {
            incident.severity_now(line)
        };
        let in_force = line
            .reliefs
            .iter()
            .chain(&line.seen)
            .filter(|relief| relief.is_live(now));
        let mut generations: Vec<u16> = line.clocks.iter().map(|clock: &Clock| clock.generation).collect();
        generations.sort_unstable();
        generations.dedup();
        Self {
            line: line.key.to_string(),
            repository: line.key.repository.clone(),
            reference: line.key.reference.clone(),
            digest: line.digest,
            application: line.key.application.clone(),
            owner: line.owner.clone(),
            contacts: line.contacts.clone(),
            cohort: line.cohort,
            state,
            affected_by: incident.affected_by(line),
            severity,
            since: moment(line.since),
            at_opening: line.at_opening,
            due: incident.due(line).map(moment),
            overdue: incident.is_overdue(line, now),
            spent_seconds: u64::try_from(line.spent(now).whole_seconds()).unwrap_or(0),
            reopened: line.reopened,
            last_reopening: line.last_reopening.map(Into::into),
            gone: line.gone.clone(),
            remedies: line.remedies.clone(),
            reliefs: in_force.map(|relief| relief_of(incident, relief)).collect(),
            generations,
        }
    }
}

impl From<&Vulnerability> for IncidentVulnerability {
    fn from(known: &Vulnerability) -> Self {
        Self {
            id: known.id.clone(),
            severity: known.severity,
            by_source: known.by_source.clone(),
            fixed_in: known.fixed_in.clone(),
        }
    }
}

impl From<&road::incident::Part> for IncidentPart {
    fn from(part: &road::incident::Part) -> Self {
        Self {
            severity: part.severity,
            state: part.state().to_owned(),
            words: part.words(),
            open: part.open as u64,
        }
    }
}

impl From<Reopening> for Reopened {
    fn from(reopening: Reopening) -> Self {
        Self {
            at: moment(reopening.at),
            cause: reopening.cause,
        }
    }
}

fn relief_of(incident: &Incident, relief: &Relief) -> IncidentRelief {
    IncidentRelief {
        kind: relief.kind.as_str().to_owned(),
        covers: incident.covered_by(relief),
        until: relief.until.map(moment),
        reason: relief.reason.clone(),
        by: relief.by.clone(),
    }
}

impl NewRelief {
    /// Where it is to count.
    pub(super) fn selection(&self) -> Result<LineSelection, String> {
        selection(&self.lines, self.application.as_ref(), self.owner.as_ref())
    }
}

impl ReliefEnd {
    /// Where it is to end.
    pub(super) fn selection(&self) -> Result<LineSelection, String> {
        selection(&self.lines, self.application.as_ref(), self.owner.as_ref())
    }
}

fn selection(
    lines: &[String],
    application: Option<&ApplicationName>,
    owner: Option<&Owner>,
) -> Result<LineSelection, String> {
    let lines = lines.iter().map(|line| {
        line.parse()
            .map_err(|error: road::incident::LineKeyError| error.to_string())
    });
    Ok(LineSelection {
        lines: lines.collect::<Result<_, _>>()?,
        application: application.cloned(),
        owner: owner.cloned(),
    })
}

/// A moment of the store as those of `road`.
pub(super) fn at(timestamp: Timestamp) -> OffsetDateTime {
    let nanos = i128::from(timestamp.micros()) * 1_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn moment(at: OffsetDateTime) -> Moment {
    let micros = i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
    Moment(Timestamp(micros))
}
