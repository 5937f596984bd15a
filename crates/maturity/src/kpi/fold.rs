//! 3.1 How many times as many versions as at the baseline.

mod bootstrap;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use super::event::App;
use super::journal::Journal;
use super::ships::{Kind, Ships};
use super::week::IsoWeek;
use super::{Frame, Kpi, KpiId, Measured, Source, Withheld, no_data, numbers};

pub use bootstrap::{INTERVAL_PERCENT, Interval, MIN_APPS_FOR_INTERVAL, RESAMPLES, SEED, interval};

/// Full weeks of each window.
pub const WEEKS: u32 = 12;

/// Fewer versions in a window than this are too few.
pub const MIN_VERSIONS: u64 = 8;

/// Longest reason of a baseline, in bytes.
pub const MAX_REASON_BYTES: usize = 2_000;

/// Feature versions of one application in each week of a window; of weeks without any there is a zero.
pub type Counts = Vec<u64>;

/// What later weeks are compared to. Its counts are kept, so that it stays what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// When it was frozen.
    #[serde(with = "time::serde::rfc3339")]
    pub frozen_at: OffsetDateTime,
    /// Why these weeks.
    pub reason: String,
    /// From where its counts come. It can only be compared to counts from there.
    pub source: Source,
    /// Its weeks, the earliest first.
    pub weeks: Vec<IsoWeek>,
    /// Every application that was alive in them, also those without a version.
    pub apps: BTreeMap<App, Counts>,
}

/// Why a baseline cannot be frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BaselineError {
    /// No reason, or a very long one.
    #[error("a baseline needs a reason of at most {MAX_REASON_BYTES} bytes: say why these weeks")]
    Reason,
    /// Weeks that are not over yet.
    #[error("the weeks of the baseline are not over yet: choose an earlier date")]
    NotOver,
}

impl Baseline {
    /// Freezes the 12 full weeks before `end`.
    pub fn freeze(
        journal: &Journal,
        ships: &Ships,
        end: OffsetDateTime,
        reason: &str,
    ) -> Result<Self, BaselineError> {
        if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
            return Err(BaselineError::Reason);
        }
        if end > journal.now {
            return Err(BaselineError::NotOver);
        }
        let weeks = IsoWeek::full_before(end, WEEKS);
        Ok(Self {
            frozen_at: journal.now,
            reason: reason.to_owned(),
            source: journal.source,
            apps: counts(journal, ships, &weeks),
            weeks,
        })
    }
}

/// Feature versions by application and week, for every application that was alive in these weeks.
fn counts(journal: &Journal, ships: &Ships, weeks: &[IsoWeek]) -> BTreeMap<App, Counts> {
    let (Some(first), Some(last)) = (weeks.first(), weeks.last()) else {
        return BTreeMap::new();
    };
    let end = last.start() + time::Duration::WEEK;
    let zeros = vec![0; weeks.len()];
    let alive = journal.alive(first.start(), end);
    let mut counts: BTreeMap<App, Counts> = alive.into_iter().map(|app| (app, zeros.clone())).collect();
    let features = ships
        .versions
        .iter()
        .filter(|version| version.kind == Kind::Feature);
    for version in features {
        let week = IsoWeek::of(version.at);
        let place = weeks.iter().position(|one| *one == week);
        if let Some(count) = place.and_then(|place| counts.get_mut(&version.app)?.get_mut(place)) {
            *count += 1;
        }
    }
    counts
}

/// The comparison. Never infinite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Fold {
    /// So many times.
    Times {
        /// How many.
        fold: f64,
    },
    /// There was nothing to compare to.
    FromNone,
    /// Fewer than [`MIN_VERSIONS`] in one of the windows.
    TooFew,
}

/// For one application: the median week now divided by the median week then.
pub fn fold_of_app(
    journal: &Journal,
    ships: &Ships,
    frame: &Frame<'_>,
    baseline: &Baseline,
    app: &App,
) -> Kpi<Fold> {
    Kpi::measure(KpiId::Fold, frame, |caveats| {
        comparable(frame, baseline, caveats)?;
        let now = counts(journal, ships, &IsoWeek::full_before(frame.now, WEEKS));
        let (Some(now), Some(then)) = (now.get(app), baseline.apps.get(app)) else {
            return Err(no_data(
                "the application was not alive in both windows: compare it to a later baseline",
            ));
        };
        let (now_sum, then_sum) = (now.iter().sum(), then.iter().sum());
        let (now_median, then_median) = (numbers::median_count(now), numbers::median_count(then));
        Ok(Measured {
            value: fold(now_sum, then_sum, now_median.zip(then_median)),
            numerator: now_sum,
            denominator: then_sum,
        })
    })
}

/// For all applications that were alive in both windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FleetFold {
    /// The sum now divided by the sum then.
    pub fold: Fold,
    /// Where it may really lie; `None` with fewer than [`MIN_APPS_FOR_INTERVAL`] applications.
    pub interval: Option<Interval>,
    /// How many applications were alive in both windows.
    pub apps: u64,
    /// How many are new since.
    pub new_apps: u64,
    /// How many are no more.
    pub gone_apps: u64,
}

/// For all applications: sums over those that were alive in both windows, with an interval.
pub fn fold_of_all(
    journal: &Journal,
    ships: &Ships,
    frame: &Frame<'_>,
    baseline: &Baseline,
) -> Kpi<FleetFold> {
    Kpi::measure(KpiId::Fold, frame, |caveats| {
        comparable(frame, baseline, caveats)?;
        let now = counts(journal, ships, &IsoWeek::full_before(frame.now, WEEKS));
        let names_now: BTreeSet<&App> = now.keys().collect();
        let names_then: BTreeSet<&App> = baseline.apps.keys().collect();
        let both: Vec<(u64, u64)> = names_now
            .intersection(&names_then)
            .filter_map(|app| Some((baseline.apps.get(*app)?.iter().sum(), now.get(*app)?.iter().sum())))
            .collect();
        if both.is_empty() {
            return Err(no_data(
                "no application was alive in both windows: freeze a later baseline",
            ));
        }
        let then_sum: u64 = both.iter().map(|(then, _)| then).sum();
        let now_sum: u64 = both.iter().map(|(_, now)| now).sum();
        let fold = fold(
            now_sum,
            then_sum,
            Some((numbers::exact(now_sum), numbers::exact(then_sum))),
        );
        let has_number = matches!(fold, Fold::Times { .. });
        let interval = if has_number { interval(&both) } else { None };
        if has_number && interval.is_none() {
            caveats.push(format!(
                "fewer than {MIN_APPS_FOR_INTERVAL} applications: no interval can be given"
            ));
        }
        let apps = numbers::count(&both);
        Ok(Measured {
            value: FleetFold {
                fold,
                interval,
                apps,
                new_apps: set_count(&names_now).saturating_sub(apps),
                gone_apps: set_count(&names_then).saturating_sub(apps),
            },
            numerator: now_sum,
            denominator: then_sum,
        })
    })
}

fn set_count(set: &BTreeSet<&App>) -> u64 {
    u64::try_from(set.len()).unwrap_or(u64::MAX)
}

fn fold(now_sum: u64, then_sum: u64, now_and_then: Option<(f64, f64)>) -> Fold {
    match now_and_then {
        _ if now_sum < MIN_VERSIONS => Fold::TooFew,
        _ if then_sum == 0 => Fold::FromNone,
        _ if then_sum < MIN_VERSIONS => Fold::TooFew,
        Some((now, then)) if then > 0.0 => Fold::Times { fold: now / then },
        // The middle week of the baseline was empty.
        _ => Fold::FromNone,
    }
}

/// Counts of the registry and counts of clusters are not the same thing, and neither are windows that overlap.
fn comparable(frame: &Frame<'_>, baseline: &Baseline, caveats: &mut Vec<String>) -> Result<(), Withheld> {
    if frame.source != baseline.source {
        return Err(no_data(&format!(
            "the baseline is {}, these counts are {}: freeze a baseline from the same source",
            baseline.source.label(),
            frame.source.label()
        )));
    }
    caveats.push(format!(
        "baseline frozen on {}: {}",
        frozen_on(baseline),
        baseline.reason
    ));
    let first = IsoWeek::of(frame.now).before(WEEKS);
    if baseline.weeks.last().is_some_and(|last| *last >= first) {
        caveats.push("the baseline and the last 12 weeks overlap".to_owned());
    }
    Ok(())
}

fn frozen_on(baseline: &Baseline) -> time::Date {
    baseline.frozen_at.to_offset(time::UtcOffset::UTC).date()
}

#[cfg(test)]
mod tests;
