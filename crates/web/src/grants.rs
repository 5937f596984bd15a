//! Grants: who holds which roles where.

use access::{Grant, RoleSet, Subject};
use axum::extract::State;
use http::StatusCode;
use oci::RepoPattern;
use serde::{Deserialize, Serialize};
use store::Actor;
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::mirror::mirror;
use crate::page::{Page, PageQuery};
use crate::patterns;
use crate::principals::CAUSE;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::Session;
use crate::state::WebState;

/// Roles for a subject on every repository that a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantEntry {
    /// A user's or robot's name, `authenticated`, or `anonymous`.
    #[schema(value_type = String)]
    pub subject: Subject,
    /// `team/app`, `team/*` (one level), `team/**` (everything below), `**`.
    #[schema(value_type = String)]
    pub pattern: RepoPattern,
    /// `pull`, `push`, `delete`, `admin`. Push and delete imply pull, admin implies all.
    #[schema(value_type = Vec<String>)]
    pub roles: RoleSet,
}

/// Names a grant.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantKey {
    /// A user's or robot's name, `authenticated`, or `anonymous`.
    #[param(value_type = String)]
    subject: Subject,
    /// The pattern exactly as it was granted.
    #[param(value_type = String)]
    pattern: RepoPattern,
}

mirror!(
    GrantEntry,
    Grant {
        subject,
        pattern,
        roles,
    }
);

/// List the grants of patterns that the caller administers; all of them for an administrator.
#[utoipa::path(get, path = "/grants", tag = "grants", params(PageQuery), responses(
    (status = OK, description = "A page of grants, by subject and pattern", body = Page<GrantEntry>),
    (status = FORBIDDEN, description = "The caller administers no pattern", body = Problem),
))]
pub(crate) async fn list_grants(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<GrantEntry>>, ApiError> {
    let session = session.signed_in()?;
    let all = state.store.grants().await?;
    patterns::demand_any(&session, &all)?;
    let cursor = |grant: &Grant| format!("{} {}", grant.subject, grant.pattern);
    patterns::page(&session, &query, all, |grant| &grant.pattern, cursor).map(Body)
}

/// Set a grant; the roles of a grant with the same subject and pattern are replaced.
#[utoipa::path(post, path = "/grants", tag = "grants", request_body = GrantEntry, responses(
    (status = OK, description = "Set", body = GrantEntry),
    (status = FORBIDDEN, description = "The caller does not administer the pattern", body = Problem),
))]
pub(crate) async fn set_grant(
    State(state): State<WebState>,
    session: Session,
    Body(grant): Body<GrantEntry>,
) -> Result<Body<GrantEntry>, ApiError> {
    let permit = session.administers(&grant.pattern)?;
    if grant.roles.is_empty() {
        return Err(ApiError::malformed(
            "no role given: name at least one of pull, inspect, push, delete, admin",
        ));
    }
    state
        .store
        .set_grant(
            &Actor::pattern_administrator(&permit, CAUSE),
            &grant.clone().into(),
        )
        .await?;
    Ok(Body(grant))
}

/// Remove a grant.
#[utoipa::path(delete, path = "/grants", tag = "grants", params(GrantKey), responses(
    (status = NO_CONTENT, description = "Removed"),
    (status = NOT_FOUND, description = "No such grant", body = Problem),
))]
pub(crate) async fn remove_grant(
    State(state): State<WebState>,
    session: Session,
    Query(key): Query<GrantKey>,
) -> Result<StatusCode, ApiError> {
    let permit = session.administers(&key.pattern)?;
    let actor = Actor::pattern_administrator(&permit, CAUSE);
    state
        .store
        .remove_grant(&actor, &key.subject, &key.pattern)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
