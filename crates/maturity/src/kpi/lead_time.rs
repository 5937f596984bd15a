//! 3.2 From commit to production.

use std::collections::BTreeMap;

use oci::Digest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::event::App;
use super::journal::Journal;
use super::numbers::seconds;
use super::ships::{Kind, Ships, Version};
use super::{Frame, Kpi, KpiId, Measured, Spread, Window, no_data, numbers, spread};

/// A commit, without its author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Commit {
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Whether a machine made it.
    pub automated: bool,
}

/// What is known of how a version came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Commits {
    /// All commits after the revision that was in production before, up to this one's.
    Range(Vec<Commit>),
    /// Only that of the revision itself.
    Head(Commit),
}

/// By application and digest; what is not in here has no known revision.
pub type CommitsOf = BTreeMap<(App, Digest), Commits>;

/// What a series measures. Series are never put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// From each commit to production.
    CommitToProduction,
    /// From the last commit to production: a lower bound.
    HeadToProduction,
    /// From push to production: no commit is known.
    PushToProduction,
}

impl Measure {
    /// What is written beside the series.
    pub const fn label(self) -> &'static str {
        match self {
            Self::CommitToProduction => "commit to production",
            Self::HeadToProduction => "commit to production (lower bound: only the head commit is known)",
            Self::PushToProduction => "push to production only (no revision is known)",
        }
    }
}

/// One series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Of what.
    pub measure: Measure,
    /// Of the commits of machines; of the others otherwise.
    pub automated: bool,
    /// How long it took.
    pub spread: Spread,
}

/// The parts of the way, each over the versions for which both of its ends are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// From the head commit to the push.
    pub commit_to_push: Option<Spread>,
    /// From the push to the scanner's first verdict.
    pub push_to_verdict: Option<Spread>,
    /// From the verdict to being let into production.
    pub verdict_to_admitted: Option<Spread>,
    /// From there to first ready.
    pub admitted_to_ready: Option<Spread>,
}

/// All series, and the parts of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadTime {
    /// Those for which there are any.
    pub series: Vec<Series>,
    /// The parts.
    pub stages: Stages,
}

/// Over the feature versions that were first ready in a window.
pub fn lead_time(
    journal: &Journal,
    ships: &Ships,
    frame: &Frame<'_>,
    commits: &CommitsOf,
    window: Window,
) -> Kpi<LeadTime> {
    Kpi::measure(KpiId::LeadTime, frame, |caveats| {
        let is_asked = |version: &&Version| version.kind == Kind::Feature && window.has(version.at);
        let versions: Vec<&Version> = ships.versions.iter().filter(is_asked).collect();
        if versions.is_empty() {
            return Err(no_data(
                "no feature version was shipped in this time: choose a longer one",
            ));
        }
        let mut tally = Tally::default();
        for version in &versions {
            tally.add(version, commits, journal);
        }
        if tally.backwards > 0 {
            caveats.push(format!(
                "{} times are left out: the clocks disagree, the end is before the beginning",
                tally.backwards
            ));
        }
        let is_known = |version: &&&Version| commits.contains_key(&(version.app.clone(), version.digest));
        let known: Vec<_> = versions.iter().filter(is_known).collect();
        let series = tally.series();
        let bound = series
            .iter()
            .any(|series| series.measure == Measure::HeadToProduction);
        if bound {
            caveats.push(Measure::HeadToProduction.label().to_owned());
        }
        Ok(Measured {
            numerator: numbers::count(&known),
            denominator: numbers::count(&versions),
            value: LeadTime {
                series,
                stages: tally.stages.spreads(),
            },
        })
    })
}

#[derive(Default)]
struct Tally {
    series: BTreeMap<(Measure, bool), Vec<u64>>,
    stages: StageTimes,
    /// How many times ran backwards.
    backwards: u64,
}

impl Tally {
    fn add(&mut self, version: &Version, commits: &CommitsOf, journal: &Journal) {
        let key = (version.app.clone(), version.digest);
        let pushed = journal
            .pushed
            .get(&version.app)
            .and_then(|of_app| of_app.get(&version.digest))
            .copied();
        let head = match commits.get(&key) {
            Some(Commits::Range(list)) => {
                for commit in list {
                    self.note(
                        Measure::CommitToProduction,
                        commit.automated,
                        commit.at,
                        version.at,
                    );
                }
                list.iter().map(|commit| commit.at).max()
            }
            Some(Commits::Head(commit)) => {
                self.note(Measure::HeadToProduction, commit.automated, commit.at, version.at);
                Some(commit.at)
            }
            None => {
                if let Some(pushed) = pushed {
                    self.note(Measure::PushToProduction, false, pushed, version.at);
                }
                None
            }
        };
        let verdict = journal.scanned.get(&version.digest).copied();
        let admitted = journal.admitted.get(&key).copied();
        self.stages
            .add([head, pushed, verdict, admitted, Some(version.at)]);
    }

    fn note(&mut self, measure: Measure, automated: bool, from: OffsetDateTime, until: OffsetDateTime) {
        match seconds(until - from) {
            Some(seconds) => self.series.entry((measure, automated)).or_default().push(seconds),
            None => self.backwards += 1,
        }
    }

    fn series(&self) -> Vec<Series> {
        let series = self.series.iter().filter_map(|((measure, automated), times)| {
            Some(Series {
                measure: *measure,
                automated: *automated,
                spread: spread(times.iter().copied())?,
            })
        });
        series.collect()
    }
}

/// Seconds of each part of the way.
#[derive(Default)]
struct StageTimes([Vec<u64>; 4]);

impl StageTimes {
    /// Moments in their order. A part that took no time because its end came first (what was admitted before the verdict) took none.
    fn add(&mut self, moments: [Option<OffsetDateTime>; 5]) {
        for (times, ends) in self.0.iter_mut().zip(moments.windows(2)) {
            if let [Some(from), Some(until)] = ends {
                times.push(seconds(*until - *from).unwrap_or(0));
            }
        }
    }

    fn spreads(self) -> Stages {
        let [
            commit_to_push,
            push_to_verdict,
            verdict_to_admitted,
            admitted_to_ready,
        ] = self.0.map(spread);
        Stages {
            commit_to_push,
            push_to_verdict,
            verdict_to_admitted,
            admitted_to_ready,
        }
    }
}

#[cfg(test)]
mod tests;
