//! The assessment as a service: for the API, which reads it and says what is to count.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use maturity::{assessment::Assessment, model::Library, words::EventId};
use store::{Actor, MaturityWords, NewMaturityModel, Store};
use tokio::sync::{Notify, watch};
use web::{Maturing, Maturity, MaturityError, Said};

use super::collector::Collector;
use super::entries;

/// How long whoever says something waits until it counts. Default: the only value.
const COUNTED_WITHIN: Duration = Duration::from_secs(20);

/// Keeps the assessment of a store.
pub(crate) struct MaturityService {
    pub(super) store: Store,
    pub(super) collectors: Vec<Arc<dyn Collector>>,
    /// Nothing while it is read.
    pub(super) assessed: ArcSwapOption<RwLock<Assessment>>,
    pub(super) library: ArcSwap<Library>,
    /// The last line of the log that counts.
    pub(super) counted: watch::Sender<i64>,
    /// Somebody waits for a line to count.
    pub(super) asked: Notify,
}

impl MaturityService {
    /// Knows nothing yet: [`super::follow()`] reads what is known.
    pub(crate) fn of(store: Store, collectors: Vec<Arc<dyn Collector>>) -> Arc<Self> {
        Arc::new(Self {
            store,
            collectors,
            assessed: ArcSwapOption::empty(),
            library: ArcSwap::default(),
            counted: watch::Sender::new(0),
            asked: Notify::new(),
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

    async fn apply_it(&self, actor: Actor, model: NewMaturityModel) -> Result<EventId, MaturityError> {
        self.demand()?;
        let event = self.store.add_maturity_model(&actor, model).await?;
        self.until_counted(event).await
    }
}

impl Maturing for MaturityService {
    fn assessment(&self) -> Result<Arc<RwLock<Assessment>>, MaturityError> {
        self.demand()
    }

    fn library(&self) -> Result<Arc<Library>, MaturityError> {
        self.demand()?;
        Ok(self.library.load_full())
    }

    fn say(&self, actor: Actor, said: Said) -> Maturity<'_, EventId> {
        Box::pin(self.say_it(actor, said))
    }

    fn apply_model(&self, actor: Actor, model: NewMaturityModel) -> Maturity<'_, EventId> {
        Box::pin(self.apply_it(actor, model))
    }
}
