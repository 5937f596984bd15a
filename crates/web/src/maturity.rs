//! Maturity: where each application, team and the organisation stand, by evidence, and what is worth doing next.
//!
//! What is known lies in one assessment in memory, which whoever keeps it brings up to date ([`Maturing`]); the routes read it on threads
//! that serve nobody. What people and robots say goes into the audit log and counts once the assessment has come to it, which the answer
//! waits for. Who sees what: `maturity/sight.rs`.
//!
//! Names of applications and teams contain slashes, so subjects are query parameters: `?subject=app:shop/checkout`.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use ::maturity::assessment::{Assessment, EntryKind};
use ::maturity::kpi::fold::Baseline;
use ::maturity::model::Model;
use ::maturity::words::{EventId, Slug};
use store::{Actor, AdminError, EventKind, MaturityRecord, NewMaturityModel, StoreError, Timestamp};
use thiserror::Error;

use crate::incidents::computed;
use crate::judging;
use crate::problem::{ApiError, Kind};
use crate::state::WebState;

mod attestations;
mod campaigns;
mod evidence;
mod groups;
mod inbox;
mod kpis;
mod models;
mod roles;
mod scorecards;
mod sight;
mod targets;

pub use attestations::{AttestationEntry, Confirmation, NewAttestation, Renewal, Revocation};
pub use campaigns::{CampaignEntry, NewCampaign};
pub use evidence::PushedEvidence;
pub use groups::{GroupEntry, HeatMap};
pub use inbox::InboxReport;
pub use kpis::{Counted, KpiReport, NewBaseline, SeesApp, ShownBaseline};
pub use models::{AppliedModel, ModelDocument, ModelOutcome, NewModel, ShownModel};
pub use roles::{NewRole, RoleEntry};
pub use scorecards::{ActionEntry, ChangeEntry, CriterionEntry, ShownScorecard};
pub use targets::AppTargets;

pub(crate) use attestations::*;
pub(crate) use campaigns::*;
pub(crate) use evidence::*;
pub(crate) use groups::*;
pub(crate) use inbox::*;
pub(crate) use kpis::*;
pub(crate) use models::*;
pub(crate) use roles::*;
pub(crate) use scorecards::*;
pub(crate) use sight::Sight;
pub(crate) use targets::*;

/// The cause that events of people carry.
const CAUSE: &str = "api";

/// Something that is on its way.
pub type Maturity<'a, T> = Pin<Box<dyn Future<Output = Result<T, MaturityError>> + Send + 'a>>;

/// Keeps the assessment. The program that serves the API puts that in.
pub trait Maturing: Send + Sync {
    /// What is known and what follows from it. It is read under its lock, on a thread that serves nobody.
    fn assessment(&self) -> Result<Arc<RwLock<Assessment>>, MaturityError>;

    /// A model as it would be with some documents in place of those of the same ids; without an id, that of the last of them.
    fn model(&self, documents: Vec<ModelDocument>, id: Option<Slug>) -> Maturity<'_, Model>;

    /// Has something counted, with its line of the audit log; is there once it counts.
    fn say(&self, actor: Actor, said: Said) -> Maturity<'_, EventId>;

    /// Counts the figures about applications that somebody sees.
    fn kpis(&self, sees: SeesApp) -> Maturity<'_, Counted>;

    /// Freezes the 12 full weeks before a moment, to compare with.
    fn freeze_baseline(&self, actor: Actor, end: Timestamp, reason: String) -> Maturity<'_, Baseline>;

    /// Applies a model. Is there once it counts, or is kept for when it is to.
    fn apply_model(&self, actor: Actor, kept: NewMaturityModel, model: Model) -> Maturity<'_, EventId>;
}

/// What people or robots say.
#[derive(Debug, Clone)]
pub struct Said {
    /// What they do.
    pub kind: EventKind,
    /// About whom, for the audit log.
    pub subject: String,
    /// What else the audit log tells.
    pub about: serde_json::Value,
    /// What is to count.
    pub entries: Vec<EntryKind>,
    /// What is declared with it.
    pub record: Option<MaturityRecord>,
}

/// Why something cannot be done about maturity.
#[derive(Debug, Error)]
pub enum MaturityError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Malformed(String),
    /// A model cannot be read.
    #[error("the model cannot be read: correct what `errors` names")]
    Model(Vec<String>),
    /// What there is stands in the way.
    #[error("{0}")]
    Conflict(String),
    /// Not yet.
    #[error("{0}")]
    NotYet(String),
    /// The store refuses it.
    #[error(transparent)]
    Refused(#[from] AdminError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It failed.
    #[error("maturity could not be worked on")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// When it is worth asking again, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

impl From<MaturityError> for ApiError {
    fn from(error: MaturityError) -> Self {
        match error {
            MaturityError::Malformed(_) => Self::malformed(error),
            MaturityError::Model(ref errors) => {
                let errors = errors.clone();
                Self::malformed(error).with_errors(errors)
            }
            MaturityError::Conflict(_) => Self::new(Kind::Conflict, error),
            MaturityError::NotYet(_) => Self::retry_after(Kind::Unavailable, error, RETRY_AFTER_SECONDS),
            MaturityError::Refused(error) => error.into(),
            MaturityError::Store(error) => error.into(),
            MaturityError::Failed(_) => Self::internal(&error),
        }
    }
}

/// Whoever keeps the assessment.
fn keeper(state: &WebState) -> Result<&Arc<dyn Maturing>, ApiError> {
    state.maturing.as_ref().ok_or_else(judging::switched_off)
}

/// Asks the assessment something, on a thread that serves nobody.
async fn asked<T: Send + 'static>(
    state: &WebState,
    question: impl FnOnce(&Assessment) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let assessment = keeper(state)?.assessment()?;
    computed(move || question(&assessment.read().unwrap_or_else(PoisonError::into_inner))).await
}
