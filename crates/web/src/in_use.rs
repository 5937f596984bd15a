//! What is in use by somebody's word: images that run somewhere although nobody pulled them from here lately.
//!
//! Only administrators give it. What is in use is refused less, and whoever brings an image to a repository that they own must
//! not open it by themselves: for that there are waivers, which take two people.

use axum::extract::State;
use http::StatusCode;
use oci::{Reference, RepoName};
use serde::{Deserialize, Serialize};
use store::{Actor, IN_USE_REASON_BYTES, InUse, LONGEST_IN_USE, MAX_IN_USE, NewInUse};
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page, PageQuery};
use crate::principals::CAUSE;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::Query;
use crate::session::Administrator;
use crate::state::WebState;

/// References of one request.
const MAX_REFERENCES: usize = 1_000;

/// An image that is in use by somebody's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InUseEntry {
    /// The repository.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Tag or digest. A tag means what was pushed to it by the time it was said.
    pub reference: String,
    /// Its last moment.
    pub until: Moment,
    /// Why it is known to be in use.
    pub reason: String,
    /// Who said so.
    pub said_by: String,
    /// When.
    pub said_at: Moment,
}

/// Images of one repository that are in use.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInUseEntry {
    /// The repository; for a digest it need not be there yet.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Tags and digests; 1 to 1000.
    pub references: Vec<String>,
    /// Their last moment; at most 366 days ahead.
    pub until: Moment,
    /// Why they are known to be in use.
    pub reason: String,
}

/// What was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetInUse {
    /// The repository.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// How many references.
    pub references: u64,
}

/// Names an image.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct InUseKey {
    /// The repository, such as `team/app`.
    #[param(value_type = String)]
    repository: RepoName,
    /// Tag or digest, as it was given.
    reference: String,
}

impl From<InUse> for InUseEntry {
    fn from(entry: InUse) -> Self {
        Self {
            repository: entry.repo,
            reference: entry.reference.to_string(),
            until: entry.until.into(),
            reason: entry.reason,
            said_by: entry.actor,
            said_at: entry.at.into(),
        }
    }
}

/// List what is in use by somebody's word.
#[utoipa::path(get, path = "/in-use", tag = "policy", params(PageQuery), responses(
    (status = OK, description = "A page, by repository and reference", body = Page<InUseEntry>),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_in_use(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<InUseEntry>>, ApiError> {
    // No name of a repository has a space.
    let after =
        page::cursor(query.after.as_deref())?.map(|after| after.split_once(' ').unwrap_or((after, "")));
    let page = state
        .store
        .in_use_by_word(after, page::limit(query.limit)?)
        .await?;
    Ok(Body(Page::of(
        page,
        |entry| format!("{} {}", entry.repo, entry.reference),
        InUseEntry::from,
    )))
}

/// Say that images of a repository are in use until a date. Rules that keep what runs warn about them and refuse nothing; what
/// was said of them before is replaced.
#[utoipa::path(post, path = "/in-use", tag = "policy", request_body = NewInUseEntry, responses(
    (status = OK, description = "They are in use", body = SetInUse),
    (status = BAD_REQUEST, description = "No such reference, no reason, or an end that is over or too far ahead",
        body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = CONFLICT, description = "There would be too many", body = Problem),
))]
pub(crate) async fn set_in_use(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(given): Body<NewInUseEntry>,
) -> Result<Body<SetInUse>, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    let wanted = checked(&given, state.store.now())?;
    let references = wanted.references.len() as u64;
    if !state.store.set_in_use(wanted, &actor).await? {
        let detail = format!("more than {MAX_IN_USE} images would be in use so: remove some first");
        return Err(ApiError::new(Kind::Conflict, detail));
    }
    Ok(Body(SetInUse {
        repository: given.repository,
        references,
    }))
}

/// Take back that an image is in use.
#[utoipa::path(delete, path = "/in-use", tag = "policy", params(InUseKey), responses(
    (status = NO_CONTENT, description = "Nobody says so any more"),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = NOT_FOUND, description = "Nobody had said so", body = Problem),
))]
pub(crate) async fn remove_in_use(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(key): Query<InUseKey>,
) -> Result<StatusCode, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    let reference: Reference = key.reference.parse().map_err(ApiError::malformed)?;
    if state
        .store
        .remove_in_use(&key.repository, &reference, &actor)
        .await?
    {
        return Ok(StatusCode::NO_CONTENT);
    }
    let name = format!("{} of {}", key.reference, key.repository);
    Err(ApiError::not_found("image in use", name))
}

fn checked(given: &NewInUseEntry, now: store::Timestamp) -> Result<NewInUse, ApiError> {
    let count = given.references.len();
    if !(1..=MAX_REFERENCES).contains(&count) {
        return Err(ApiError::malformed(format!(
            "{count} references: name 1 to {MAX_REFERENCES} tags or digests"
        )));
    }
    let reason = given.reason.trim();
    if reason.is_empty() || reason.len() > IN_USE_REASON_BYTES {
        return Err(ApiError::malformed(format!(
            "say why they are known to be in use: `reason` has 1 to {IN_USE_REASON_BYTES} bytes"
        )));
    }
    if given.until.0 <= now || given.until.0 > now.plus(LONGEST_IN_USE) {
        return Err(ApiError::malformed("`until` lies ahead, by at most 366 days"));
    }
    let references = given.references.iter().map(|text| {
        text.parse::<Reference>()
            .map_err(|error| ApiError::malformed(format!("{text:?} is neither tag nor digest: {error}")))
    });
    Ok(NewInUse {
        repo: given.repository.clone(),
        references: references.collect::<Result<_, _>>()?,
        until: given.until.0,
        reason: reason.to_owned(),
    })
}
