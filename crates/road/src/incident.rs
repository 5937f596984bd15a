//! A group of vulnerabilities, followed from the advisory until nobody is affected any more.
//!
//! An [`Incident`] is what its [`Event`]s make of it: the same events give the same state, so that any figure can be computed
//! again, also as of an earlier moment. Its unit is a [`Line`]: a tag of a repository, or an image without one. Which images are
//! affected is told from outside, by [`Sighting`]s.
//!
//! When a fix is superseded, a new [`Generation`] begins in the same incident. Each line has a [`Clock`] per generation: it runs
//! while the line is affected by what that generation is about. So lines that were fixed with the earlier version open again,
//! the time that was spent before is kept, and what is resolved and what is not can be told apart ("the critical part is resolved").
//!
//! A mitigation or waiver has an end and covers named vulnerabilities; it changes the state that is shown and stops no clock.

mod apply;
mod burndown;
mod coverage;
mod deadline;
mod estimate;
mod event;
mod figures;
mod generation;
mod history;
mod line;
mod parts;
mod relief;
mod report;
mod status;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use findings::Severity;
use oci::RepoName;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use crate::names::{IncidentId, VulnerabilityId};

pub use burndown::{MAX_POINTS, Point};
pub use coverage::Coverage;
pub use deadline::Deadlines;
pub use estimate::{Estimate, Sample, estimate};
pub use event::{Event, EventKind, Remedy, SeenRelief, Sighting, Withdrawal};
pub use figures::{Figures, SHARES_AFTER, Share};
pub use generation::Generation;
pub(crate) use history::Log;
pub use history::{Closing, Happened, MAX_LISTED_EVENTS, MAX_LISTED_RELIEFS, ReliefShown};
pub use line::{Clock, End, Line, LineKey, LineKeyError, Reopening, ReopeningCause, State};
pub use parts::Part;
pub use relief::{Ended, Relief, ReliefKind};
pub use report::{GenerationFigures, GenerationState, MAX_LISTED_LINES, OpenLine, Report};
pub use status::Status;
pub(crate) use tables::moment;

/// Most vulnerabilities of one incident: the bits of a word.
pub const MAX_VULNERABILITIES: usize = 64;

/// Most generations of one incident.
pub const MAX_GENERATIONS: usize = 64;

/// Most lines of one incident. A group that touches more is opened for fewer repositories.
pub const MAX_LINES: usize = 500_000;

/// Most sightings in one event; more become several events.
pub const LINES_PER_EVENT: usize = 500;

/// Most clocks of one line. A tag that is moved to and fro more often has its last clock run on, which counts the time between.
pub const MAX_CLOCKS: usize = 200;

/// Most mitigations and waivers of one line that are in force at a time.
pub const MAX_RELIEFS: usize = 16;

/// Most mitigations and waivers of one line that have ended and are still told of; the events have them all.
pub const MAX_ENDED_RELIEFS: usize = 64;

/// Most remedies of one line.
pub const MAX_REMEDIES: usize = 8;

/// Longest time that a mitigation or waiver may be in force, in days: that of waivers of policies.
pub const MAX_RELIEF_DAYS: i64 = policy::MAX_WAIVER_DAYS;

/// Longest text of an event (title, note, reason), in bytes.
pub const MAX_TEXT_BYTES: usize = 2_000;

/// Most versions that fix one vulnerability.
pub const MAX_FIXES: usize = 50;

/// One vulnerability of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vulnerability {
    /// Its id.
    pub id: VulnerabilityId,
    /// How bad it is by what policy decided.
    pub severity: Severity,
    /// What each source says of that.
    #[serde(default)]
    pub by_source: BTreeMap<String, Severity>,
    /// Versions that are without it, one per line of releases; none while there is no fix.
    pub fixed_in: Vec<String>,
    /// Ids of the advisories that spoke of it when it came into the group: when they are withdrawn, nothing is affected any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<String>,
}

/// Why something cannot be done to an incident.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IncidentError {
    /// The first event is not its opening, or a later one is.
    #[error("an incident begins with its opening, and opens once")]
    Opening,
    /// Nothing to follow.
    #[error("an incident needs at least one vulnerability")]
    NoVulnerability,
    /// [`MAX_VULNERABILITIES`].
    #[error("an incident follows at most {MAX_VULNERABILITIES} vulnerabilities: open another one")]
    Vulnerabilities,
    /// [`MAX_GENERATIONS`].
    #[error("an incident has at most {MAX_GENERATIONS} generations: open another one")]
    Generations,
    /// [`MAX_LINES`].
    #[error("an incident follows at most {MAX_LINES} tags and images: open it for fewer repositories")]
    Lines,
    /// A list of an event without end.
    #[error("an event has {count} {what}: at most {limit} are allowed")]
    Long {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// [`MAX_TEXT_BYTES`].
    #[error("`{0}` is longer than {MAX_TEXT_BYTES} bytes")]
    Text(&'static str),
    /// One that is in the group already.
    #[error("`{0}` is in the incident already")]
    Known(VulnerabilityId),
    /// One that is not in the group.
    #[error("`{0}` is not in the incident: add it first")]
    UnknownVulnerability(VulnerabilityId),
    /// A tag or image that is not followed.
    #[error("`{0}` is not in the incident: it is not known to be affected")]
    UnknownLine(String),
    /// An event before the last one.
    #[error("the event is from {at}, before the last one, from {last}: events come in their order")]
    Backwards {
        /// When it is from.
        at: OffsetDateTime,
        /// When the last one is from.
        last: OffsetDateTime,
    },
    /// A mitigation or waiver without a sensible end.
    #[error("a mitigation or waiver ends after it begins, and within {MAX_RELIEF_DAYS} days")]
    Until,
    /// A mitigation or waiver of nothing.
    #[error("a mitigation or waiver names the vulnerabilities that it covers, and its reason")]
    CoversNothing,
    /// [`MAX_RELIEFS`].
    #[error("`{0}` has {MAX_RELIEFS} mitigations and waivers in force: end one of them first")]
    Reliefs(String),
    /// Closing what is open.
    #[error("{0} tags or images are still open: fix, mitigate or waive them first")]
    StillOpen(usize),
}

/// The state that events have led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    id: IncidentId,
    title: String,
    opened_at: OffsetDateTime,
    last_at: OffsetDateTime,
    closed_at: Option<OffsetDateTime>,
    vulnerabilities: Vec<Vulnerability>,
    generations: Vec<Generation>,
    deadlines: Deadlines,
    coverage: Coverage,
    lines: BTreeMap<LineKey, Line>,
    log: Log,
}

/// What an incident begins with.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Its id.
    pub id: IncidentId,
    /// What it is about.
    pub title: String,
    /// The group.
    pub vulnerabilities: Vec<Vulnerability>,
    /// By when it is to be over.
    pub deadlines: Deadlines,
    /// How much of the fleet the answer covers.
    pub coverage: Coverage,
    /// What is affected, with the cohort of this moment, which stays.
    pub affected: Vec<Sighting>,
    /// Versions that are without all of the group, one per line of releases in use.
    pub targets: Vec<String>,
}

impl Incident {
    /// Opens one; answers its first events, which are to be kept.
    pub fn open(
        opening: Opening,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<(Self, Vec<Event>), IncidentError> {
        let kind = EventKind::Opened {
            id: opening.id,
            title: opening.title,
            vulnerabilities: opening.vulnerabilities,
            deadlines: opening.deadlines,
            coverage: opening.coverage,
            targets: opening.targets,
        };
        let opened = Event::new(now, actor, kind);
        let mut incident = apply::opened(&opened)?;
        let mut events = vec![opened];
        events.extend(incident.see(opening.affected, actor, now)?);
        Ok((incident, events))
    }

    /// From its events, in their order.
    pub fn replay<'e>(events: impl IntoIterator<Item = &'e Event>) -> Result<Self, IncidentError> {
        let mut events = events.into_iter();
        let first = events.next().ok_or(IncidentError::Opening)?;
        let mut incident = apply::opened(first)?;
        for event in events {
            incident.apply(event)?;
        }
        Ok(incident)
    }

    /// As it stood at `moment`; `None` before it was opened.
    pub fn replay_until<'e>(
        events: impl IntoIterator<Item = &'e Event>,
        moment: OffsetDateTime,
    ) -> Result<Option<Self>, IncidentError> {
        let mut until = events
            .into_iter()
            .take_while(|event| event.at <= moment)
            .peekable();
        if until.peek().is_none() {
            return Ok(None);
        }
        Self::replay(until).map(Some)
    }

    /// Makes one event happen. An event that cannot is an error, and changes nothing.
    pub fn apply(&mut self, event: &Event) -> Result<(), IncidentError> {
        apply::apply(self, event)
    }

    /// Makes something happen now, or at the moment of the last event if a clock went back; answers the event that is to be kept.
    pub fn record(
        &mut self,
        kind: EventKind,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<Event, IncidentError> {
        let event = Event::new(now.max(self.last_at), actor, kind);
        self.apply(&event)?;
        Ok(event)
    }

    /// Whether a sighting would change anything.
    pub fn is_news(&self, sighting: &Sighting) -> bool {
        apply::is_news(self, sighting)
    }

    /// Takes in what tags and images are affected by now. What is told already and what is neither affected nor followed makes no
    /// event, so that the whole fleet may be told again and again.
    pub fn see(
        &mut self,
        sightings: Vec<Sighting>,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<Vec<Event>, IncidentError> {
        let news: Vec<Sighting> = sightings
            .into_iter()
            .filter(|sighting| apply::is_news(self, sighting))
            .collect();
        // All or nothing, like one event.
        self.check_seen(&news)?;
        let at = now.max(self.last_at);
        let mut events = Vec::new();
        for lines in news.chunks(LINES_PER_EVENT) {
            let event = Event::new(
                at,
                actor,
                EventKind::Seen {
                    lines: lines.to_vec(),
                },
            );
            self.apply(&event)?;
            events.push(event);
        }
        Ok(events)
    }

    /// Adds a vulnerability to the group. Where no version that is aimed at now fixes it, a new generation begins. `targets` are those
    /// without all of the group from now on, as far as they are known. Tell what it affects by [`see`](Self::see) afterwards.
    pub fn add_vulnerability(
        &mut self,
        vulnerability: Vulnerability,
        targets: &[String],
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<Event, IncidentError> {
        let supersedes = self.would_supersede(&vulnerability.fixed_in, targets);
        let kind = EventKind::VulnerabilityAdded {
            vulnerability,
            supersedes,
            targets: targets.to_vec(),
        };
        self.record(kind, actor, now)
    }

    /// Whether a vulnerability with these fixes makes the present targets obsolete: it has none, or one that is not aimed at, unless
    /// the `targets` of the group with it are among the present ones.
    pub fn would_supersede(&self, fixed_in: &[String], targets: &[String]) -> bool {
        let Some(last) = self.generations.last() else {
            return true;
        };
        let is_aimed_at = |version: &String| last.aims.contains(version);
        let is_target = |version: &String| last.targets.contains(version);
        let is_covered = !targets.is_empty() && targets.iter().all(is_target);
        fixed_in.is_empty() || !(is_covered || fixed_in.iter().all(is_aimed_at))
    }

    /// Its id.
    pub fn id(&self) -> &IncidentId {
        &self.id
    }

    /// What it is about.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// When it was opened.
    pub fn opened_at(&self) -> OffsetDateTime {
        self.opened_at
    }

    /// When its last event was.
    pub fn last_at(&self) -> OffsetDateTime {
        self.last_at
    }

    /// The group, in the order in which it grew.
    pub fn vulnerabilities(&self) -> &[Vulnerability] {
        &self.vulnerabilities
    }

    /// The generations, the first one first.
    pub fn generations(&self) -> &[Generation] {
        &self.generations
    }

    /// By when it is to be over.
    pub fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// When somebody last said that it is over.
    pub fn closed_at(&self) -> Option<OffsetDateTime> {
        self.closed_at
    }

    /// What a mitigation or waiver covers.
    pub fn covered_by(&self, relief: &Relief) -> Vec<VulnerabilityId> {
        self.ids(relief.covers)
    }

    /// The same for those who may see only some repositories, with how much of these is covered.
    #[must_use]
    pub fn only(mut self, may_see: impl Fn(&RepoName) -> bool, coverage: Coverage) -> Self {
        self.lines.retain(|key, _| may_see(&key.repository));
        self.coverage = coverage;
        // Which lines of releases others use is theirs to tell.
        let fixes: BTreeSet<&String> = self.lines.values().flat_map(|line| &line.fixes).collect();
        let is_here = |version: &String| fixes.contains(version);
        for known in &mut self.vulnerabilities {
            known.fixed_in.retain(is_here);
        }
        for generation in &mut self.generations {
            generation.targets.retain(is_here);
            generation.aims.retain(is_here);
        }
        self.log.only(is_here);
        self
    }

    /// How much of the fleet is covered.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// All tags and images that are or were affected.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &Line> {
        self.lines.values()
    }

    /// One of them.
    pub fn line(&self, key: &LineKey) -> Option<&Line> {
        self.lines.get(key)
    }

    /// All figures, as of `now`.
    pub fn report(&self, now: OffsetDateTime) -> Report {
        report::report(self, now)
    }

    /// The ids behind the bits of a mask.
    fn ids(&self, mask: u64) -> Vec<VulnerabilityId> {
        let ids = self.vulnerabilities.iter().enumerate();
        ids.filter(|(place, _)| mask & 1 << place != 0)
            .map(|(_, vulnerability)| vulnerability.id.clone())
            .collect()
    }

    /// The worst severity behind the bits of a mask; one that nobody knows counts as high.
    fn severity(&self, mask: u64) -> Severity {
        let all = self.vulnerabilities.iter().enumerate();
        let of_mask = all.filter(|(place, _)| mask & 1 << place != 0);
        let known = of_mask.map(|(_, vulnerability)| match vulnerability.severity {
            Severity::Unknown => Severity::High,
            known => known,
        });
        known.max().unwrap_or(Severity::Unknown)
    }
}

#[cfg(test)]
pub(crate) mod tests;
