//! The figures of `maturity::kpi`, from what the store knows.
//!
//! No cluster is connected: what is published stands for what runs ([`Source::RegistryProxy`]), and every figure says so. What is
//! published is what tags of releases name.
//!
//! - `kpis/published.rs`: tags of releases, what is below them, and which revision they are of.
//! - `kpis/exposed.rs`: what incidents say of images. `kpis/standing.rs`: where what is published stands on the road, and how much of it
//!   is known.
//! - `kpis/report.rs`: all figures at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use maturity::kpi::{
    Coverage, Environment, Frame, Source,
    adoption::Application,
    event::App,
    exposure::{Exposure, exposures},
    fold::{Baseline, BaselineError},
    freshness::Running,
    journal::Journal,
    remediation::Cohorts,
    ships::Ships,
};
use road::names::ApplicationName;
use store::{RecordKind, Store};
use time::{Duration, OffsetDateTime};

use super::collect::{Ground, Places, Stacks};

mod exposed;
mod published;
mod report;
mod standing;
#[cfg(test)]
mod tests;

pub(crate) use report::{AllFigures, AppFigures};

/// How far back is read: longer than the longest window and the baseline before it.
const READ_BACK: Duration = Duration::days(400);

/// What all figures are made of, as of a moment.
pub(crate) struct Figures {
    now: OffsetDateTime,
    journal: Journal,
    ships: Ships,
    exposures: Vec<Exposure>,
    cohorts: Cohorts,
    coverage: Coverage,
    applications: Vec<Application>,
    running: Vec<Running>,
    production: BTreeSet<Environment>,
}

impl Figures {
    /// Reads all of it. It takes seconds, and is done behind requests.
    pub(crate) async fn read(store: Store, stacks: Arc<dyn Stacks>) -> Result<Self> {
        let now = store.now().to_utc();
        let ground = Ground::of(store, stacks);
        let places = Arc::new(Places::read(ground.store()).await?);
        Self::of(&ground, &places, now).await
    }

    /// The same with what is known of applications.
    pub(super) async fn of(ground: &Ground, places: &Places, now: OffsetDateTime) -> Result<Self> {
        let since = now.checked_sub(READ_BACK).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let mut events = published::events(ground, places, since, now).await?;
        let exposed = exposed::read(ground.store(), places, now).await?;
        events.extend(exposed.events);
        let standing = standing::read(ground, places, now).await?;
        let cohorts = exposed.cohorts;
        // It computes; a thread that serves connections must not.
        let made = tokio::task::spawn_blocking(move || {
            let production = BTreeSet::new();
            let frame = Frame {
                now,
                source: Source::RegistryProxy,
                coverage: standing.coverage,
                production: &production,
            };
            let journal = Journal::of(events, &frame);
            let ships = Ships::of(&journal);
            Self {
                now,
                exposures: exposures(&journal),
                journal,
                ships,
                cohorts,
                coverage: standing.coverage,
                applications: standing.applications,
                running: standing.running,
                production,
            }
        });
        made.await.context("the figures were lost")
    }

    /// Freezes the twelve full weeks before `end`, to be compared with later.
    ///
    /// # Errors
    /// A reason that is none, or weeks that are not over.
    pub(crate) fn freeze(&self, end: OffsetDateTime, reason: &str) -> Result<Baseline, BaselineError> {
        Baseline::freeze(&self.journal, &self.ships, end, reason)
    }

    fn frame(&self) -> Frame<'_> {
        Frame {
            now: self.now,
            source: Source::RegistryProxy,
            coverage: self.coverage,
            production: &self.production,
        }
    }
}

/// The baseline that was frozen last, where there is one that can be read.
pub(crate) async fn baseline(store: &Store) -> Result<Option<Baseline>> {
    let mut records = store.maturity_records(RecordKind::Baseline).await?;
    records.sort_by_key(|record| record.set_at);
    let read = |record: &store::MaturityRecord| serde_json::from_str(&record.body).ok();
    Ok(records.iter().rev().find_map(read))
}

/// An application as figures call it. `None`: it has a name that none can have.
pub(crate) fn named(app: &ApplicationName) -> Option<App> {
    app.as_str().parse().ok()
}
