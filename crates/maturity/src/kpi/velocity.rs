//! 3.1 Versions shipped to customers, by ISO week.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::App;
use super::ships::{Kind, Ships};
use super::week::IsoWeek;
use super::{Frame, Kpi, KpiId, Measured, no_data, numbers};

/// Most weeks that are told at once: two years.
pub const MAX_WEEKS: u32 = 104;

/// One week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Week {
    /// Which.
    pub week: IsoWeek,
    /// Feature versions: the figure.
    pub features: u64,
    /// Of those, built again from a revision that was shipped before.
    pub same_revision: u64,
    /// Rebases and rebuilds, apart.
    pub maintenance: u64,
    /// New digests of which nothing is known, apart.
    pub unclassified: u64,
    /// Back to an earlier digest, apart.
    pub rollbacks: u64,
    /// The same digest rolled out again, apart.
    pub configurations: u64,
}

impl Week {
    const fn empty(week: IsoWeek) -> Self {
        Self {
            week,
            features: 0,
            same_revision: 0,
            maintenance: 0,
            unclassified: 0,
            rollbacks: 0,
            configurations: 0,
        }
    }
}

/// All weeks that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Velocity {
    /// Full weeks only, the earliest first.
    pub weeks: Vec<Week>,
}

/// Versions of the last `weeks` full weeks (at most [`MAX_WEEKS`]), of one application or of all.
pub fn velocity(ships: &Ships, frame: &Frame<'_>, app: Option<&App>, weeks: u32) -> Kpi<Velocity> {
    Kpi::measure(KpiId::Velocity, frame, |caveats| {
        let weeks = IsoWeek::full_before(frame.now, weeks.min(MAX_WEEKS));
        let weeks = counted(ships, app, &weeks);
        let sum = |of: fn(&Week) -> u64| weeks.iter().map(of).sum::<u64>();
        if weeks.is_empty() {
            return Err(no_data("no week was asked for: ask for at least one"));
        }
        let same_revision = sum(|week| week.same_revision);
        if same_revision > 0 {
            caveats.push(format!(
                "{same_revision} feature versions were built again from a revision that was shipped before"
            ));
        }
        let unclassified = sum(|week| week.unclassified);
        if unclassified > 0 {
            caveats.push(format!(
                "{unclassified} versions have neither a known lineage nor a revision and count as nothing"
            ));
        }
        Ok(Measured {
            numerator: sum(|week| week.features),
            denominator: numbers::count(&weeks),
            value: Velocity { weeks },
        })
    })
}

/// One pass over everything that was shipped.
fn counted(ships: &Ships, app: Option<&App>, weeks: &[IsoWeek]) -> Vec<Week> {
    let mut counted: BTreeMap<IsoWeek, Week> = weeks.iter().map(|week| (*week, Week::empty(*week))).collect();
    let is_asked = |of: &App| app.is_none_or(|app| app == of);
    for version in ships.versions.iter().filter(|version| is_asked(&version.app)) {
        let Some(week) = counted.get_mut(&IsoWeek::of(version.at)) else {
            continue;
        };
        week.same_revision += u64::from(version.same_revision);
        match version.kind {
            Kind::Feature => week.features += 1,
            Kind::Maintenance => week.maintenance += 1,
            Kind::Unclassified => week.unclassified += 1,
        }
    }
    for again in ships.rollbacks.iter().filter(|again| is_asked(&again.app)) {
        if let Some(week) = counted.get_mut(&IsoWeek::of(again.at)) {
            week.rollbacks += 1;
        }
    }
    for again in ships.configurations.iter().filter(|again| is_asked(&again.app)) {
        if let Some(week) = counted.get_mut(&IsoWeek::of(again.at)) {
            week.configurations += 1;
        }
    }
    counted.into_values().collect()
}

#[cfg(test)]
mod tests;
