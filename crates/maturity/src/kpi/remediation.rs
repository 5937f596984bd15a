//! 3.4 How long a vulnerability stays.
//!
//! By severity and by the cohort that was frozen when the incident began: putting applications into another cohort afterwards
//! would flatter the road. What is open counts as longer than this ([`survival`](super::survival)).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::event::{App, VulnerabilityGroup};
use super::exposure::Exposure;
use super::numbers::{self, seconds};
use super::survival::{Curve, Observation};
use super::{Cohort, Frame, Kpi, KpiId, Measured, Severity, Source, Spread, no_data, spread};

/// After which times the share of what is closed is told, in seconds: 30 minutes, 24 and 72 hours, 7, 10 and 30 days.
pub const SHARES_AFTER_SECONDS: [u64; 6] = [1_800, 86_400, 259_200, 604_800, 864_000, 2_592_000];

/// What an application was when the incident began. It stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Where it stood on the road.
    pub cohort: Cohort,
    /// In which ring its updates come.
    #[serde(default)]
    pub ring: Option<String>,
    /// How much depends on it: 1 is most.
    #[serde(default)]
    pub tier: Option<u8>,
    /// What it is written in.
    #[serde(default)]
    pub language: Option<String>,
}

/// By vulnerability and application. What is not in here is in the cohort *unknown*.
pub type Cohorts = BTreeMap<(VulnerabilityGroup, App), Frozen>;

/// How long each severity may stay. What is not in here has no limit.
pub type Policy = BTreeMap<Severity, Duration>;

/// Estimated from closed and open exposures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// How many are closed.
    pub closed: u64,
    /// How many are open.
    pub open: u64,
    /// After how many seconds half are closed; `None` while that is not known.
    pub median_seconds: Option<u64>,
    /// The same for nine in ten.
    pub p90_seconds: Option<u64>,
}

/// The share that is closed after a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShareAfter {
    /// After how many seconds.
    pub seconds: u64,
    /// The share; `None` where no exposure has been watched for so long.
    pub share: Option<f64>,
}

/// Closed within what policy allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sla {
    /// Closed in time.
    pub within: u64,
    /// Closed late, or open and late.
    pub late: u64,
    /// Open and not late yet: they count for neither.
    pub pending: u64,
    /// In time divided by both.
    pub share: Option<f64>,
}

/// The parts of the way, each over the exposures for which both of its ends are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// D2 − D0, of those that were there when the advisory came.
    pub detect: Option<Spread>,
    /// D3 − D2.
    pub tell: Option<Spread>,
    /// D4 − the later of D1 and D2.
    pub patch: Option<Spread>,
    /// D6 − D4.
    pub roll: Option<Spread>,
}

/// What is known of some exposures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// From the start to D6.
    pub total: Estimate,
    /// From the later of the start and D1 to D6; those without a fix have not begun.
    pub fair: Estimate,
    /// Those without a fix for their line.
    pub without_fix: u64,
    /// Closed, and confirmed by looking again.
    pub confirmed: u64,
    /// Shares that are closed after [`SHARES_AFTER_SECONDS`].
    pub shares: Vec<ShareAfter>,
    /// Within policy.
    pub sla: Sla,
    /// The parts of the way.
    pub steps: Steps,
}

/// Figures of exposures with something in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group<K> {
    /// How bad they are.
    pub severity: Severity,
    /// What they have in common beside.
    pub by: K,
    /// Their figures.
    pub figures: Figures,
}

/// Time to remediate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remediation {
    /// By severity and frozen cohort.
    pub by_cohort: Vec<Group<Cohort>>,
    /// By severity and tier, since paved applications are often the simpler ones.
    pub by_tier: Vec<Group<Option<u8>>>,
    /// By severity and language, for the same reason.
    pub by_language: Vec<Group<Option<String>>>,
    /// By severity and ring.
    pub by_ring: Vec<Group<Option<String>>>,
}

/// Over exposures of [`exposures`](super::exposure::exposures); the caller chooses which.
pub fn time_to_remediate(
    exposures: &[Exposure],
    frame: &Frame<'_>,
    cohorts: &Cohorts,
    policy: &Policy,
) -> Kpi<Remediation> {
    Kpi::measure(KpiId::TimeToRemediate, frame, |caveats| {
        if exposures.is_empty() {
            return Err(no_data("nothing was affected in this time"));
        }
        caveats.push(
            "paved applications are often the simpler ones: compare by tier and language too".to_owned(),
        );
        if frame.source == Source::RegistryProxy {
            caveats.push("an exposure ends when another version is published, not when it runs".to_owned());
        }
        let frozen = |one: &Exposure| cohorts.get(&(one.group.clone(), one.place.app.clone()));
        let figures = Asked {
            exposures,
            policy,
            now: frame.now,
        };
        let value = Remediation {
            by_cohort: figures.by(|one| frozen(one).map_or(Cohort::Unknown, |frozen| frozen.cohort)),
            by_tier: figures.by(|one| frozen(one).and_then(|frozen| frozen.tier)),
            by_language: figures.by(|one| frozen(one).and_then(|frozen| frozen.language.clone())),
            by_ring: figures.by(|one| frozen(one).and_then(|frozen| frozen.ring.clone())),
        };
        let closed: Vec<_> = exposures.iter().filter(|one| one.is_over()).collect();
        Ok(Measured {
            value,
            numerator: numbers::count(&closed),
            denominator: numbers::count(exposures),
        })
    })
}

struct Asked<'e> {
    exposures: &'e [Exposure],
    policy: &'e Policy,
    now: OffsetDateTime,
}

impl Asked<'_> {
    fn by<K: Ord>(&self, key: impl Fn(&Exposure) -> K) -> Vec<Group<K>> {
        let mut groups: BTreeMap<(std::cmp::Reverse<Severity>, K), Vec<&Exposure>> = BTreeMap::new();
        for one in self.exposures {
            let group = groups
                .entry((std::cmp::Reverse(one.severity), key(one)))
                .or_default();
            group.push(one);
        }
        let groups = groups.into_iter().map(|((severity, by), exposures)| Group {
            severity: severity.0,
            by,
            figures: figures(&exposures, self.policy, self.now),
        });
        groups.collect()
    }
}

/// How long an exposure has lasted since a moment.
pub(crate) fn lasted(one: &Exposure, since: OffsetDateTime, now: OffsetDateTime) -> Observation {
    let until = one.clocks.gone.unwrap_or(now);
    Observation {
        seconds: seconds(until - since).unwrap_or(0),
        is_over: one.is_over(),
    }
}

fn figures(exposures: &[&Exposure], policy: &Policy, now: OffsetDateTime) -> Figures {
    let total = exposures.iter().map(|one| lasted(one, one.start, now));
    let total: Vec<Observation> = total.collect();
    let curve = Curve::of(total.iter().copied());
    let fixable = exposures.iter().filter_map(|one| Some((one, one.clocks.fix?)));
    let fair: Vec<Observation> = fixable
        .map(|(one, fix)| lasted(one, one.start.max(fix), now))
        .collect();
    let confirmed: Vec<_> = exposures
        .iter()
        .filter(|one| one.clocks.confirmed.is_some())
        .collect();
    Figures {
        without_fix: numbers::count(exposures) - numbers::count(&fair),
        total: estimate(&total, &curve),
        fair: estimate(&fair, &Curve::of(fair.iter().copied())),
        confirmed: numbers::count(&confirmed),
        shares: SHARES_AFTER_SECONDS
            .into_iter()
            .map(|seconds| ShareAfter {
                seconds,
                share: curve.share_ended(seconds),
            })
            .collect(),
        sla: sla(exposures, policy, now),
        steps: steps(exposures),
    }
}

fn estimate(observations: &[Observation], curve: &Curve) -> Estimate {
    let over: Vec<_> = observations.iter().filter(|one| one.is_over).collect();
    let closed = numbers::count(&over);
    Estimate {
        closed,
        open: numbers::count(observations) - closed,
        median_seconds: curve.ended_by(0.5),
        p90_seconds: curve.ended_by(0.9),
    }
}

fn sla(exposures: &[&Exposure], policy: &Policy, now: OffsetDateTime) -> Sla {
    let mut sla = Sla::default();
    for one in exposures {
        let Some(limit) = policy.get(&one.severity).and_then(|limit| seconds(*limit)) else {
            continue;
        };
        let lasted = lasted(one, one.start, now);
        match (lasted.seconds <= limit, lasted.is_over) {
            (true, true) => sla.within += 1,
            (true, false) => sla.pending += 1,
            (false, _) => sla.late += 1,
        }
    }
    sla.share = numbers::share(sla.within, sla.within + sla.late);
    sla
}

/// What was done before it was due took no time.
fn steps(exposures: &[&Exposure]) -> Steps {
    let times = |step: &dyn Fn(&Exposure) -> Option<Duration>| {
        let durations = exposures.iter().filter_map(|one| step(one));
        spread(durations.map(|duration| seconds(duration).unwrap_or(0)))
    };
    Steps {
        detect: times(&|one| {
            let clocks = one.clocks;
            (one.start == clocks.advisory).then(|| clocks.matched - clocks.advisory)
        }),
        tell: times(&|one| Some(one.clocks.notified? - one.clocks.matched)),
        patch: times(&|one| {
            let clocks = one.clocks;
            Some(clocks.pushed? - clocks.fix?.max(clocks.matched))
        }),
        roll: times(&|one| Some(one.clocks.gone? - one.clocks.pushed?)),
    }
}

#[cfg(test)]
mod tests;
