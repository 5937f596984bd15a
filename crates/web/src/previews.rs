//! What another policy would change, before it is set.

use axum::extract::State;
use oci::{Digest, RepoName};
use policy::Outcome;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::advisories::ImportDocuments;
use crate::body::Body;
use crate::judging;
use crate::page;
use crate::policies::{self, PolicyText};
use crate::problem::{ApiError, Kind, Problem};
use crate::query::Query;
use crate::session::Administrator;
use crate::state::WebState;

/// What another policy would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewReport {
    /// Digest of the policy that was asked about; of the one in force, if advisories were.
    #[schema(value_type = String)]
    pub policy_digest: Digest,
    /// Images that were judged by both policies, or by what is known with and without the advisories.
    pub images: u64,
    /// Images that hold nothing that the advisories touch; they were not judged. 0 for policies.
    #[serde(default)]
    pub untouched: u64,
    /// Documents that were refused, and why; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<String>,
    /// Images that are still being looked into; nothing is said about them.
    pub waiting: u64,
    /// How many images would fare otherwise; all of them are counted.
    pub counts: Vec<PreviewCount>,
    /// Those images, the worst first; at most as many as `limit` asked for.
    pub changes: Vec<PreviewEntry>,
}

/// How many images would go from one outcome to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewCount {
    /// `not-applicable`, `allow`, `warn` or `refuse`: what becomes of them today.
    #[schema(value_type = String)]
    pub before: Outcome,
    /// What would become of them.
    #[schema(value_type = String)]
    pub after: Outcome,
    /// How many.
    pub images: u64,
    /// How many of these are in use.
    pub in_use: u64,
}

/// One image that would fare otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewEntry {
    /// Where it lies.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Which it is.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Whether it was pulled lately.
    pub in_use: bool,
    /// What becomes of it today.
    #[schema(value_type = String)]
    pub before: Outcome,
    /// What would become of it.
    #[schema(value_type = String)]
    pub after: Outcome,
    /// What a client would read: the worst reasons with their fixes.
    pub text: String,
}

/// How much to answer.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewQuery {
    /// Images that are listed: 1 to 1000, by default 100. All are counted.
    limit: Option<usize>,
}

/// Say what a policy would change if it were set: every image is judged by it and by the one in force. Nothing is changed.
#[utoipa::path(post, path = "/policy/preview", tag = "policy", params(PreviewQuery), request_body = PolicyText,
    responses(
    (status = OK, description = "What would change", body = PreviewReport),
    (status = BAD_REQUEST, description = "It is no policy", body = Problem),
    (status = CONFLICT, description = "A preview is being made already, or no images are looked into", body = Problem),
))]
pub(crate) async fn preview_policy(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Query(query): Query<PreviewQuery>,
    Body(given): Body<PolicyText>,
) -> Result<Body<PreviewReport>, ApiError> {
    let limit = page::limit(query.limit)?;
    let policy = policies::parse(&given.body)?;
    let judging = state.judging.as_ref().ok_or_else(judging::switched_off)?;
    // It reads the reports of every image.
    let _place = state
        .previewer
        .try_acquire()
        .map_err(|_| ApiError::new(Kind::Busy, "a preview is being made already"))?;
    Ok(Body(judging.preview(policy, limit).await?))
}

/// Say what advisories would change if they were imported: every image that holds what they touch is judged with them and without, by
/// the policy in force. Nothing is changed.
#[utoipa::path(post, path = "/advisories/preview", tag = "advisories", params(PreviewQuery), request_body = ImportDocuments,
    responses(
    (status = OK, description = "What would change", body = PreviewReport),
    (status = CONFLICT, description = "A preview is being made already, or no images are looked into", body = Problem),
))]
pub(crate) async fn preview_advisories(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Query(query): Query<PreviewQuery>,
    Body(given): Body<ImportDocuments>,
) -> Result<Body<PreviewReport>, ApiError> {
    let limit = page::limit(query.limit)?;
    let judging = state.judging.as_ref().ok_or_else(judging::switched_off)?;
    // It holds the advisories twice.
    let _place = state
        .previewer
        .try_acquire()
        .map_err(|_| ApiError::new(Kind::Busy, "a preview is being made already"))?;
    Ok(Body(judging.preview_advisories(given.documents, limit).await?))
}
