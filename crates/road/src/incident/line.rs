//! One tag or image in an incident.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use oci::{Digest, Reference, RepoName};
use policy::yaml::one_line;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use super::{Generation, MAX_CLOCKS, MAX_FIXES, Relief, ReliefKind, Remedy};
use crate::cohort::Cohort;
use crate::names::{ApplicationName, Contact, Owner};

/// Which tag or image. Repository and tag or digest tell two apart; the application does not, for who says whose a repository is may
/// change while the incident goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LineKey {
    /// Of which application, where that is known.
    #[serde(default)]
    pub application: Option<ApplicationName>,
    /// In which repository.
    pub repository: RepoName,
    /// The tag, or the digest of an image that has none.
    pub reference: Reference,
}

impl LineKey {
    fn identity(&self) -> (&RepoName, &Reference) {
        (&self.repository, &self.reference)
    }
}

impl PartialEq for LineKey {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for LineKey {}

impl PartialOrd for LineKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LineKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for LineKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// A text that names no tag and no image.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no tag and no image: write repository:tag or repository@digest")]
pub struct LineKeyError(String);

impl FromStr for LineKey {
    type Err = LineKeyError;

    fn from_str(text: &str) -> Result<Self, LineKeyError> {
        let parsed = || {
            if let Some((repository, digest)) = text.split_once('@') {
                return Some((repository.parse().ok()?, Reference::Digest(digest.parse().ok()?)));
            }
            let (repository, tag) = text.rsplit_once(':')?;
            Some((repository.parse().ok()?, Reference::Tag(tag.parse().ok()?)))
        };
        let (repository, reference) = parsed().ok_or_else(|| LineKeyError(one_line(text, 300)))?;
        Ok(Self {
            application: None,
            repository,
            reference,
        })
    }
}

impl fmt::Display for LineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Reference::Tag(tag) => write!(f, "{}:{tag}", self.repository),
            Reference::Digest(digest) => write!(f, "{}@{digest}", self.repository),
        }
    }
}

/// How a clock stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// A newer image is without it.
    Fixed,
    /// The tag or image is there no more. Nothing was fixed.
    Gone,
}

/// How long a line was affected by what a generation is about, at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// Which generation.
    pub generation: u16,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// Until when, and how it ended.
    #[serde(skip)]
    pub stopped: Option<(OffsetDateTime, End)>,
}

/// Why a line opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReopeningCause {
    /// The fix that it has is superseded.
    Superseded,
    /// It went back to what it was, or is there again.
    Regressed,
}

/// That a line opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reopening {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Why.
    pub cause: ReopeningCause,
}

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Affected.
    Open,
    /// Affected, and harmless for a while.
    Mitigated {
        /// Until when, not included. `None`: as long as what was seen in the image stays.
        #[serde(default, with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
    },
    /// Affected, and borne for a while.
    Waived {
        /// Until when, not included. `None`: as long as it is said.
        #[serde(default, with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
    },
    /// Not affected any more.
    Fixed,
    /// There no more.
    Gone,
    /// Affected once more, after it was not.
    Reopened,
}

impl State {
    /// Its name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Mitigated { .. } => "mitigated",
            Self::Waived { .. } => "waived",
            Self::Fixed => "fixed",
            Self::Gone => "gone",
            Self::Reopened => "reopened",
        }
    }

    /// Whether somebody has to do something now.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open | Self::Reopened)
    }

    /// Whether it is affected no more.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Fixed | Self::Gone)
    }
}

/// One tag or image, with all that happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub key: LineKey,
    /// When it was found to be affected.
    pub since: OffsetDateTime,
    /// Whether it was so when the incident was opened.
    pub at_opening: bool,
    /// Its cohort when it was found; later ones do not count, so that nobody moves between the curves.
    pub cohort: Cohort,
    /// Whose it is, at last.
    pub owner: Option<Owner>,
    /// How they are reached.
    pub contacts: Vec<Contact>,
    /// The image behind it, at last.
    pub digest: Digest,
    /// What must be done.
    pub remedies: Vec<Remedy>,
    /// When it was affected, by generation; in the order of their starts.
    pub clocks: Vec<Clock>,
    /// Mitigations and waivers by somebody's word, also ended ones; of these the latest [`super::MAX_ENDED_RELIEFS`].
    pub reliefs: Vec<Relief>,
    /// What the registry saw itself, at last.
    pub seen: Vec<Relief>,
    /// How often it opened again.
    pub reopened: u32,
    /// The last time.
    pub last_reopening: Option<Reopening>,
    /// How many affected replicas run, where a cluster tells.
    pub replicas: Option<u32>,
    /// Why it is there no more, or is not said to be affected any more.
    pub gone: Option<String>,
    /// It is gone because advisories were withdrawn or changed: what it is called is still there.
    pub is_withdrawn: bool,
    /// Versions that ever were said to fix something of the group here; at most [`super::MAX_FIXES`].
    pub fixes: BTreeSet<String>,
    /// By what its tag is affected.
    pub(super) offered: u64,
    /// By what its replicas are affected.
    pub(super) running: u64,
    /// By what it ever was.
    pub(super) ever: u64,
}

impl Line {
    /// Whether a version is among those that are known to fix something here, or would find no room there.
    pub(super) fn has_fix(&self, version: &str) -> bool {
        self.fixes.contains(version) || self.fixes.len() >= MAX_FIXES
    }

    /// By what it is affected now.
    pub(super) fn exposed(&self) -> u64 {
        self.offered | self.running
    }

    /// What mitigations or waivers that are in force cover.
    fn covered(&self, kind: ReliefKind, now: OffsetDateTime) -> u64 {
        let all = self.reliefs.iter().chain(&self.seen);
        let live = all.filter(|relief| relief.kind == kind && relief.is_live(now));
        live.fold(0, |mask, relief| mask | relief.covers)
    }

    /// When the first of what it is affected by is covered no more; `None`: all of it is covered without an end.
    fn covered_until(&self, kinds: &[ReliefKind], now: OffsetDateTime) -> Option<OffsetDateTime> {
        let all = self.reliefs.iter().chain(&self.seen);
        let live: Vec<_> = all
            .filter(|relief| kinds.contains(&relief.kind) && relief.is_live(now))
            .collect();
        let exposed = self.exposed();
        let each = (0..u64::BITS)
            .map(|bit| 1 << bit)
            .filter(|bit| exposed & bit != 0);
        each.filter_map(|bit| {
            let covering = live.iter().filter(|relief| relief.covers & bit != 0);
            // Of several the last to end counts, and none of them may.
            let ends: Option<Vec<OffsetDateTime>> = covering.map(|relief| relief.until).collect();
            ends?.into_iter().max()
        })
        .min()
    }

    /// By what it is affected without anything that helps.
    pub(super) fn pressing(&self, now: OffsetDateTime) -> u64 {
        let covered = [ReliefKind::Waiver, ReliefKind::Mitigation].map(|kind| self.covered(kind, now));
        self.exposed() & !(covered[0] | covered[1])
    }

    /// Where it stands.
    pub fn state(&self, now: OffsetDateTime) -> State {
        let exposed = self.exposed();
        if exposed == 0 {
            let is_gone = self.gone.is_some();
            return if is_gone { State::Gone } else { State::Fixed };
        }
        let waived = self.covered(ReliefKind::Waiver, now);
        let mitigated = self.covered(ReliefKind::Mitigation, now);
        if exposed & !waived == 0 {
            State::Waived {
                until: self.covered_until(&[ReliefKind::Waiver], now),
            }
        } else if exposed & !(waived | mitigated) == 0 {
            State::Mitigated {
                until: self.covered_until(&[ReliefKind::Waiver, ReliefKind::Mitigation], now),
            }
        } else if self.reopened > 0 {
            State::Reopened
        } else {
            State::Open
        }
    }

    /// When it was affected, whatever the generation: spans that do not touch, in order; the last one may have no end.
    pub fn spans(&self) -> Vec<(OffsetDateTime, Option<OffsetDateTime>)> {
        let mut spans: Vec<(OffsetDateTime, Option<OffsetDateTime>)> = Vec::new();
        for clock in &self.clocks {
            let end = clock.stopped.map(|(at, _)| at);
            match spans.last_mut() {
                Some((_, None)) => {}
                Some((_, Some(last))) if clock.started <= *last => {
                    let last = *last;
                    if let Some(span) = spans.last_mut() {
                        span.1 = end.map(|end| end.max(last));
                    }
                }
                _ => spans.push((clock.started, end)),
            }
        }
        spans
    }

    /// How long it was affected, all times together.
    pub fn spent(&self, now: OffsetDateTime) -> Duration {
        let spans = self.spans().into_iter();
        spans.map(|(start, end)| span(start, end, now)).sum()
    }

    /// How long it was affected by what `generation` is about.
    pub fn spent_in(&self, generation: u16, now: OffsetDateTime) -> Duration {
        let clocks = self.clocks.iter().filter(|clock| clock.generation == generation);
        clocks
            .map(|clock| span(clock.started, clock.stopped.map(|(at, _)| at), now))
            .sum()
    }

    /// Whether it was fixed (not merely gone) at `moment`.
    pub fn was_fixed_at(&self, moment: OffsetDateTime) -> bool {
        let before: Vec<&Clock> = self
            .clocks
            .iter()
            .filter(|clock| clock.started <= moment)
            .collect();
        let is_over = |clock: &&&Clock| clock.stopped.is_some_and(|(at, _)| at <= moment);
        let last = before
            .iter()
            .filter_map(|clock| clock.stopped)
            .map(|(at, _)| at)
            .max();
        let is_gone = |clock: &Clock| {
            clock
                .stopped
                .is_some_and(|(at, end)| Some(at) == last && end == End::Gone)
        };
        last.is_some() && before.iter().all(|clock| is_over(&clock)) && !before.iter().copied().any(is_gone)
    }

    /// What was gone and is back without the problem is fixed: tags are deleted and pushed anew.
    pub(super) fn settle_return(&mut self) {
        if self.exposed() != 0 || self.gone.is_some() {
            return;
        }
        let stops = self.clocks.iter().filter_map(|clock| clock.stopped);
        let last = stops.map(|(at, _)| at).max();
        for clock in &mut self.clocks {
            if let Some((at, end)) = &mut clock.stopped
                && Some(*at) == last
            {
                *end = End::Fixed;
            }
        }
    }

    /// Starts and stops its clocks by what it is affected by now.
    pub(super) fn wind(&mut self, at: OffsetDateTime, generations: &[Generation]) {
        self.wind_after(Lost::default(), at, generations);
    }

    /// The same, where it is told how it came to be affected by less. A clock that stops because something was withdrawn has nothing
    /// fixed.
    pub(super) fn wind_after(&mut self, lost: Lost, at: OffsetDateTime, generations: &[Generation]) {
        let exposed = self.exposed();
        let was_over = self.clocks.iter().all(|clock| clock.stopped.is_some());
        let end = if self.gone.is_some() {
            End::Gone
        } else {
            End::Fixed
        };
        let mut started: Option<ReopeningCause> = None;
        for generation in generations {
            let number = generation.number;
            let mut clocks = self.clocks.iter_mut();
            let running = clocks.find(|clock| clock.generation == number && clock.stopped.is_none());
            match running {
                Some(clock) if exposed & generation.members == 0 => {
                    let end = if lost.is_withdrawn(generation.members) {
                        End::Gone
                    } else {
                        end
                    };
                    clock.stopped = Some((at, end));
                }
                None if exposed & generation.active != 0 => {
                    let is_known = self.clocks.iter().any(|clock| clock.generation == number);
                    started = match started {
                        Some(ReopeningCause::Regressed) => started,
                        _ if is_known => Some(ReopeningCause::Regressed),
                        _ => Some(ReopeningCause::Superseded),
                    };
                    self.start(number, at);
                }
                _ => {}
            }
        }
        if was_over
            && self.ever != 0
            && let Some(cause) = started
        {
            self.reopened = self.reopened.saturating_add(1);
            self.last_reopening = Some(Reopening { at, cause });
        }
        self.ever |= exposed;
    }

    fn start(&mut self, generation: u16, started: OffsetDateTime) {
        let is_full = self.clocks.len() >= MAX_CLOCKS;
        let last = self
            .clocks
            .iter_mut()
            .rev()
            .find(|clock| clock.generation == generation);
        match last {
            Some(clock) if is_full => clock.stopped = None,
            _ => self.clocks.push(Clock {
                generation,
                started,
                stopped: None,
            }),
        }
    }
}

/// What a line is affected by no more, as bits of the group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lost {
    /// Because advisories do not say so any more.
    pub(super) withdrawn: u64,
    /// For any other reason.
    pub(super) fixed: u64,
}

impl Lost {
    fn is_withdrawn(self, members: u64) -> bool {
        self.withdrawn & members != 0 && self.fixed & members == 0
    }
}

/// From `start` to its end or `now`; never negative, also as of a moment before.
pub(super) fn span(start: OffsetDateTime, end: Option<OffsetDateTime>, now: OffsetDateTime) -> Duration {
    let end = end.map_or(now, |end| end.min(now));
    (end - start).max(Duration::ZERO)
}
