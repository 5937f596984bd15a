//! Catalogues of teams: imports, and how much of the registry has an owner.

use axum::extract::State;
use http::StatusCode;
use road::application::{OwnershipCounts, Statement};
use road::base::BaseImage;
use road::paving::RoadEntry;
use serde::{Deserialize, Serialize};
use store::{Actor, CatalogImport, CatalogNote, Declared, Step};
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::moment::Moment;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::{Administrator, Session};
use crate::state::WebState;

/// The cause that events of an import carry.
const CAUSE: &str = "catalog";

/// Repositories that are looked at at a time.
const PAGE: usize = 1_000;

/// Conflicts that are told.
const CONFLICTS_TOLD: usize = 100;

/// What files of teams say, already read.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewCatalog {
    /// What is said of applications: `application`, `origin`, `repositories`, `owner` and more.
    #[schema(value_type = Vec<Object>)]
    pub applications: Vec<Statement>,
    /// Bases, as `PUT /bases` takes them.
    #[schema(value_type = Vec<Object>)]
    pub bases: Vec<BaseImage>,
    /// What else is on the road, as `POST /road` takes it.
    #[schema(value_type = Vec<Object>)]
    pub road: Vec<RoadEntry>,
}

/// How to import.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ImportQuery {
    /// Only say what would change.
    dry_run: bool,
    /// Take back what catalogues said of applications that this one does not name. Bases stay.
    prune: bool,
}

/// A catalogue that counts although it is older than the one before.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowedCatalog {
    /// Which: `platform/catalog@sha256:…`.
    pub catalog: String,
    /// Why, for the record.
    #[serde(default)]
    pub reason: String,
}

/// What an import changed, or would.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImportedCatalog {
    /// Whether it was done.
    pub imported: bool,
    /// Applications that were `added`, `changed` and `removed`, and how many stay `unchanged`.
    #[schema(value_type = Object)]
    pub applications: CatalogImport,
    /// Steps that change bases and what else is on the road.
    #[schema(value_type = Vec<Object>)]
    pub bases: Vec<Step>,
}

/// How much of what the caller may pull has an owner.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CatalogStatus {
    /// Repositories of an application with an owner.
    pub owned: u64,
    /// Repositories of an application of which nobody says whose it is.
    pub ownerless: u64,
    /// Repositories of no application.
    pub unknown: u64,
    /// Where sources do not agree, for administrators: at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub conflicts: Vec<serde_json::Value>,
    /// How many more there are.
    #[serde(default)]
    pub more_conflicts: u64,
    /// What became of the last catalogue that was pushed, for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<PushedCatalogStatus>,
}

/// What became of a catalogue that was pushed as an artifact.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PushedCatalogStatus {
    /// `team/catalog@sha256:…`.
    pub catalog: String,
    /// `imported` or `refused`.
    pub state: String,
    /// When.
    pub at: Moment,
    /// Under which tag it was found, who signed and pushed it, what it changed or the `reason` why it does not count: the body of
    /// the event.
    #[schema(value_type = Object)]
    pub about: serde_json::Value,
}

impl From<CatalogNote> for PushedCatalogStatus {
    fn from(note: CatalogNote) -> Self {
        let state = if note.is_imported { "imported" } else { "refused" };
        Self {
            catalog: note.event.subject,
            state: state.to_owned(),
            at: Moment(note.event.at),
            about: note.event.body,
        }
    }
}

/// Take in what files of teams say: all of it, or nothing.
#[utoipa::path(post, path = "/catalog", tag = "fleet", params(ImportQuery), request_body = NewCatalog, responses(
    (status = OK, description = "What changed, or would", body = ImportedCatalog),
    (status = BAD_REQUEST, description = "The entries do not go together", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn import_catalog(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(query): Query<ImportQuery>,
    Body(catalog): Body<NewCatalog>,
) -> Result<Body<ImportedCatalog>, ApiError> {
    let store = &state.store;
    let declared = Declared {
        bases: catalog.bases,
        road: catalog.road,
        ..Declared::default()
    };
    // Both are planned before anything is done.
    let applications = store.plan_catalog(&catalog.applications, query.prune).await?;
    let plan = store.plan_apply(&declared, false, None).await?;
    let bases = plan.steps.clone();
    if query.dry_run {
        return Ok(Body(ImportedCatalog {
            imported: false,
            applications,
            bases,
        }));
    }
    let actor = Actor::administrator(&permit, CAUSE);
    store.carry_out(&actor, plan).await?;
    let applications = store
        .import_catalog(&actor, &catalog.applications, query.prune)
        .await?;
    Ok(Body(ImportedCatalog {
        imported: true,
        applications,
        bases,
    }))
}

/// Allow a catalogue that is older than the one that counts. It is taken in if its tag still names it and it is signed.
#[utoipa::path(post, path = "/catalog/allowed", tag = "fleet", request_body = AllowedCatalog, responses(
    (status = NO_CONTENT, description = "Allowed"),
    (status = BAD_REQUEST, description = "It names no artifact", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn allow_catalog(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(allowed): Body<AllowedCatalog>,
) -> Result<StatusCode, ApiError> {
    let named = allowed.catalog.split_once('@');
    let parsed = named.and_then(|(repo, digest)| Some((repo.parse().ok()?, digest.parse().ok()?)));
    let (repo, digest): (oci::RepoName, oci::Digest) = parsed.ok_or_else(|| {
        ApiError::malformed("name it like platform/catalog@sha256:…, as `roadbed catalog status` shows it")
    })?;
    let actor = Actor::administrator(&permit, CAUSE);
    state
        .store
        .allow_catalog(&actor, (&repo, &digest), &allowed.reason)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many of the repositories that the caller may pull have an owner, and where sources do not agree.
#[utoipa::path(get, path = "/catalog", tag = "fleet", responses(
    (status = OK, description = "The counts", body = CatalogStatus),
))]
pub(crate) async fn get_catalog(
    State(state): State<WebState>,
    session: Session,
) -> Result<Body<CatalogStatus>, ApiError> {
    let session = session.signed_in()?;
    let road = state.store.road().await?;
    let within = session.book.listable(&session.caller);
    let visible = |repo: &oci::RepoName| session.book.may_list(&session.caller, repo);
    let mut counts = OwnershipCounts::default();
    let mut after: Option<String> = None;
    loop {
        let page = state
            .store
            .repositories(&within, &visible, after.as_deref(), PAGE)
            .await?;
        let of_page = road.applications.count(&page.items);
        counts.owned += of_page.owned;
        counts.ownerless += of_page.ownerless;
        counts.unknown += of_page.unknown;
        match page.items.last().filter(|_| page.more) {
            Some(last) => after = Some(last.to_string()),
            None => break,
        }
    }
    let (all, pushed) = match session.system() {
        Ok(_) => (road.applications.conflicts(), state.store.catalog_note().await?),
        Err(_) => (&[][..], None),
    };
    let told = all.iter().take(CONFLICTS_TOLD);
    Ok(Body(CatalogStatus {
        owned: counts.owned,
        ownerless: counts.ownerless,
        unknown: counts.unknown,
        conflicts: told
            .filter_map(|conflict| serde_json::to_value(conflict).ok())
            .collect(),
        more_conflicts: all.len().saturating_sub(CONFLICTS_TOLD) as u64,
        pushed: pushed.map(Into::into),
    }))
}
