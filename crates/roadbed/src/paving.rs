//! What the catalogue of the road asks for while time goes by: warnings of ends, promises that are measured, days that are counted.
//!
//! It runs behind requests and looks every few seconds. What it tells is remembered by the store in the transaction that tells it, so
//! nothing is told twice, whatever is killed in between.
//!
//! - `paving/survey.rs`: where the newest image of each repository stands.
//! - `paving/promises.rs`: what current releases of bases have, and since when.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use road::{
    debt::{Current, Debt},
    ends::endings,
    names::BaseName,
};
use store::{Actor, AdoptionDay, RoadEntries, Store};
use time::OffsetDateTime;
use web::{Judging, MayPull, Survey, SurveyError, Surveyed, Surveying};

use crate::{fleet::FleetService, judge::Knowledge};

mod promises;
mod survey;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Between two counts of where everybody stands, at least.
const COUNT_EVERY: Duration = Duration::from_mins(1);

/// Before what failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// Who it is in events.
const ACTOR: &str = "road";

/// An end with the days before it that were told.
type Told = (String, OffsetDateTime, u16);

/// What releases were looked at by: applications, bases and releases; advisories, policy and waivers.
type Basis = (u64, u64);

/// Looks after the road of a store.
pub(crate) struct RoadService {
    store: Store,
    fleet: Arc<FleetService>,
    knowledge: Arc<Knowledge>,
    judging: Arc<dyn Judging>,
    seen: Mutex<Seen>,
    surveys: survey::Surveys,
}

/// What need not be looked at again.
#[derive(Default)]
struct Seen {
    told: HashSet<Told>,
    current: BTreeMap<BaseName, (Basis, Option<Current>)>,
    /// By what everything was last measured, and when the next promise is due.
    measured: Option<(Basis, Option<OffsetDateTime>)>,
    /// What was owed, as it is kept, as of a change of entries.
    debts: Option<(u64, BTreeMap<BaseName, Vec<Debt>>)>,
    /// What was counted last: the epoch of the index, the change of entries, the day.
    counted: Option<(u64, u64, i64)>,
    counted_at: Option<Instant>,
}

impl RoadService {
    /// Over a store, the index of all images, and whoever judges them.
    pub(crate) fn of(
        store: Store,
        fleet: Arc<FleetService>,
        knowledge: Arc<Knowledge>,
        judging: Arc<dyn Judging>,
    ) -> Arc<Self> {
        let seen = Mutex::default();
        Arc::new(Self {
            store,
            fleet,
            knowledge,
            judging,
            seen,
            surveys: survey::Surveys::default(),
        })
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn look(&self) -> Result<()> {
        let road = self.store.road().await?;
        let now = self.store.now().to_utc();
        self.tell_ends(&road, now).await?;
        self.measure_promises(&road, now).await?;
        self.count(&road).await
    }

    async fn tell_ends(&self, road: &RoadEntries, now: OffsetDateTime) -> Result<()> {
        let all = endings(&road.bases, &road.paving);
        let mut due = Vec::new();
        let mut told = Vec::new();
        for ending in all {
            let Some(days) = ending.due(now) else { continue };
            let key = (format!("{}/{}", ending.kind, ending.name), ending.at, days);
            if !self.seen().told.contains(&key) {
                told.push(key);
                due.push(ending);
            }
        }
        if due.is_empty() {
            return Ok(());
        }
        let count = self.store.tell_ends(&Actor::system(ACTOR), due, now).await?;
        if count > 0 {
            tracing::info!(count, "ends of what is on the road were told of");
        }
        self.seen().told.extend(told);
        Ok(())
    }

    /// Keeps how things are today, if that may have changed.
    async fn count(&self, road: &RoadEntries) -> Result<()> {
        let stand = self.fleet.stand();
        let day = self.store.now().micros().div_euclid(1_000_000 * DAY);
        let basis = (stand.epoch, road.change, day);
        {
            let seen = self.seen();
            let is_recent = seen.counted_at.is_some_and(|at| at.elapsed() < COUNT_EVERY);
            if stand.percent < 100 || seen.counted == Some(basis) || is_recent {
                return Ok(());
            }
        }
        let survey = self.survey_of(Arc::new(|_| true)).await?;
        let rows = survey.by_owner.iter().flat_map(|(owner, bands)| {
            bands.0.iter().map(|(cohort, count)| AdoptionDay {
                day,
                owner: owner.clone(),
                cohort: *cohort,
                repositories: *count,
            })
        });
        self.store.keep_adoption(day, rows.collect()).await?;
        let mut seen = self.seen();
        (seen.counted, seen.counted_at) = (Some(basis), Some(Instant::now()));
        Ok(())
    }

    async fn survey_of(&self, may_pull: MayPull) -> Result<Survey> {
        let standing = self.surveys.standing(&self.store, &self.fleet).await?;
        survey::of(standing, may_pull).await
    }

    async fn survey_for(&self, may_pull: MayPull) -> Result<Survey, SurveyError> {
        let percent = self.fleet.stand().percent;
        if percent < 100 {
            return Err(SurveyError::Waits(percent));
        }
        let survey = self.survey_of(may_pull).await;
        survey
            .context("where images stand")
            .map_err(|error| SurveyError::Failed(error.into()))
    }
}

impl Surveying for RoadService {
    fn survey(&self, may_pull: MayPull) -> Surveyed<'_> {
        Box::pin(self.survey_for(may_pull))
    }
}

/// Until its task is ended.
pub(crate) async fn follow(service: Arc<RoadService>) {
    loop {
        let pause = match service.look().await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "the road could not be looked after; it is tried again");
                TRY_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}
