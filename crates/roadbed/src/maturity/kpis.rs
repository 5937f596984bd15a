//! The figures of `maturity::kpi`, from what the store knows.
//!
//! No cluster is connected: what is published stands for what runs (`Source::RegistryProxy`), and every figure says so. What is
//! published is what tags of releases name.
//!
//! - `kpis/published.rs`: tags of releases, what is below them, and which revision they are of.
//! - `kpis/exposed.rs`: what incidents say of images. `kpis/standing.rs`: where what is published stands on the road, and how much of it
//!   is known. `kpis/moved.rs`: which levels moved.
//! - `kpis/counted.rs`: all figures, of those applications that somebody sees.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use maturity::kpi::{
    Part,
    adoption::Application,
    event::{App, Event},
    fold::{Baseline, BaselineError},
    freshness::Running,
    remediation::Cohorts,
};
use road::names::ApplicationName;
use serde_json::Value;
use store::{RecordKind, Store};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use super::collect::{Ground, Places, Stacks};
use super::figures::{Counting, Figures, FiguresAsked};

pub(super) use counted::Counted;

mod counted;
mod exposed;
mod moved;
mod published;
mod standing;
#[cfg(test)]
mod tests;

/// How far back is read: longer than the longest window and the baseline before it.
const READ_BACK: Duration = Duration::days(400);

/// How long what was read is counted from.
const FRESH: Duration = Duration::minutes(1);

/// Something about an application, or about what is nobody's.
type Of<T> = (Option<App>, T);

/// What figures are counted from, of all applications.
pub(super) struct Read {
    events: Vec<Of<Event>>,
    cohorts: Cohorts,
    workloads: Vec<Of<Vec<Part>>>,
    applications: Vec<Application>,
    running: Vec<Of<Running>>,
}

impl Read {
    /// Reads all of it. It takes seconds.
    pub(super) async fn of(ground: &Ground, places: &Places, now: OffsetDateTime) -> Result<Self> {
        let since = now.checked_sub(READ_BACK).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let mut events = published::events(ground, places, since, now).await?;
        let exposed = exposed::read(ground.store(), places, now).await?;
        events.extend(exposed.events);
        let standing = standing::read(ground, places, now).await?;
        Ok(Self {
            events,
            cohorts: exposed.cohorts,
            workloads: standing.workloads,
            applications: standing.applications,
            running: standing.running,
        })
    }
}

/// What was read, and when.
type Kept = Option<(OffsetDateTime, Arc<Read>)>;

/// Counts the figures of a store.
pub(super) struct Counter {
    ground: Arc<Ground>,
    /// Whoever asks meanwhile waits for the same reading.
    kept: Mutex<Kept>,
}

impl Counter {
    pub(super) fn of(store: Store, stacks: Arc<dyn Stacks>) -> Self {
        Self {
            ground: Ground::of(store, stacks),
            kept: Mutex::default(),
        }
    }

    async fn read(&self, now: OffsetDateTime) -> Result<Arc<Read>> {
        let mut kept = self.kept.lock().await;
        if let Some((at, read)) = kept.as_ref()
            && (now - *at).abs() < FRESH
        {
            return Ok(Arc::clone(read));
        }
        // What was read before takes much memory.
        *kept = None;
        let places = Places::read(self.ground.store()).await?;
        let read = Arc::new(Read::of(&self.ground, &places, now).await?);
        *kept = Some((now, Arc::clone(&read)));
        Ok(read)
    }

    async fn count(&self, asked: FiguresAsked) -> Result<Vec<Value>> {
        let read = self.read(asked.now).await?;
        let counted = tokio::task::spawn_blocking(move || {
            let sees = |app: &App| app.as_str().parse().is_ok_and(|app| (asked.sees)(&app));
            let counted = Counted::of(&read, asked.now, &sees);
            let mut figures = counted.figures(asked.baseline.as_ref())?;
            figures.push(counted.movement(&asked.assessment, &asked.sees)?);
            Ok(figures)
        });
        counted.await.context("the figures were lost")?
    }

    async fn frozen(
        &self,
        now: OffsetDateTime,
        end: OffsetDateTime,
        reason: String,
    ) -> Result<Result<Baseline, BaselineError>> {
        let read = self.read(now).await?;
        let frozen =
            tokio::task::spawn_blocking(move || Counted::of(&read, now, &|_| true).freeze(end, &reason));
        frozen.await.context("the baseline was lost")
    }
}

impl Figures for Counter {
    fn figures(&self, asked: FiguresAsked) -> Counting<'_, Vec<Value>> {
        Box::pin(self.count(asked))
    }

    fn freeze(
        &self,
        now: OffsetDateTime,
        end: OffsetDateTime,
        reason: String,
    ) -> Counting<'_, Result<Baseline, BaselineError>> {
        Box::pin(self.frozen(now, end, reason))
    }
}

/// The baseline that was frozen last, where there is one that can be read.
pub(super) async fn baseline(store: &Store) -> Result<Option<Baseline>> {
    let mut records = store.maturity_records(RecordKind::Baseline).await?;
    records.sort_by_key(|record| record.set_at);
    let read = |record: &store::MaturityRecord| serde_json::from_str(&record.body).ok();
    Ok(records.iter().rev().find_map(read))
}

/// An application as figures call it. `None`: it has a name that none can have.
pub(super) fn named(app: &ApplicationName) -> Option<App> {
    app.as_str().parse().ok()
}
