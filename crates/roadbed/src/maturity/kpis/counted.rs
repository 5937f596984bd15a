//! All figures. Pure: they are made of what was read.

use std::collections::BTreeSet;

use maturity::kpi::{
    Coverage, Environment, Frame, Kpi, Source, Window,
    adoption::{Application, STALE_AFTER, adoption},
    event::App,
    exposure::{Exposure, exposures},
    failure::{IncidentRecords, change_failure_rate, recovery},
    fold::{Baseline, BaselineError, FleetFold, Fold, fold_of_all, fold_of_app},
    freshness::{Running, freshness},
    journal::Journal,
    lead_time::{CommitsOf, lead_time},
    remediation::{Cohorts, Policy, time_to_remediate},
    ships::Ships,
    velocity::velocity,
    window::{exposure_window, recurrence},
};
use serde_json::{Value, to_value};
use time::{Duration, OffsetDateTime};

use super::Read;

/// Weeks of velocity that are told.
const WEEKS: u32 = 12;

/// The time over which lead time, failures and exposure are counted.
const PERIOD: Duration = Duration::days(90);

/// What figures are made of, of those applications that somebody sees.
pub(in crate::maturity) struct Counted {
    pub(super) now: OffsetDateTime,
    journal: Journal,
    ships: Ships,
    exposures: Vec<Exposure>,
    cohorts: Cohorts,
    coverage: Coverage,
    applications: Vec<Application>,
    running: Vec<Running>,
    production: BTreeSet<Environment>,
}

impl Counted {
    /// What is nobody's counts for whoever sees everything. It computes for a while.
    pub(in crate::maturity) fn of(read: &Read, now: OffsetDateTime, sees: &dyn Fn(&App) -> bool) -> Self {
        let sees_all = read.applications.iter().all(|of| sees(&of.app));
        let is_seen = |app: &Option<App>| app.as_ref().map_or(sees_all, sees);
        let workloads = read.workloads.iter().filter(|(app, _)| is_seen(app));
        let coverage = Coverage::of(workloads.map(|(_, known)| known.as_slice()));
        let production = BTreeSet::new();
        let frame = frame(now, coverage, &production);
        // An advisory is nobody's, and says nothing of anybody.
        let events = read
            .events
            .iter()
            .filter(|(app, _)| app.as_ref().is_none_or(sees));
        let journal = Journal::of(events.map(|(_, event)| event.clone()), &frame);
        let running = read.running.iter().filter(|(app, _)| is_seen(app));
        let cohorts = read.cohorts.iter().filter(|((_, app), _)| sees(app));
        Self {
            now,
            ships: Ships::of(&journal),
            exposures: exposures(&journal),
            journal,
            cohorts: cohorts
                .map(|(key, frozen)| (key.clone(), frozen.clone()))
                .collect(),
            coverage,
            applications: read
                .applications
                .iter()
                .filter(|of| sees(&of.app))
                .cloned()
                .collect(),
            running: running.map(|(_, running)| running.clone()).collect(),
            production,
        }
    }

    /// Freezes the twelve full weeks before `end`, to be compared with later.
    ///
    /// # Errors
    /// A reason that is none, or weeks that are not over.
    pub(super) fn freeze(&self, end: OffsetDateTime, reason: &str) -> Result<Baseline, BaselineError> {
        Baseline::freeze(&self.journal, &self.ships, end, reason)
    }

    pub(super) fn frame(&self) -> Frame<'_> {
        frame(self.now, self.coverage, &self.production)
    }

    pub(super) fn window(&self) -> Window {
        Window {
            from: self.now.checked_sub(PERIOD).unwrap_or(OffsetDateTime::UNIX_EPOCH),
            until: self.now,
        }
    }

    /// All that need no assessment, in the order in which they are shown.
    ///
    /// # Errors
    /// A figure that is no JSON.
    pub(super) fn figures(&self, baseline: Option<&Baseline>) -> serde_json::Result<Vec<Value>> {
        let (frame, window) = (self.frame(), self.window());
        let (journal, ships) = (&self.journal, &self.ships);
        let mut figures = vec![to_value(velocity(ships, &frame, None, WEEKS))?];
        if let Some(fold) = self.fold(baseline) {
            figures.push(to_value(fold)?);
        }
        let records = IncidentRecords::Missing;
        // No commits are known here: whoever has them pushes what follows from them as evidence.
        let commits = CommitsOf::new();
        figures.extend([
            to_value(lead_time(journal, ships, &frame, &commits, window))?,
            to_value(change_failure_rate(journal, ships, &frame, window, records))?,
            to_value(recovery(journal, ships, &frame, window))?,
            to_value(time_to_remediate(
                &self.exposures,
                &frame,
                &self.cohorts,
                &Policy::new(),
            ))?,
            to_value(exposure_window(journal, &frame, window))?,
            to_value(recurrence(journal, &frame))?,
            to_value(adoption(&self.applications, &[], &frame, STALE_AFTER))?,
            to_value(freshness(&self.running, &frame))?,
        ]);
        Ok(figures)
    }

    /// How many times as many versions as at the baseline.
    pub(in crate::maturity) fn fold(&self, baseline: Option<&Baseline>) -> Option<Kpi<FleetFold>> {
        Some(fold_of_all(&self.journal, &self.ships, &self.frame(), baseline?))
    }

    /// The same of one application.
    pub(in crate::maturity) fn fold_of(&self, app: &App, baseline: Option<&Baseline>) -> Option<Kpi<Fold>> {
        Some(fold_of_app(
            &self.journal,
            &self.ships,
            &self.frame(),
            baseline?,
            app,
        ))
    }

    /// Versions of one application by week.
    #[cfg(test)]
    pub(super) fn velocity_of(&self, app: &App) -> Kpi<maturity::kpi::velocity::Velocity> {
        velocity(&self.ships, &self.frame(), Some(app), WEEKS)
    }

    /// For how many full weeks it is known what an application published: since its first version. `None`: it is not known.
    pub(in crate::maturity) fn weeks(&self, app: &App) -> Option<i64> {
        self.coverage.withheld().is_none().then_some(())?;
        let versions = self.ships.versions.iter().filter(|version| version.app == *app);
        let first = versions.map(|version| version.at).min()?;
        Some((self.now - first).whole_weeks())
    }
}

fn frame(now: OffsetDateTime, coverage: Coverage, production: &BTreeSet<Environment>) -> Frame<'_> {
    Frame {
        now,
        source: Source::RegistryProxy,
        coverage,
        production,
    }
}
