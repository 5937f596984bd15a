//! What the brake holds at warn, and letting it happen.

use access::PrincipalKind;
use axum::extract::State;
use oci::{Digest, RepoName};
use serde::{Deserialize, Serialize};
use store::{Actor, HeldChange};
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::page;
use crate::principals::CAUSE;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::{Path, Query};
use crate::session::{Administrator, Session};
use crate::state::WebState;

/// All changes that wait for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldReport {
    /// The latest first; at most 100.
    pub changes: Vec<HeldEntry>,
}

/// A change that would refuse more of what is in use than may be without a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldEntry {
    /// Its number, by which it is approved.
    pub change: u64,
    /// Since when it is held.
    pub held_at: Moment,
    /// Images in use that it would have refused when it was held.
    pub turned: u64,
    /// Images that were in use then.
    pub in_use: u64,
    /// Images that it holds at warn now.
    pub images: u64,
    /// Why, the cause of most images first.
    pub causes: Vec<HeldCauseEntry>,
    /// Some of the images; as many as `limit` asked for.
    pub listed: Vec<HeldImageEntry>,
}

/// Why images would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldCauseEntry {
    /// What has changed since they were judged before: the policy, the advisories, a waiver, a date, what is known of them.
    pub cause: String,
    /// For how many images.
    pub images: u64,
}

/// An image that is in use and would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldImageEntry {
    /// Where it lies.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Which it is.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// What clients are told: the worst reasons with their fixes.
    pub text: String,
}

/// What was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovedChange {
    /// Its number.
    pub change: u64,
    /// Images that are judged again, and refused where nothing has changed meanwhile.
    pub images: u64,
}

/// How much to answer.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldQuery {
    /// Images that are listed of each change: 1 to 1000, by default 100. All are counted.
    limit: Option<usize>,
}

impl From<HeldChange> for HeldEntry {
    fn from(held: HeldChange) -> Self {
        let causes = held.causes.into_iter().map(|cause| HeldCauseEntry {
            cause: cause.cause,
            images: cause.images,
        });
        let listed = held.listed.into_iter().map(|image| HeldImageEntry {
            repository: image.repo,
            digest: image.digest,
            text: image.line,
        });
        Self {
            change: held.id,
            held_at: held.held_at.into(),
            turned: held.turned,
            in_use: held.in_use,
            images: held.images,
            causes: causes.collect(),
            listed: listed.collect(),
        }
    }
}

/// List the changes that would refuse more of what is in use than may be without a person.
#[utoipa::path(get, path = "/policy/held", tag = "policy", params(HeldQuery), responses(
    (status = OK, description = "What is held at warn, and why", body = HeldReport),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_held(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(query): Query<HeldQuery>,
) -> Result<Body<HeldReport>, ApiError> {
    let held = state
        .store
        .held_changes(&permit, page::limit(query.limit)?)
        .await?;
    Ok(Body(HeldReport {
        changes: held.into_iter().map(HeldEntry::from).collect(),
    }))
}

/// Let a change happen that is held: its images are judged again and refused. Only a person can.
#[utoipa::path(post, path = "/policy/held/{change}/approve", tag = "policy",
    params(("change" = u64, Path, description = "Its number")), request_body = Object, responses(
    (status = OK, description = "Approved", body = ApprovedChange),
    (status = FORBIDDEN, description = "The caller is no administrator, or no person", body = Problem),
    (status = NOT_FOUND, description = "No such change is held", body = Problem),
))]
pub(crate) async fn approve_held(
    State(state): State<WebState>,
    session: Session,
    Path(change): Path<u64>,
) -> Result<Body<ApprovedChange>, ApiError> {
    let permit = session.system()?;
    let is_person = session
        .caller
        .principal()
        .is_some_and(|principal| principal.kind == PrincipalKind::User);
    if !is_person {
        return Err(ApiError::new(
            Kind::Denied,
            "only a person approves what would refuse so much",
        ));
    }
    let actor = Actor::administrator(&permit, CAUSE);
    let approved = state.store.approve_change(&permit, change, &actor).await?;
    let images = approved.ok_or_else(|| ApiError::not_found("held change", change.to_string()))?;
    Ok(Body(ApprovedChange { change, images }))
}
