//! 3.3 How many versions failed, and how soon things were well again.

use std::collections::{BTreeMap, BTreeSet};

use oci::Digest;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::event::{App, Place};
use super::journal::Journal;
use super::numbers::{self, seconds};
use super::ships::{Ships, Version};
use super::survival::{Curve, Observation};
use super::{Frame, Kpi, KpiId, Measured, Window, no_data};

/// How long after first ready a failure is a failure of the version.
pub const FAILS_WITHIN: Duration = Duration::hours(24);

/// Whether the organisation's incident records come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentRecords {
    /// They do.
    Connected,
    /// They do not: what only they know is missing.
    Missing,
}

/// By what a version is known to have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// An earlier digest took its place.
    RolledBack,
    /// Its rollout exceeded the progress deadline.
    DeadlineExceeded,
    /// An incident record names it.
    Incident,
}

/// The bands of DORA's fourkeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Band {
    /// Up to 15 %.
    #[serde(rename = "0-15")]
    To15,
    /// Above, up to 45 %.
    #[serde(rename = "16-45")]
    To45,
    /// Above, up to 60 %.
    #[serde(rename = "46-60")]
    To60,
    /// Above.
    #[serde(rename = "over-60")]
    Above,
}

impl Band {
    fn of(failed: u64, shipped: u64) -> Self {
        let within = |percent: u128| u128::from(failed) * 100 <= u128::from(shipped) * percent;
        let bands = [(15, Self::To15), (45, Self::To45), (60, Self::To60)];
        let found = bands.into_iter().find(|(percent, _)| within(*percent));
        found.map_or(Self::Above, |(_, band)| band)
    }
}

/// How many failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureRate {
    /// Failed divided by shipped.
    pub rate: f64,
    /// In which band that is.
    pub band: Band,
    /// How many failed by what; one version may have several causes.
    pub causes: BTreeMap<Cause, u64>,
    /// Shipped too recently to know.
    pub pending: u64,
    /// Digests whose rollout failed and that were never ready in production: not shipped, so not in the rate.
    pub never_ready: u64,
}

/// One version that failed.
struct Failure<'s> {
    version: &'s Version,
    causes: BTreeSet<Cause>,
    /// When it was noticed, and where if that is known; a rollback by itself does not say.
    detected: Option<(OffsetDateTime, Option<Place>)>,
}

/// Over the versions that were first ready in a window.
pub fn change_failure_rate(
    journal: &Journal,
    ships: &Ships,
    frame: &Frame<'_>,
    window: Window,
    records: IncidentRecords,
) -> Kpi<FailureRate> {
    Kpi::measure(KpiId::ChangeFailureRate, frame, |caveats| {
        if records == IncidentRecords::Missing {
            caveats.push("lower bound: incident records are not connected".to_owned());
        }
        let asked = ships.versions.iter().filter(|version| window.has(version.at));
        let (judged, pending): (Vec<&Version>, Vec<&Version>) =
            asked.partition(|version| version.at + FAILS_WITHIN <= journal.now);
        let failures = failures(journal, ships, &judged);
        let (failed, shipped) = (numbers::count(&failures), numbers::count(&judged));
        let Some(rate) = numbers::share(failed, shipped) else {
            return Err(no_data(
                "no version was shipped in this time more than 24 hours ago: choose a longer one",
            ));
        };
        let mut causes = BTreeMap::new();
        for cause in failures.iter().flat_map(|failure| &failure.causes) {
            *causes.entry(*cause).or_default() += 1;
        }
        Ok(Measured {
            value: FailureRate {
                rate,
                band: Band::of(failed, shipped),
                causes,
                pending: numbers::count(&pending),
                never_ready: never_ready(journal, ships, window),
            },
            numerator: failed,
            denominator: shipped,
        })
    })
}

/// That a version failed: by what, when, and where if that is known.
type Sign<'j> = (Cause, OffsetDateTime, Option<&'j Place>);

fn failures<'s>(journal: &Journal, ships: &'s Ships, versions: &[&'s Version]) -> Vec<Failure<'s>> {
    let signs = signs(journal, ships);
    let mut found = Vec::new();
    for &version in versions {
        let of_version = signs.get(&(&version.app, version.digest));
        let in_time = |sign: &&Sign<'_>| version.at <= sign.1 && sign.1 <= version.at + FAILS_WITHIN;
        let of_version: Vec<&Sign<'_>> = of_version.into_iter().flatten().filter(in_time).collect();
        let seen = of_version.iter().filter(|sign| sign.0 != Cause::RolledBack);
        let detected = seen
            .min_by_key(|sign| sign.1)
            .map(|(_, at, place)| (*at, place.cloned()));
        if !of_version.is_empty() {
            found.push(Failure {
                version,
                causes: of_version.iter().map(|sign| sign.0).collect(),
                detected,
            });
        }
    }
    found
}

/// All that says that a version failed, by application and digest.
fn signs<'j>(journal: &'j Journal, ships: &'j Ships) -> BTreeMap<(&'j App, Digest), Vec<Sign<'j>>> {
    let mut signs: BTreeMap<(&App, Digest), Vec<Sign<'_>>> = BTreeMap::new();
    for again in &ships.rollbacks {
        let of_version = signs.entry((&again.app, again.from)).or_default();
        of_version.push((Cause::RolledBack, again.at, None));
    }
    for (place, digest, at) in &journal.rollouts_failed {
        let of_version = signs.entry((&place.app, *digest)).or_default();
        of_version.push((Cause::DeadlineExceeded, *at, Some(place)));
    }
    for (app, digest, at) in &journal.incidents {
        let of_version = signs.entry((app, *digest)).or_default();
        of_version.push((Cause::Incident, *at, None));
    }
    signs
}

fn never_ready(journal: &Journal, ships: &Ships, window: Window) -> u64 {
    let shipped: BTreeSet<(&App, Digest)> = ships
        .versions
        .iter()
        .map(|version| (&version.app, version.digest))
        .collect();
    let failed: BTreeSet<(&App, Digest)> = journal
        .rollouts_failed
        .iter()
        .filter(|(_, _, at)| window.has(*at))
        .map(|(place, digest, _)| (&place.app, *digest))
        .collect();
    u64::try_from(failed.difference(&shipped).count()).unwrap_or(u64::MAX)
}

/// How soon things were well again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// After how many seconds half have recovered; `None` while that is not known.
    pub median_seconds: Option<u64>,
    /// The same for nine in ten.
    pub p90_seconds: Option<u64>,
    /// Have recovered.
    pub recovered: u64,
    /// Have not yet.
    pub open: u64,
    /// Known by a rollback only, which does not say when the failure was noticed: not counted.
    pub undetected: u64,
}

/// Failed deployment recovery time, over the versions that were first ready in a window.
pub fn recovery(journal: &Journal, ships: &Ships, frame: &Frame<'_>, window: Window) -> Kpi<Recovery> {
    Kpi::measure(KpiId::Recovery, frame, |_| {
        let asked: Vec<&Version> = ships
            .versions
            .iter()
            .filter(|version| window.has(version.at))
            .collect();
        let failures = failures(journal, ships, &asked);
        let failed: BTreeSet<(&App, Digest)> = failures
            .iter()
            .map(|failure| (&failure.version.app, failure.version.digest))
            .collect();
        let times: Vec<Observation> = failures
            .iter()
            .filter_map(|failure| time_to_recover(journal, failure, &failed))
            .collect();
        if times.is_empty() {
            return Err(no_data(
                "no failure was noticed in this time: rollbacks alone do not say when",
            ));
        }
        let over: Vec<_> = times.iter().filter(|time| time.is_over).collect();
        let (recovered, all) = (numbers::count(&over), numbers::count(&times));
        let curve = Curve::of(times.iter().copied());
        Ok(Measured {
            value: Recovery {
                median_seconds: curve.ended_by(0.5),
                p90_seconds: curve.ended_by(0.9),
                recovered,
                open: all - recovered,
                undetected: numbers::count(&failures) - all,
            },
            numerator: recovered,
            denominator: all,
        })
    })
}

/// To the next rollout of a digest that did not fail, in the same place where that is known.
fn time_to_recover(
    journal: &Journal,
    failure: &Failure<'_>,
    failed: &BTreeSet<(&App, Digest)>,
) -> Option<Observation> {
    let (detected, place) = failure.detected.as_ref()?;
    let app = &failure.version.app;
    let healthy = journal
        .production()
        .filter(|(other, _)| other.app == *app && place.as_ref().is_none_or(|place| place == *other))
        .flat_map(|(_, history)| &history.starts)
        .filter(|start| start.held && start.at >= *detected && !failed.contains(&(app, start.digest)))
        .map(|start| start.at)
        .min();
    Some(Observation {
        seconds: seconds(healthy.unwrap_or(journal.now) - *detected)?,
        is_over: healthy.is_some(),
    })
}

#[cfg(test)]
mod tests;
