//! All figures of an incident as of a moment.

use std::collections::BTreeMap;

use findings::Severity;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::figures::figures;
use super::line::State;
use super::{
    Closing, Coverage, End, Estimate, Figures, Generation, Happened, Incident, Line, Part, Point,
    ReliefShown, Sample, Status, Vulnerability, estimate,
};
use crate::cohort::Cohort;
use crate::names::{ApplicationName, IncidentId, Owner, VulnerabilityId};
use crate::page;

/// Most lines that a report lists one by one; the rest is counted.
pub const MAX_LISTED_LINES: usize = 1_000;

/// A report. It follows from the events and a moment alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Of which incident.
    pub id: IncidentId,
    /// What that is about.
    pub title: String,
    /// As of when.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// When it was opened.
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: OffsetDateTime,
    /// By whom.
    #[serde(default)]
    pub opened_by: String,
    /// Where it stands.
    pub status: Status,
    /// When somebody said that it is over, by whom and with what note; the first time first.
    #[serde(default)]
    pub closings: Vec<Closing>,
    /// How many are affected, and how sure that is.
    pub headline: String,
    /// How much of the fleet is covered.
    pub coverage: Coverage,
    /// The group.
    pub vulnerabilities: Vec<Vulnerability>,
    /// What of it is over and what is not, by severity.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// What was aimed at, one after the other.
    pub generations: Vec<GenerationFigures>,
    /// All lines.
    pub total: Figures,
    /// By cohort, those that have lines.
    pub by_cohort: Vec<Figures>,
    /// By severity, those that have lines.
    pub by_severity: Vec<Figures>,
    /// By both, those that have lines.
    pub by_cohort_and_severity: Vec<Figures>,
    /// How many were affected over time.
    pub burn_down: Vec<Point>,
    /// What open lines wait for, and how many do; one may wait for several.
    pub waiting_on: BTreeMap<String, usize>,
    /// What is not over, the most urgent first.
    pub open: Vec<OpenLine>,
    /// How many more there are.
    pub open_more: usize,
    /// Mitigations and waivers, also those that have ended, the first one first.
    #[serde(default)]
    pub reliefs: Vec<ReliefShown>,
    /// How many more there are.
    #[serde(default)]
    pub reliefs_more: usize,
    /// What happened, in its order.
    #[serde(default)]
    pub events: Vec<Happened>,
    /// How much happened before the first of them.
    #[serde(default)]
    pub events_more: usize,
}

/// How far a generation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GenerationState {
    /// Something is still affected by what it is about, also if that is mitigated or waived.
    #[default]
    InRemediation,
    /// Nothing is affected any more.
    Remediated,
}

impl GenerationState {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InRemediation => "in remediation",
            Self::Remediated => "remediated",
        }
    }
}

/// The figures of a generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationFigures {
    /// Counted from 1.
    pub number: u16,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// What it is about.
    pub vulnerabilities: Vec<VulnerabilityId>,
    /// The worst of them.
    pub severity: Severity,
    /// Versions to go to.
    pub targets: Vec<String>,
    /// How many lines it ever touched.
    pub lines: usize,
    /// How many it still does.
    pub affected: usize,
    /// How many are fixed of it.
    pub fixed: usize,
    /// Whether anything is left of it.
    #[serde(default)]
    pub state: GenerationState,
    /// Time to remediate by cohort, for what it is about alone.
    pub time_to_remediate: BTreeMap<Cohort, Estimate>,
}

/// A tag or image that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLine {
    /// Of which application.
    pub application: Option<ApplicationName>,
    /// Tag or image.
    pub line: String,
    /// Whose.
    pub owner: Option<Owner>,
    /// Its cohort when it was found.
    pub cohort: Cohort,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// By what it is affected.
    pub affected_by: Vec<VulnerabilityId>,
    /// By when it must be done.
    #[serde(with = "time::serde::rfc3339::option")]
    pub due: Option<OffsetDateTime>,
    /// How long it was affected, in seconds.
    pub spent_seconds: u64,
    /// What it waits for.
    pub waits_on: Vec<String>,
}

impl Report {
    /// As Markdown.
    pub fn to_markdown(&self) -> String {
        page::markdown(&self.blocks())
    }

    /// As a page of HTML.
    pub fn to_html(&self) -> String {
        page::html(&self.blocks())
    }

    /// As JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

pub(super) fn report(incident: &Incident, now: OffsetDateTime) -> Report {
    let is_used = |figures: &Figures| figures.lines > 0;
    let of = |cohort, severity| figures(incident, cohort, severity, now);
    let severities = [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
        Severity::Negligible,
    ];
    let both = Cohort::ALL
        .iter()
        .flat_map(|cohort| severities.map(|severity| of(Some(*cohort), Some(severity))));
    let total = of(None, None);
    let affected = total.lines - total.fixed - total.gone;
    let mut open: Vec<&Line> = incident
        .lines()
        .filter(|line| !line.state(now).is_over())
        .collect();
    let waiting_on = waiting_on(&open, now);
    open.sort_by_cached_key(|line| (!line.state(now).is_open(), incident.due(line), line.key.clone()));
    let open_more = open.len().saturating_sub(MAX_LISTED_LINES);
    open.truncate(MAX_LISTED_LINES);
    let (reliefs, reliefs_more) = incident.reliefs_shown(now);
    let (events, events_more) = incident.happened(&reliefs);
    Report {
        id: incident.id.clone(),
        title: incident.title.clone(),
        as_of: now,
        opened_at: incident.opened_at,
        opened_by: incident.opened_by().to_owned(),
        closings: incident.closings(),
        status: incident.status(now),
        headline: incident
            .coverage
            .headline(u64::try_from(affected).unwrap_or(u64::MAX)),
        coverage: incident.coverage,
        vulnerabilities: incident.vulnerabilities.clone(),
        parts: incident.parts(now),
        generations: incident
            .generations
            .iter()
            .map(|generation| of_generation(incident, generation, now))
            .collect(),
        total,
        by_cohort: Cohort::ALL
            .iter()
            .map(|cohort| of(Some(*cohort), None))
            .filter(is_used)
            .collect(),
        by_severity: severities
            .iter()
            .map(|severity| of(None, Some(*severity)))
            .filter(is_used)
            .collect(),
        by_cohort_and_severity: both.filter(is_used).collect(),
        burn_down: incident.burn_down(),
        waiting_on,
        open: open
            .into_iter()
            .map(|line| open_line(incident, line, now))
            .collect(),
        open_more,
        reliefs,
        reliefs_more,
        events,
        events_more,
    }
}

fn waiting_on(lines: &[&Line], now: OffsetDateTime) -> BTreeMap<String, usize> {
    let mut waiting_on = BTreeMap::new();
    for line in lines.iter().filter(|line| line.state(now).is_open()) {
        for word in waits_on(line) {
            *waiting_on.entry(word).or_default() += 1;
        }
    }
    waiting_on
}

fn waits_on(line: &Line) -> Vec<String> {
    let mut words: Vec<String> = line
        .remedies
        .iter()
        .map(|remedy| remedy.waits_on().to_owned())
        .collect();
    if words.is_empty() {
        words.push("its owner".to_owned());
    }
    words.sort_unstable();
    words.dedup();
    words
}

fn open_line(incident: &Incident, line: &Line, now: OffsetDateTime) -> OpenLine {
    OpenLine {
        application: line.key.application.clone(),
        line: line.key.to_string(),
        owner: line.owner.clone(),
        cohort: line.cohort,
        state: line.state(now),
        affected_by: incident.affected_by(line),
        due: incident.due(line),
        spent_seconds: super::figures::seconds(line.spent(now)),
        waits_on: waits_on(line),
    }
}

fn of_generation(incident: &Incident, generation: &Generation, now: OffsetDateTime) -> GenerationFigures {
    let number = generation.number;
    let mut samples: BTreeMap<Cohort, Vec<Sample>> = BTreeMap::new();
    let (mut lines, mut affected, mut fixed) = (0, 0, 0);
    for line in incident.lines() {
        let clocks = line.clocks.iter().filter(|clock| clock.generation == number);
        let ends: Vec<_> = clocks.map(|clock| clock.stopped).collect();
        if ends.is_empty() {
            continue;
        }
        let is_running = ends.iter().any(Option::is_none);
        let is_fixed = !is_running
            && ends
                .iter()
                .flatten()
                .next_back()
                .is_some_and(|(_, end)| *end == End::Fixed);
        lines += 1;
        affected += usize::from(is_running);
        fixed += usize::from(is_fixed);
        samples.entry(line.cohort).or_default().push(Sample {
            seconds: super::figures::seconds(line.spent_in(number, now)),
            is_over: is_fixed,
        });
    }
    GenerationFigures {
        number,
        started: generation.started,
        vulnerabilities: incident.ids(generation.members),
        severity: incident.severity(generation.members),
        targets: generation.targets.clone(),
        lines,
        affected,
        fixed,
        state: if affected == 0 {
            GenerationState::Remediated
        } else {
            GenerationState::InRemediation
        },
        time_to_remediate: samples
            .into_iter()
            .map(|(cohort, samples)| (cohort, estimate(samples)))
            .collect(),
    }
}
