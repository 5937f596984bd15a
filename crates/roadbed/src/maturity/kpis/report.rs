//! All figures at once. Pure: they are made of what was read.

use maturity::kpi::{
    Kpi, Window,
    adoption::{Adoption, STALE_AFTER, adoption},
    event::App,
    failure::{FailureRate, IncidentRecords, Recovery, change_failure_rate, recovery},
    fold::{Baseline, FleetFold, Fold, fold_of_all, fold_of_app},
    freshness::{Freshness, freshness},
    lead_time::{CommitsOf, LeadTime, lead_time},
    remediation::{Policy, Remediation, time_to_remediate},
    velocity::{Velocity, velocity},
    window::{Recurrence, recurrence},
};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::Figures;

/// Weeks of velocity that are told.
const WEEKS: u32 = 12;

/// The time over which lead time, failures and adoption are counted.
const PERIOD: Duration = Duration::days(90);

/// The figures of the organisation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AllFigures {
    /// As of when.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    pub(crate) velocity: Kpi<Velocity>,
    /// `None`: no baseline is frozen.
    pub(crate) fold: Option<Kpi<FleetFold>>,
    pub(crate) lead_time: Kpi<LeadTime>,
    pub(crate) change_failure_rate: Kpi<FailureRate>,
    pub(crate) recovery: Kpi<Recovery>,
    pub(crate) time_to_remediate: Kpi<Remediation>,
    pub(crate) recurrence: Kpi<Recurrence>,
    pub(crate) adoption: Kpi<Adoption>,
    pub(crate) freshness: Kpi<Freshness>,
}

/// The figures of one application.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AppFigures {
    /// As of when.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    pub(crate) velocity: Kpi<Velocity>,
    /// `None`: no baseline is frozen.
    pub(crate) fold: Option<Kpi<Fold>>,
}

impl Figures {
    /// Those of the organisation. They are computed for a while.
    pub(crate) fn all(&self, baseline: Option<&Baseline>) -> AllFigures {
        let frame = self.frame();
        let window = Window {
            from: self.now.checked_sub(PERIOD).unwrap_or(OffsetDateTime::UNIX_EPOCH),
            until: self.now,
        };
        let (journal, ships) = (&self.journal, &self.ships);
        AllFigures {
            at: self.now,
            velocity: velocity(ships, &frame, None, WEEKS),
            fold: baseline.map(|baseline| fold_of_all(journal, ships, &frame, baseline)),
            // No commits are known here: whoever has them pushes them as evidence.
            lead_time: lead_time(journal, ships, &frame, &CommitsOf::new(), window),
            change_failure_rate: change_failure_rate(
                journal,
                ships,
                &frame,
                window,
                IncidentRecords::Missing,
            ),
            recovery: recovery(journal, ships, &frame, window),
            time_to_remediate: time_to_remediate(&self.exposures, &frame, &self.cohorts, &Policy::new()),
            recurrence: recurrence(journal, &frame),
            adoption: adoption(&self.applications, &[], &frame, STALE_AFTER),
            freshness: freshness(&self.running, &frame),
        }
    }

    /// Those of one application.
    pub(crate) fn of_app(&self, app: &App, baseline: Option<&Baseline>) -> AppFigures {
        let frame = self.frame();
        let (journal, ships) = (&self.journal, &self.ships);
        AppFigures {
            at: self.now,
            velocity: velocity(ships, &frame, Some(app), WEEKS),
            fold: baseline.map(|baseline| fold_of_app(journal, ships, &frame, baseline, app)),
        }
    }

    /// For how many full weeks it is known what an application published: since its first version. `None`: it is not known.
    pub(crate) fn weeks(&self, app: &App) -> Option<i64> {
        let frame = self.frame();
        frame.coverage.withheld().is_none().then_some(())?;
        let versions = self.ships.versions.iter().filter(|version| version.app == *app);
        let first = versions.map(|version| version.at).min()?;
        Some((self.now - first).whole_weeks())
    }
}
