//! The assessment as a service: for the API, which reads it and says what is to count.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use maturity::{
    assessment::Assessment,
    facts::EntryKind,
    kpi::{event::App, fold::Baseline},
    model::Model,
    words::{EventId, Slug, SubjectName},
};
use serde_json::json;
use store::{
    Actor, EventKind, MaturityRecord, MaturityWords, NewMaturityModel, RecordKind, Store, Timestamp,
};
use tokio::sync::{Notify, watch};
use web::{Counted, Maturing, Maturity, MaturityError, ModelDocument, Said, SeesApp};

use super::collector::Collector;
use super::figures::{Figures, FiguresAsked};
use super::{entries, models};

/// How long whoever says something waits until it counts. Default: the only value.
const COUNTED_WITHIN: Duration = Duration::from_secs(20);

/// What the baseline is called; there is one.
const BASELINE: &str = "baseline";

/// Keeps the assessment of a store.
pub(crate) struct MaturityService {
    pub(super) store: Store,
    pub(super) collectors: Vec<Arc<dyn Collector>>,
    /// Nothing while it is read.
    pub(super) assessed: ArcSwapOption<RwLock<Assessment>>,
    /// The last line of the log that counts.
    pub(super) counted: watch::Sender<i64>,
    /// Somebody waits for a line to count.
    pub(super) asked: Notify,
    /// Nobody where no figures are counted.
    figures: Option<Arc<dyn Figures>>,
}

impl MaturityService {
    /// Knows nothing yet: [`super::follow()`] reads what is known.
    pub(crate) fn of(
        store: Store,
        collectors: Vec<Arc<dyn Collector>>,
        figures: Option<Arc<dyn Figures>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            collectors,
            assessed: ArcSwapOption::empty(),
            counted: watch::Sender::new(0),
            asked: Notify::new(),
            figures,
        })
    }

    fn demand(&self) -> Result<Arc<RwLock<Assessment>>, MaturityError> {
        self.assessed.load_full().ok_or_else(|| {
            MaturityError::NotYet("what is known of maturity is being read: ask again in a moment".to_owned())
        })
    }

    /// Waits until a line counts. What was said is kept whether or not somebody waits.
    async fn until_counted(&self, event: i64) -> Result<EventId, MaturityError> {
        let mut counted = self.counted.subscribe();
        self.asked.notify_one();
        let counts = counted.wait_for(|counted| *counted >= event);
        match tokio::time::timeout(COUNTED_WITHIN, counts).await {
            Ok(Ok(_)) => Ok(EventId(event.unsigned_abs())),
            Ok(Err(_)) | Err(_) => Err(MaturityError::NotYet(format!(
                "it is kept as event {event} of the audit log and counts in a while: do not send it again"
            ))),
        }
    }

    async fn say_it(&self, actor: Actor, said: Said) -> Result<EventId, MaturityError> {
        self.demand()?;
        let words = MaturityWords {
            kind: said.kind,
            subject: said.subject,
            about: said.about,
            said: entries::said(&said.entries).map_err(|error| MaturityError::Failed(error.into()))?,
            record: said.record,
        };
        let event = self.store.say_maturity(&actor, words).await?;
        self.until_counted(event).await
    }

    /// Counts at once, or when its time comes.
    async fn apply_it(
        &self,
        actor: Actor,
        mut kept: NewMaturityModel,
        model: Model,
    ) -> Result<EventId, MaturityError> {
        self.demand()?;
        if kept.enable_from <= self.store.now() {
            kept.said = entries::said(&[EntryKind::Judged(Box::new(model))]).map_err(failed)?;
        }
        let event = self.store.add_maturity_model(&actor, kept).await?;
        self.until_counted(event).await
    }

    async fn model_with(
        &self,
        documents: Vec<ModelDocument>,
        id: Option<Slug>,
    ) -> Result<Model, MaturityError> {
        let applied = self.store.maturity_models().await?;
        let read = tokio::task::spawn_blocking(move || models::with(&applied, &documents, id));
        read.await.map_err(failed)?
    }
}

impl MaturityService {
    fn figures(&self) -> Result<&Arc<dyn Figures>, MaturityError> {
        let figures = self.figures.as_ref();
        figures.ok_or_else(|| MaturityError::Conflict("no figures are counted here".to_owned()))
    }

    /// What figures are compared with.
    async fn baseline(&self) -> Result<Option<Baseline>, MaturityError> {
        let records = self.store.maturity_records(RecordKind::Baseline).await?;
        let read = records.first().map(|record| serde_json::from_str(&record.body));
        read.transpose().map_err(failed)
    }

    async fn count(&self, sees: SeesApp) -> Result<Counted, MaturityError> {
        let assessment = self.demand()?;
        let mut baseline = self.baseline().await?;
        if let Some(baseline) = &mut baseline {
            let is_seen = |app: &App| app.as_str().parse().is_ok_and(|app: SubjectName| sees(&app));
            baseline.apps.retain(|app, _| is_seen(app));
        }
        let asked = FiguresAsked {
            now: self.store.now().to_utc(),
            sees,
            baseline: baseline.clone(),
            assessment,
        };
        let figures = self.figures()?.figures(asked).await.map_err(lost)?;
        Ok(Counted { figures, baseline })
    }

    async fn freeze(&self, actor: Actor, end: Timestamp, reason: String) -> Result<Baseline, MaturityError> {
        let frozen = self
            .figures()?
            .freeze(self.store.now().to_utc(), end.to_utc(), reason);
        let baseline = frozen.await.map_err(lost)?;
        let baseline = baseline.map_err(|error| MaturityError::Malformed(error.to_string()))?;
        let said = Said {
            kind: EventKind::BaselineSet,
            subject: BASELINE.to_owned(),
            about: json!({ "reason": baseline.reason, "weeks": baseline.weeks, "applications": baseline.apps.len() }),
            entries: Vec::new(),
            record: Some(MaturityRecord {
                kind: RecordKind::Baseline,
                name: BASELINE.to_owned(),
                body: serde_json::to_string(&baseline).map_err(failed)?,
                set_at: Timestamp(0),
                set_by: String::new(),
            }),
        };
        self.say_it(actor, said).await?;
        Ok(baseline)
    }
}

fn lost(error: anyhow::Error) -> MaturityError {
    MaturityError::Failed(error.into())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> MaturityError {
    MaturityError::Failed(error.into())
}

impl Maturing for MaturityService {
    fn assessment(&self) -> Result<Arc<RwLock<Assessment>>, MaturityError> {
        self.demand()
    }

    fn model(&self, documents: Vec<ModelDocument>, id: Option<Slug>) -> Maturity<'_, Model> {
        Box::pin(self.model_with(documents, id))
    }

    fn say(&self, actor: Actor, said: Said) -> Maturity<'_, EventId> {
        Box::pin(self.say_it(actor, said))
    }

    fn kpis(&self, sees: SeesApp) -> Maturity<'_, Counted> {
        Box::pin(self.count(sees))
    }

    fn freeze_baseline(&self, actor: Actor, end: Timestamp, reason: String) -> Maturity<'_, Baseline> {
        Box::pin(self.freeze(actor, end, reason))
    }

    fn apply_model(&self, actor: Actor, kept: NewMaturityModel, model: Model) -> Maturity<'_, EventId> {
        Box::pin(self.apply_it(actor, kept, model))
    }
}
