//! What happened in an incident, for its report: what its events said of it as a whole, when lines were found and done, and
//! mitigations and waivers.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::relief::SEEN_BY;
use super::tables::moment;
use super::{End, Event, EventKind, Incident, Line, Relief, ReliefKind};
use crate::message::MAX_LINES_NAMED;
use crate::names::VulnerabilityId;

/// Most entries of the list of what happened in a report: the latest. The rest is counted.
pub const MAX_LISTED_EVENTS: usize = 500;

/// Most mitigations and waivers that a report lists, each with all that it is of; the rest is counted.
pub const MAX_LISTED_RELIEFS: usize = 200;

/// Most events about the incident as a whole that are held in memory; the opening always is.
const MAX_LOGGED: usize = 1_000;

/// Events about the incident as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Log {
    events: VecDeque<Event>,
    dropped: usize,
}

/// Something that happened, as a report tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who did it, or which part of the registry.
    pub by: String,
    /// What, in words.
    pub what: String,
}

/// That somebody said that it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who.
    pub by: String,
    /// What they said.
    pub note: String,
}

/// A mitigation or waiver, with all tags and images that it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReliefShown {
    /// Which of the two.
    pub kind: ReliefKind,
    /// `in force`, `taken back` or `run out`.
    pub state: String,
    /// Against what.
    pub covers: Vec<VulnerabilityId>,
    /// Tags and images, at most [`MAX_LINES_NAMED`].
    pub lines: Vec<String>,
    /// How many more.
    pub more: usize,
    /// Since when; `None`: as long as the registry has seen it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// Until when, not included; `None`: as long as the registry sees it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// What, or why.
    pub reason: String,
    /// By whose word.
    pub by: String,
    /// By whom it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_because: Option<String>,
}

impl Log {
    /// Keeps what is about the incident as a whole.
    pub(super) fn note(&mut self, event: &Event) {
        let is_whole = matches!(
            event.kind,
            EventKind::Opened { .. }
                | EventKind::VulnerabilityAdded { .. }
                | EventKind::FixChanged { .. }
                | EventKind::SeverityChanged { .. }
                | EventKind::Covered { .. }
                | EventKind::Closed { .. }
        );
        if !is_whole {
            return;
        }
        if self.events.len() >= MAX_LOGGED {
            self.events.remove(1);
            self.dropped += 1;
        }
        self.events.push_back(event.clone());
    }

    /// Without what those are not to see who see only some repositories: the coverage of all, and versions that only others use.
    pub(super) fn only(&mut self, is_here: impl Fn(&String) -> bool) {
        self.events
            .retain(|event| !matches!(event.kind, EventKind::Covered { .. }));
        for event in &mut self.events {
            match &mut event.kind {
                EventKind::Opened {
                    vulnerabilities,
                    targets,
                    ..
                } => {
                    for known in vulnerabilities {
                        known.fixed_in.retain(&is_here);
                    }
                    targets.retain(&is_here);
                }
                EventKind::VulnerabilityAdded {
                    vulnerability,
                    targets,
                    ..
                } => {
                    vulnerability.fixed_in.retain(&is_here);
                    targets.retain(&is_here);
                }
                EventKind::FixChanged {
                    fixed_in, targets, ..
                } => {
                    fixed_in.retain(&is_here);
                    targets.retain(&is_here);
                }
                _ => {}
            }
        }
    }
}

impl Incident {
    /// Who opened it.
    pub fn opened_by(&self) -> &str {
        self.log.events.front().map_or("", |event| &event.actor)
    }

    /// When somebody said that it is over, the first time first.
    pub fn closings(&self) -> Vec<Closing> {
        let closed = self.log.events.iter().filter_map(|event| match &event.kind {
            EventKind::Closed { note } => Some(Closing {
                at: event.at,
                by: event.actor.clone(),
                note: note.clone(),
            }),
            _ => None,
        });
        closed.collect()
    }

    /// Mitigations and waivers, the first one first, at most [`MAX_LISTED_RELIEFS`], and how many more.
    pub(super) fn reliefs_shown(&self, now: OffsetDateTime) -> (Vec<ReliefShown>, usize) {
        let mut groups: BTreeMap<_, Vec<&Line>> = BTreeMap::new();
        for line in self.lines() {
            for relief in line.reliefs.iter().chain(&line.seen) {
                groups.entry(alike(relief)).or_default().push(line);
            }
        }
        let more = groups.len().saturating_sub(MAX_LISTED_RELIEFS);
        let shown = groups.into_iter().take(MAX_LISTED_RELIEFS);
        let shown = shown.map(|((since, kind, covers, until, reason, by, ended), lines)| {
            let is_live = until.is_none_or(|until| now < until);
            let state = match (is_live, ended) {
                (true, _) => "in force",
                (false, Some(_)) => "taken back",
                (false, None) => "run out",
            };
            ReliefShown {
                kind,
                state: state.to_owned(),
                covers: self.ids(covers),
                more: lines.len().saturating_sub(MAX_LINES_NAMED),
                lines: lines
                    .into_iter()
                    .take(MAX_LINES_NAMED)
                    .map(|line| line.key.to_string())
                    .collect(),
                since,
                until,
                reason: reason.to_owned(),
                by: by.to_owned(),
                ended_by: ended.map(|(_, by, _)| by.to_owned()),
                ended_because: ended.map(|(_, _, reason)| reason.to_owned()),
            }
        });
        (shown.collect(), more)
    }

    /// What happened, in its order: the latest [`MAX_LISTED_EVENTS`], and how many there are before.
    pub(super) fn happened(&self, reliefs: &[ReliefShown]) -> (Vec<Happened>, usize) {
        let whole = self.log.events.iter().map(|event| Happened {
            at: event.at,
            by: event.actor.clone(),
            what: words(&event.kind),
        });
        let mut all: Vec<Happened> = whole.collect();
        all.extend(of_lines(self));
        all.extend(reliefs.iter().flat_map(of_relief));
        all.sort_by_key(|happened| happened.at);
        let more = all.len().saturating_sub(MAX_LISTED_EVENTS);
        let latest = all.split_off(more);
        (latest, more + self.log.dropped)
    }
}

/// What makes mitigations and waivers of several lines one that somebody said.
type Alike<'r> = (
    Option<OffsetDateTime>,
    ReliefKind,
    u64,
    Option<OffsetDateTime>,
    &'r str,
    &'r str,
    Option<(OffsetDateTime, &'r str, &'r str)>,
);

fn alike(relief: &Relief) -> Alike<'_> {
    let ended = relief.ended.as_ref();
    (
        relief.since,
        relief.kind,
        relief.covers,
        relief.until,
        &relief.reason,
        &relief.by,
        ended.map(|ended| (ended.at, ended.by.as_str(), ended.reason.as_str())),
    )
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Found,
    Again,
    Fixed,
    Gone,
}

/// When lines were found, and when they were done, those of one moment together.
fn of_lines(incident: &Incident) -> Vec<Happened> {
    let mut turns: BTreeMap<(OffsetDateTime, Turn, &str), usize> = BTreeMap::new();
    for line in incident.lines() {
        let spans = line.spans();
        let last = spans.len().saturating_sub(1);
        for (place, (start, end)) in spans.into_iter().enumerate() {
            let found = if place == 0 { Turn::Found } else { Turn::Again };
            *turns.entry((start, found, "")).or_default() += 1;
            let Some(end) = end else { continue };
            let is_gone = line
                .clocks
                .iter()
                .any(|clock| clock.stopped == Some((end, End::Gone)));
            let why = line.gone.as_deref().filter(|_| is_gone && place == last);
            let turn = if is_gone { Turn::Gone } else { Turn::Fixed };
            *turns.entry((end, turn, why.unwrap_or_default())).or_default() += 1;
        }
    }
    let happened = turns.into_iter().map(|((at, turn, why), count)| {
        let lines = tags(count);
        let what = match turn {
            Turn::Found => format!("{lines} found to be affected"),
            Turn::Again => format!("{lines} affected again"),
            Turn::Fixed => format!("{lines} fixed"),
            Turn::Gone if why.is_empty() => format!("{lines} gone"),
            Turn::Gone => format!("{lines} gone: {why}"),
        };
        Happened {
            at,
            by: SEEN_BY.to_owned(),
            what,
        }
    });
    happened.collect()
}

fn tags(count: usize) -> String {
    match count {
        1 => "1 tag or image".to_owned(),
        count => format!("{count} tags and images"),
    }
}

fn of_relief(relief: &ReliefShown) -> Vec<Happened> {
    let (kind, lines) = (relief.kind.as_str(), tags(relief.lines.len() + relief.more));
    let mut happened = Vec::new();
    if let Some(at) = relief.since {
        let until = relief.until.filter(|_| relief.ended_by.is_none());
        let until = until.map_or_else(String::new, |until| format!(" until {}", moment(until)));
        happened.push(Happened {
            at,
            by: relief.by.clone(),
            what: format!("{kind} of {lines}{until}: {}", relief.reason),
        });
    }
    if let (Some(at), Some(by)) = (relief.until, &relief.ended_by) {
        let why = relief.ended_because.as_deref().unwrap_or_default();
        happened.push(Happened {
            at,
            by: by.clone(),
            what: format!("{kind} of {lines} taken back: {why}"),
        });
    }
    happened
}

fn words(kind: &EventKind) -> String {
    let fixed_in = |versions: &[String]| match versions {
        [] => "no fix is known".to_owned(),
        versions => format!("fixed in {}", versions.join(", ")),
    };
    let begins = |supersedes: bool| {
        if supersedes {
            "; a new generation begins"
        } else {
            ""
        }
    };
    match kind {
        EventKind::Opened { vulnerabilities, .. } => {
            let known = vulnerabilities
                .iter()
                .map(|known| format!("{} ({})", known.id, fixed_in(&known.fixed_in)));
            format!("opened with {}", known.collect::<Vec<_>>().join(", "))
        }
        EventKind::VulnerabilityAdded {
            vulnerability,
            supersedes,
            ..
        } => format!(
            "{} added ({}, {}){}",
            vulnerability.id,
            vulnerability.severity.as_str(),
            fixed_in(&vulnerability.fixed_in),
            begins(*supersedes)
        ),
        EventKind::FixChanged {
            vulnerability,
            fixed_in: versions,
            supersedes,
            ..
        } => format!("{vulnerability}: {}{}", fixed_in(versions), begins(*supersedes)),
        EventKind::SeverityChanged {
            vulnerability,
            severity,
            ..
        } => format!("{vulnerability} is rated {}", severity.as_str()),
        EventKind::Covered { coverage } => format!("coverage: {}", coverage.words()),
        EventKind::Closed { note } if note.trim().is_empty() => "closed".to_owned(),
        EventKind::Closed { note } => format!("closed: {note}"),
        other => other.name().to_owned(),
    }
}
