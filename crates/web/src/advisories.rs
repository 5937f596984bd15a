//! Advisories: what was imported, and importing more.
//!
//! An import is begun, given documents in as many requests as it takes, and finished; until then nobody sees any of it. There is
//! one at a time; one that nobody goes on with for ten minutes is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{Actor, AdvisoryImport, FeedHold, ImportSummary, Importer, Lifts, Store, StoreError};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::body::Body;
use crate::feeds::SourceStatus;
use crate::judging::Judging;
use crate::moment::Moment;
use crate::principals::CAUSE;
use crate::problem::{ApiError, Kind, Problem};
use crate::session::Administrator;
use crate::state::WebState;
use crate::weighing::{NotAdmitted, admit};

/// An import that nobody goes on with is forgotten after this time.
const IDLE: Duration = Duration::from_mins(10);

/// An import on its way.
pub(crate) struct OpenImport {
    id: Uuid,
    importer: Importer,
    touched: Instant,
}

/// Begins an import.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewImport {}

/// An import that was begun.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BegunImport {
    /// Its name.
    pub id: String,
}

/// Documents of an import.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportDocuments {
    /// Any number of them, in one request of at most 16 MiB.
    pub documents: Vec<ImportDocument>,
}

/// One document.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportDocument {
    /// Where it lay; the folder says whose it is.
    pub name: String,
    /// OSV JSON, a KEV catalogue, an EPSS list or `OpenVEX`.
    pub text: String,
}

/// Ends an import.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndOfImport {
    /// From where it came, for the record.
    pub origin: String,
    /// Let it pass also where it lifts so many refusals; without, one that lifts much is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_lifts: Option<u64>,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportResult {
    /// The generation that it made; missing where nothing has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Advisories that came.
    pub seen: u64,
    /// Advisories and documents that are new or in another state.
    pub changed: u64,
    /// Advisories that were passed over: what is known of them is newer.
    #[serde(default)]
    pub older: u64,
    /// Documents that were not taken.
    pub refused: u64,
    /// Why; the first of them.
    pub refusals: Vec<String>,
    /// Advisories that came, per ecosystem.
    pub covers: BTreeMap<String, u64>,
    /// Images that are refused no more by it.
    #[serde(default)]
    pub lifted: u64,
}

/// A finished import.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImportEntry {
    /// The generation that it made.
    pub generation: u64,
    /// When.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// From where.
    pub origin: String,
    /// What it covers and what it changed.
    #[schema(value_type = Object)]
    pub about: serde_json::Value,
}

/// What is known.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdvisoryStatus {
    /// The present generation; 0 before the first import.
    pub generation: u64,
    /// The latest imports, the newest first.
    pub imports: Vec<ImportEntry>,
    /// Where advisories are fetched from, and how that stands.
    #[serde(default)]
    pub sources: Vec<SourceStatus>,
}

impl From<ImportSummary> for ImportResult {
    fn from(summary: ImportSummary) -> Self {
        Self {
            generation: summary.generation,
            seen: summary.seen,
            changed: summary.changed,
            older: summary.older,
            refused: summary.refused,
            refusals: summary.refusals,
            covers: summary.covers,
            lifted: summary.lifted,
        }
    }
}

impl From<AdvisoryImport> for ImportEntry {
    fn from(import: AdvisoryImport) -> Self {
        Self {
            generation: import.generation,
            at: Moment(import.at),
            by: import.actor,
            origin: import.origin,
            about: import.body,
        }
    }
}

/// What was imported.
#[utoipa::path(get, path = "/advisories", tag = "advisories", responses(
    (status = OK, description = "The present generation and how it came about", body = AdvisoryStatus),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn get_advisories(
    State(state): State<WebState>,
    Administrator(_): Administrator,
) -> Result<Body<AdvisoryStatus>, ApiError> {
    let imports = state.store.advisory_imports().await?;
    let sources = match &state.syncing {
        Some(syncing) => syncing.sources().await?,
        None => Vec::new(),
    };
    Ok(Body(AdvisoryStatus {
        sources,
        generation: state.store.advisory_generation().await?,
        imports: imports.into_iter().map(ImportEntry::from).collect(),
    }))
}

/// Begin an import.
#[utoipa::path(post, path = "/advisories/imports", tag = "advisories", request_body = NewImport, responses(
    (status = CREATED, description = "Begun", body = BegunImport),
    (status = CONFLICT, description = "One is on its way already", body = Problem),
))]
pub(crate) async fn begin_import(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Body(NewImport {}): Body<NewImport>,
) -> Result<(StatusCode, Body<BegunImport>), ApiError> {
    let mut open = state.import.lock().await;
    if open
        .as_ref()
        .is_some_and(|import| import.touched.elapsed() < IDLE)
    {
        return Err(ApiError::new(
            Kind::Busy,
            "an import is on its way already; wait until it has ended, at most ten minutes",
        ));
    }
    let id = Uuid::now_v7();
    // Gives back the right to import, which a forgotten one has.
    *open = None;
    *open = Some(OpenImport {
        id,
        importer: Importer::begin(&state.store).await?,
        touched: Instant::now(),
    });
    Ok((StatusCode::CREATED, Body(BegunImport { id: id.to_string() })))
}

/// Give documents to an import.
#[utoipa::path(post, path = "/advisories/imports/{id}/documents", tag = "advisories",
    params(("id" = String, Path, description = "The import")), request_body = ImportDocuments, responses(
    (status = NO_CONTENT, description = "Taken; what was refused is told at the end"),
    (status = NOT_FOUND, description = "No such import is on its way", body = Problem),
))]
pub(crate) async fn add_documents(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Path(id): Path<String>,
    Body(given): Body<ImportDocuments>,
) -> Result<StatusCode, ApiError> {
    let mut open = state.import.lock().await;
    let import = of_id(open.as_mut(), &id)?;
    import.touched = Instant::now();
    for document in &given.documents {
        import
            .importer
            .add(&document.name, document.text.as_bytes())
            .await?;
    }
    import.touched = Instant::now();
    Ok(StatusCode::NO_CONTENT)
}

/// Finish an import: from now on images are judged by it.
#[utoipa::path(post, path = "/advisories/imports/{id}/finish", tag = "advisories",
    params(("id" = String, Path, description = "The import")), request_body = EndOfImport, responses(
    (status = OK, description = "What it did", body = ImportResult),
    (status = NOT_FOUND, description = "No such import is on its way", body = Problem),
    (status = CONFLICT, description = "It would let pass much of what is refused, and nobody has accepted that", body = Problem),
))]
pub(crate) async fn finish_import(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(id): Path<String>,
    Body(end): Body<EndOfImport>,
) -> Result<Body<ImportResult>, ApiError> {
    let mut open = state.import.lock().await;
    of_id(open.as_mut(), &id)?;
    let Some(import) = open.take() else {
        return Err(unknown());
    };
    let actor = Actor::administrator(&permit, CAUSE);
    let (store, judging) = (state.store.clone(), state.judging.clone());
    // Goes on where whoever asks does not wait for it any more: what was sent is all here.
    let ending = tokio::spawn(async move { end_weighed(&store, judging, import.importer, end, actor).await });
    ending.await.map_err(StoreError::from)?.map(Body)
}

/// Weighs it, and makes it the present generation unless it is held; for the command that does it on a data directory.
///
/// # Errors
/// It is held, or the store failed.
pub async fn end_import(
    store: &Store,
    judging: Option<Arc<dyn Judging>>,
    importer: Importer,
    end: EndOfImport,
    actor: Actor,
) -> Result<ImportResult, Problem> {
    end_weighed(store, judging, importer, end, actor)
        .await
        .map_err(|error| error.to_problem())
}

async fn end_weighed(
    store: &Store,
    judging: Option<Arc<dyn Judging>>,
    importer: Importer,
    end: EndOfImport,
    actor: Actor,
) -> Result<ImportResult, ApiError> {
    match admit(judging.as_deref(), importer, end.accept_lifts).await {
        Ok(admitted) => {
            let summary = admitted.finish(&end.origin, &actor).await?;
            let (generation, sources) = (summary.generation, &summary.sources);
            store.note_carried(&actor, generation, sources, None).await?;
            Ok(summary.into())
        }
        Err(NotAdmitted::Held(lifts)) => {
            store.note_held_import(&end.origin, &lifts, &actor).await?;
            Err(held(&lifts))
        }
        Err(NotAdmitted::Weighing(error)) => Err(error.into()),
    }
}

/// The problem of an import that waits for a person.
pub(crate) fn held(lifts: &Lifts) -> ApiError {
    let detail = format!(
        "the import is held, and what was known before stays in force: {lifts}; if that is right, import it again with \
         --accept-lifts {}",
        lifts.lifted
    );
    ApiError::new(Kind::Conflict, detail)
        .with_errors(lifts.listed())
        .with_held(FeedHold::Lifts { lifts: lifts.clone() })
}

fn of_id<'a>(open: Option<&'a mut OpenImport>, id: &str) -> Result<&'a mut OpenImport, ApiError> {
    open.filter(|import| import.id.to_string() == id)
        .ok_or_else(unknown)
}

fn unknown() -> ApiError {
    ApiError::new(
        Kind::NotFound,
        "no such import is on its way; begin a new one, nothing of the old one counts",
    )
}
