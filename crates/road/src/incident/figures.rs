//! What can be said of a group of lines.

use findings::Severity;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::estimate::ratio;
use super::{Estimate, Incident, Line, Sample, State, estimate};
use crate::cohort::Cohort;

/// After which times the share of fixed lines is told.
pub const SHARES_AFTER: [(&str, Duration); 6] = [
    ("30 minutes", Duration::minutes(30)),
    ("24 hours", Duration::hours(24)),
    ("72 hours", Duration::hours(72)),
    ("7 days", Duration::days(7)),
    ("10 days", Duration::days(10)),
    ("30 days", Duration::days(30)),
];

/// How many were fixed so long after they were found to be affected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// After how many seconds.
    pub after_seconds: u64,
    /// Of how many lines: those that were found so long ago.
    pub of: usize,
    /// How many of them were fixed at that time; not those that were gone.
    pub fixed: usize,
    /// The share; none of none.
    pub share: Option<f64>,
}

/// A group of lines by cohort, severity or both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Only this cohort.
    pub cohort: Option<Cohort>,
    /// Only this severity: the worst that a line was ever affected by.
    pub severity: Option<Severity>,
    /// How many lines.
    pub lines: usize,
    /// Those that were found after the opening.
    pub found_later: usize,
    /// Affected, and nothing is done about it.
    pub open: usize,
    /// Open past their time.
    pub overdue: usize,
    /// Mitigated.
    pub mitigated: usize,
    /// Waived.
    pub waived: usize,
    /// Fixed.
    pub fixed: usize,
    /// There no more.
    pub gone: usize,
    /// Those that opened again, at least once.
    pub reopened: usize,
    /// How long they were affected, all together, in hours.
    pub exposure_hours: u64,
    /// Time to remediate. What is mitigated or waived is not remediated, and what is gone left unfixed.
    pub time_to_remediate: Estimate,
    /// How many were fixed after the times of [`SHARES_AFTER`].
    pub shares: Vec<Share>,
}

/// The figures of the lines that are in both.
pub(super) fn figures(
    incident: &Incident,
    cohort: Option<Cohort>,
    severity: Option<Severity>,
    now: OffsetDateTime,
) -> Figures {
    let is_in = |line: &&Line| {
        cohort.is_none_or(|cohort| cohort == line.cohort)
            && severity.is_none_or(|severity| severity == incident.severity_of(line))
    };
    let lines: Vec<&Line> = incident.lines().filter(is_in).collect();
    let states: Vec<State> = lines.iter().map(|line| line.state(now)).collect();
    let count = |is: fn(&State) -> bool| states.iter().filter(|state| is(state)).count();
    let spent: Vec<Duration> = lines.iter().map(|line| line.spent(now)).collect();
    let samples = spent.iter().zip(&states).map(|(spent, state)| Sample {
        seconds: seconds(*spent),
        is_over: *state == State::Fixed,
    });
    Figures {
        cohort,
        severity,
        lines: lines.len(),
        found_later: lines.iter().filter(|line| !line.at_opening).count(),
        open: count(State::is_open),
        overdue: lines.iter().filter(|line| incident.is_overdue(line, now)).count(),
        mitigated: count(|state| matches!(state, State::Mitigated { .. })),
        waived: count(|state| matches!(state, State::Waived { .. })),
        fixed: count(|state| *state == State::Fixed),
        gone: count(|state| *state == State::Gone),
        reopened: lines.iter().filter(|line| line.reopened > 0).count(),
        exposure_hours: spent.iter().map(|spent| seconds(*spent)).sum::<u64>() / 3_600,
        time_to_remediate: estimate(samples.collect()),
        shares: SHARES_AFTER.map(|(_, after)| share(&lines, after, now)).to_vec(),
    }
}

fn share(lines: &[&Line], after: Duration, now: OffsetDateTime) -> Share {
    let moment = |line: &&&Line| line.since.checked_add(after).filter(|moment| *moment <= now);
    let old: Vec<_> = lines
        .iter()
        .filter_map(|line| Some((line, moment(&line)?)))
        .collect();
    let fixed = old
        .iter()
        .filter(|(line, moment)| line.was_fixed_at(*moment))
        .count();
    Share {
        after_seconds: seconds(after),
        of: old.len(),
        fixed,
        share: (!old.is_empty()).then(|| ratio(fixed, old.len())),
    }
}

pub(super) fn seconds(duration: Duration) -> u64 {
    u64::try_from(duration.whole_seconds()).unwrap_or(0)
}
