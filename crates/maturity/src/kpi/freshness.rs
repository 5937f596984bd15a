//! 3.7 How old what runs is, and when its grade falls next.
//!
//! The grades are made like those of Red Hat's Container Health Index: by the age of the oldest critical or important fix that is
//! not applied.

use std::collections::BTreeMap;

use oci::Digest;
use serde::{Deserialize, Serialize};
use time::{Date, Duration, OffsetDateTime, UtcOffset};

use super::{Frame, Kpi, KpiId, Measured, Severity, no_data, numbers};

/// How far behind is told, in days.
pub const BEHIND_DAYS: [u16; 3] = [7, 30, 90];

/// How good it is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grade {
    /// Every critical and important fix is applied.
    A,
    /// None that is missing is older than 7 days if critical, 30 if important.
    B,
    /// 30 and 90 days.
    C,
    /// 90 and 365 days.
    D,
    /// No critical one is older than 365 days.
    E,
    /// A critical one is older than that.
    F,
}

impl Grade {
    /// All of them, best first.
    pub const ALL: [Self; 6] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F];

    /// How old missing fixes may be: critical, important. Without end where there is `None`.
    const fn tolerates(self) -> (Option<Duration>, Option<Duration>) {
        match self {
            Self::A => (Some(Duration::ZERO), Some(Duration::ZERO)),
            Self::B => (Some(Duration::days(7)), Some(Duration::days(30))),
            Self::C => (Some(Duration::days(30)), Some(Duration::days(90))),
            Self::D => (Some(Duration::days(90)), Some(Duration::days(365))),
            Self::E => (Some(Duration::days(365)), None),
            Self::F => (None, None),
        }
    }
}

/// A fix that exists and is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unapplied {
    /// How bad what it fixes is. Only critical and high ones count; elsewhere the latter are called important.
    pub severity: Severity,
    /// When it was released.
    #[serde(with = "time::serde::rfc3339")]
    pub released_at: OffsetDateTime,
}

/// A digest that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Which.
    pub digest: Digest,
    /// Its base line; `None` where that is not known.
    pub line: Option<BaseLine>,
    /// Fixes that it lacks.
    pub unapplied: Vec<Unapplied>,
}

/// What is known of the line of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseLine {
    /// When the first newer release of the same line came out; `None` if it is the newest.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub first_newer_at: Option<OffsetDateTime>,
    /// When support of the line ends.
    #[serde(default)]
    pub end_of_life: Option<Date>,
}

/// The grade of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graded {
    /// How good.
    pub grade: Grade,
    /// When it falls if nothing is done; `None` where it does not.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_drop: Option<OffsetDateTime>,
}

/// How long ago the first newer release of the line came out; nothing if it is the newest. `None` where the line is unknown.
pub fn staleness(running: &Running, now: OffsetDateTime) -> Option<Duration> {
    let line = running.line?;
    let behind = line.first_newer_at.map(|newer| now - newer);
    Some(behind.unwrap_or(Duration::ZERO).max(Duration::ZERO))
}

/// The grade by the fixes that are missing. A fix that comes out later than now does not count yet, but its day is not a drop: it
/// is not known.
pub fn grade(unapplied: &[Unapplied], now: OffsetDateTime) -> Graded {
    let oldest = |severity: Severity| {
        let same = unapplied.iter().filter(|fix| fix.severity == severity);
        same.map(|fix| fix.released_at).filter(|at| *at <= now).min()
    };
    let (critical, important) = (oldest(Severity::Critical), oldest(Severity::High));
    let grade = grade_at(critical, important, now);
    Graded {
        grade,
        next_drop: next_drop(grade, critical, important),
    }
}

fn grade_at(
    critical: Option<OffsetDateTime>,
    important: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Grade {
    let fits = |grade: &Grade| {
        if *grade == Grade::A {
            return critical.is_none() && important.is_none();
        }
        let (for_critical, for_important) = grade.tolerates();
        let within = |fix: Option<OffsetDateTime>, limit: Option<Duration>| match (fix, limit) {
            (Some(fix), Some(limit)) => now - fix <= limit,
            _ => true,
        };
        within(critical, for_critical) && within(important, for_important)
    };
    Grade::ALL.into_iter().find(fits).unwrap_or(Grade::F)
}

/// The first moment at which the oldest fixes are older than the grade tolerates. At the limit itself they are not yet.
fn next_drop(
    grade: Grade,
    critical: Option<OffsetDateTime>,
    important: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    if grade == Grade::A {
        return None;
    }
    let (for_critical, for_important) = grade.tolerates();
    let over =
        |fix: Option<OffsetDateTime>, limit: Option<Duration>| Some(fix? + limit? + Duration::MICROSECOND);
    let drops = over(critical, for_critical)
        .into_iter()
        .chain(over(important, for_important));
    drops.min()
}

/// How fresh the fleet is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Freshness {
    /// Digests whose base line is known.
    pub known: u64,
    /// Digests whose base line is not known: they are in no share.
    pub unknown: u64,
    /// Shares that are at most so many days behind, by [`BEHIND_DAYS`].
    pub behind: BTreeMap<u16, f64>,
    /// Share on a line whose support has ended.
    pub end_of_life: f64,
    /// Days to the next end of support among lines that run; `None` where none is known.
    pub days_to_next_end: Option<i64>,
    /// How many have which grade.
    pub grades: BTreeMap<Grade, u64>,
    /// The next drop of any grade.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_drop: Option<OffsetDateTime>,
}

/// Over the digests that run, each once.
pub fn freshness(running: &[Running], frame: &Frame<'_>) -> Kpi<Freshness> {
    Kpi::measure(KpiId::Freshness, frame, |caveats| {
        let once: BTreeMap<Digest, &Running> = running.iter().map(|one| (one.digest, one)).collect();
        let behind: Vec<Duration> = once
            .values()
            .filter_map(|one| staleness(one, frame.now))
            .collect();
        let known = numbers::count(&behind);
        let unknown = u64::try_from(once.len()).unwrap_or(u64::MAX) - known;
        if unknown > 0 {
            caveats.push(format!("the base line of {unknown} digests is not known"));
        }
        let at_most = |days: u16| {
            let fresh: Vec<_> = behind
                .iter()
                .filter(|one| **one <= Duration::days(i64::from(days)))
                .collect();
            numbers::count(&fresh)
        };
        let shares: Option<BTreeMap<u16, f64>> = BEHIND_DAYS
            .into_iter()
            .map(|days| Some((days, numbers::share(at_most(days), known)?)))
            .collect();
        let today = frame.now.to_offset(UtcOffset::UTC).date();
        let ends: Vec<Date> = once.values().filter_map(|one| one.line?.end_of_life).collect();
        let ended: Vec<_> = ends.iter().filter(|end| **end <= today).collect();
        let end_of_life = numbers::share(numbers::count(&ended), known);
        let (Some(behind), Some(end_of_life)) = (shares, end_of_life) else {
            return Err(no_data("no base line of what runs is known: approve bases"));
        };
        let next_end = ends.iter().filter(|end| **end > today).min();
        let graded: Vec<Graded> = once
            .values()
            .map(|one| grade(&one.unapplied, frame.now))
            .collect();
        let mut by_grade = BTreeMap::new();
        for one in &graded {
            *by_grade.entry(one.grade).or_default() += 1;
        }
        Ok(Measured {
            numerator: at_most(30),
            denominator: known,
            value: Freshness {
                known,
                unknown,
                behind,
                end_of_life,
                days_to_next_end: next_end.map(|end| (*end - today).whole_days()),
                grades: by_grade,
                next_drop: graded.iter().filter_map(|one| one.next_drop).min(),
            },
        })
    })
}

#[cfg(test)]
mod tests;
