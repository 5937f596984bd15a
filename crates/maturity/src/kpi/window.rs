//! 3.5 How much was exposed, and what came back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::event::{App, Facing, Place, VulnerabilityGroup};
use super::exposure::{Span, advisory, affected, merged};
use super::journal::{Journal, PlaceHistory, Stay};
use super::numbers::{self, exact, seconds};
use super::{Frame, Kpi, KpiId, Measured, Source, Window, no_data};

const SECONDS_PER_HOUR: u64 = 3_600;

/// Replicas times how long, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaSeconds {
    /// With nothing done about it.
    pub open: u64,
    /// Under a live mitigation.
    pub mitigated: u64,
}

impl ReplicaSeconds {
    /// Both in hours: open, mitigated.
    pub fn hours(&self) -> (f64, f64) {
        let hours = |seconds: u64| {
            let rest = exact(seconds % SECONDS_PER_HOUR) / exact(SECONDS_PER_HOUR);
            exact(seconds / SECONDS_PER_HOUR) + rest
        };
        (hours(self.open), hours(self.mitigated))
    }

    fn add(&mut self, other: Self) {
        self.open = self.open.saturating_add(other.open);
        self.mitigated = self.mitigated.saturating_add(other.mitigated);
    }
}

/// How much was exposed. A replica with two vulnerabilities counts for each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposed {
    /// By who could reach it.
    pub by_facing: BTreeMap<Facing, ReplicaSeconds>,
    /// By vulnerability.
    pub by_group: BTreeMap<VulnerabilityGroup, ReplicaSeconds>,
    /// All together.
    pub total: ReplicaSeconds,
}

/// `Σ ∫ ready affected replicas dt` over a window.
pub fn exposure_window(journal: &Journal, frame: &Frame<'_>, window: Window) -> Kpi<Exposed> {
    Kpi::measure(KpiId::ExposureWindow, frame, |caveats| {
        if frame.source == Source::RegistryProxy {
            return Err(no_data(
                "how many replicas are ready is only known in clusters: connect one",
            ));
        }
        caveats.push("a replica with several vulnerabilities counts for each".to_owned());
        let mut exposed = Exposed::default();
        for (place, history) in &journal.places {
            for group in journal.groups_in(history) {
                add_group(&mut exposed, journal, (place, history), group, window);
            }
        }
        let hours = |seconds: u64| seconds / SECONDS_PER_HOUR;
        let total = exposed.total;
        Ok(Measured {
            numerator: hours(total.open),
            denominator: hours(total.open.saturating_add(total.mitigated)),
            value: exposed,
        })
    })
}

fn add_group(
    exposed: &mut Exposed,
    journal: &Journal,
    (place, history): (&Place, &PlaceHistory),
    group: &VulnerabilityGroup,
    window: Window,
) {
    let (Some(advisory), Some(matches)) = (advisory(journal, group), journal.matches.get(group)) else {
        return;
    };
    let clip = (window.from.max(advisory), window.until.min(journal.now));
    let key = (place.app.clone(), group.clone());
    let mitigated = live(journal.mitigated.get(&key).map_or(&[], Vec::as_slice));
    let stays = history.stays.iter();
    for stay in stays.filter(|stay| matches.contains_key(&stay.digest)) {
        add(exposed, group, stay, clip, &mitigated);
    }
}

/// Times of mitigation without overlaps.
fn live(spans: &[(OffsetDateTime, OffsetDateTime)]) -> Vec<(OffsetDateTime, OffsetDateTime)> {
    let mut sorted: Vec<_> = spans
        .iter()
        .copied()
        .filter(|(from, until)| from < until)
        .collect();
    sorted.sort_unstable();
    let mut merged: Vec<(OffsetDateTime, OffsetDateTime)> = Vec::new();
    for (from, until) in sorted {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = until.max(*end),
            _ => merged.push((from, until)),
        }
    }
    merged
}

/// What two spans have in common, in seconds.
fn common(a: (OffsetDateTime, OffsetDateTime), b: (OffsetDateTime, OffsetDateTime)) -> u64 {
    seconds(a.1.min(b.1) - a.0.max(b.0)).unwrap_or(0)
}

fn add(
    exposed: &mut Exposed,
    group: &VulnerabilityGroup,
    stay: &Stay,
    clip: (OffsetDateTime, OffsetDateTime),
    mitigated: &[(OffsetDateTime, OffsetDateTime)],
) {
    let end = stay.until.unwrap_or(clip.1);
    let ends = stay.levels.iter().skip(1).map(|level| level.at).chain([end]);
    for (level, end) in stay.levels.iter().zip(ends) {
        let span = (level.at.max(clip.0), end.min(clip.1));
        let all = common(span, span);
        let under: u64 = mitigated.iter().map(|live| common(span, *live)).sum();
        let replicas = u64::from(level.replicas);
        let seconds = ReplicaSeconds {
            open: all.saturating_sub(under).saturating_mul(replicas),
            mitigated: under.saturating_mul(replicas),
        };
        if seconds != ReplicaSeconds::default() {
            exposed.by_facing.entry(level.facing).or_default().add(seconds);
            exposed.by_group.entry(group.clone()).or_default().add(seconds);
            exposed.total.add(seconds);
        }
    }
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recurrence {
    /// Opened again divided by closed.
    pub share: f64,
}

/// Exposures that opened again after the whole application had closed them, over those that were closed. Applications count, not
/// places: the last place that closes closes.
pub fn recurrence(journal: &Journal, frame: &Frame<'_>) -> Kpi<Recurrence> {
    Kpi::measure(KpiId::Recurrence, frame, |_| {
        let (mut closed, mut again) = (0, 0);
        for spans in by_app(journal).into_values() {
            let spans = merged(spans);
            let over: Vec<_> = spans.iter().filter(|(_, until)| until.is_some()).collect();
            closed += numbers::count(&over);
            again += numbers::count(&spans).saturating_sub(1);
        }
        let share = numbers::share(again, closed)
            .ok_or_else(|| no_data("no application has closed an exposure yet"))?;
        Ok(Measured {
            value: Recurrence { share },
            numerator: again,
            denominator: closed,
        })
    })
}

fn by_app(journal: &Journal) -> BTreeMap<(&App, &VulnerabilityGroup), Vec<Span>> {
    let mut spans: BTreeMap<(&App, &VulnerabilityGroup), Vec<Span>> = BTreeMap::new();
    for (place, history) in &journal.places {
        for group in journal.groups_in(history) {
            let Some(advisory) = advisory(journal, group) else {
                continue;
            };
            let of_app = spans.entry((&place.app, group)).or_default();
            of_app.extend(affected(journal, history, group, advisory));
        }
    }
    spans
}

#[cfg(test)]
mod tests;
