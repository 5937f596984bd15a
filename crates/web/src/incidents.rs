//! Incidents: groups of vulnerabilities that are followed until nobody is affected any more.
//!
//! Who may administer the registry opens and changes them. Who is signed in sees of an incident the tags and images of repositories
//! that they may pull from; an incident of which they see none is none for them.

mod change;
mod list;
mod place;
mod read;
mod wire;

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

use road::incident::{Coverage, Incident, LineKey, ReliefKind};
use road::names::{ApplicationName, IncidentId, Owner, VulnerabilityId};
use store::{Actor, AdminError, Timestamp};
use thiserror::Error;
use time::OffsetDateTime;

use crate::affected::MayPull;
use crate::problem::{ApiError, Kind};

pub(crate) use change::*;
pub(crate) use list::*;
pub(crate) use place::Placed;
pub(crate) use read::*;
pub use wire::{
    IncidentDeadlines, IncidentEntry, IncidentLine, IncidentNote, IncidentPart, IncidentRelief,
    IncidentReport, IncidentVulnerability, NewIncident, NewRelief, NewVulnerabilities, ReliefEnd,
};

/// Something that is on its way.
pub type Following<'a, T> = Pin<Box<dyn Future<Output = Result<T, IncidentsError>> + Send + 'a>>;

/// Keeps incidents. The program that serves the API puts that in.
pub trait Incidents: Send + Sync {
    /// Opens one, with all that is affected now.
    fn open(&self, actor: Actor, wanted: IncidentOpening) -> Following<'_, Arc<Incident>>;

    /// One as it stands, or as it stood at a moment; only what is seen with this sight.
    fn at(
        &self,
        id: IncidentId,
        as_of: Option<Timestamp>,
        sight: Option<Sight>,
    ) -> Following<'_, Option<Arc<Incident>>>;

    /// What somebody sees who may pull from these repositories.
    fn sight(&self, may_pull: MayPull) -> Following<'_, Sight>;

    /// Makes something happen to one.
    fn change(&self, actor: Actor, id: IncidentId, change: IncidentChange) -> Following<'_, Arc<Incident>>;
}

/// What somebody sees who does not see everything.
#[derive(Clone)]
pub struct Sight {
    /// Tags and images of these repositories.
    pub may_pull: MayPull,
    /// How much of these is covered.
    pub coverage: Coverage,
}

/// What an incident begins with.
#[derive(Debug, Clone)]
pub struct IncidentOpening {
    /// What it is called; `None`: like its first vulnerability.
    pub id: Option<IncidentId>,
    /// What it is about, in a line; `None`: what advisories call its first vulnerability.
    pub title: Option<String>,
    /// By any of their ids.
    pub vulnerabilities: Vec<VulnerabilityId>,
    /// Also if an open incident is about one of them already.
    pub another: bool,
    /// By when it is to be over, where that is not as configured.
    pub deadlines: IncidentDeadlines,
}

/// What can be made to happen.
#[derive(Debug, Clone)]
pub enum IncidentChange {
    /// It is about more.
    Add(Vec<VulnerabilityId>),
    /// Something makes it harmless for a while, or somebody bears it.
    Relieve {
        /// Which of the two.
        kind: ReliefKind,
        /// Where.
        lines: LineSelection,
        /// Against which of the group; none: all of it.
        covers: Vec<VulnerabilityId>,
        /// Until when.
        until: OffsetDateTime,
        /// What, or why.
        reason: String,
    },
    /// It is no longer so.
    EndRelief {
        /// Which of the two.
        kind: ReliefKind,
        /// Where.
        lines: LineSelection,
        /// Why.
        reason: String,
    },
    /// Somebody says that it is over.
    Close {
        /// What they say.
        note: String,
    },
}

/// Some lines of an incident: these, or all of an application or owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineSelection {
    /// Tags and images.
    pub lines: Vec<LineKey>,
    /// All of this application.
    pub application: Option<ApplicationName>,
    /// All of this owner.
    pub owner: Option<Owner>,
}

/// Why something cannot be done with an incident.
#[derive(Debug, Error)]
pub enum IncidentsError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Malformed(String),
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// What there is stands in the way.
    #[error("{0}")]
    Conflict(String),
    /// Not yet.
    #[error("{0}")]
    NotYet(String),
    /// The store refuses it.
    #[error(transparent)]
    Refused(#[from] AdminError),
    /// It failed.
    #[error("the incident could not be worked on")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// When it is worth asking again, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

impl From<IncidentsError> for ApiError {
    fn from(error: IncidentsError) -> Self {
        match error {
            IncidentsError::Malformed(_) => Self::malformed(error),
            IncidentsError::Unknown(_) => Self::new(Kind::NotFound, error),
            IncidentsError::Conflict(_) => Self::new(Kind::Conflict, error),
            IncidentsError::NotYet(_) => Self::retry_after(Kind::Unavailable, error, RETRY_AFTER_SECONDS),
            IncidentsError::Refused(error) => error.into(),
            IncidentsError::Failed(_) => Self::internal(&error),
        }
    }
}
