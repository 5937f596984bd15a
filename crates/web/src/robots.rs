//! Robots: programs with up to two generated secrets.

use access::{PrincipalKind, PrincipalName, SecretId};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{Actor, IssuedSecret};
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{Page, PageQuery};
use crate::principals::{self, CAUSE, PrincipalChange, PrincipalEntry, SecretEntry};
use crate::problem::{ApiError, Problem};
use crate::query::{Path, Query};
use crate::session::Administrator;
use crate::state::WebState;

const ROBOT: PrincipalKind = PrincipalKind::Robot;

/// A robot to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRobot {
    /// Name: `a-z`, `0-9`, `.`, `_`, `@`, `+`, `-`.
    #[schema(value_type = String)]
    pub name: PrincipalName,
    /// When the robot ends, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Moment>,
    /// When its first secret ends, if before the robot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_not_after: Option<Moment>,
}

/// A secret to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSecret {
    /// When it ends, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Moment>,
}

/// A robot's new secret. It is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShownSecret {
    /// The robot.
    #[schema(value_type = String)]
    pub robot: PrincipalName,
    /// What to call the secret when it is revoked.
    pub id: i64,
    /// The secret itself.
    pub secret: String,
    /// When it ends, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Moment>,
}

impl ShownSecret {
    pub(crate) fn of(robot: PrincipalName, issued: &IssuedSecret) -> Self {
        let secret = issued.secret.expose().to_owned();
        Self {
            robot,
            id: issued.id.0,
            secret,
            not_after: issued.not_after.map(Moment),
        }
    }
}

/// List robots by name.
#[utoipa::path(get, path = "/robots", tag = "robots", params(PageQuery), responses(
    (status = OK, description = "A page of robots", body = Page<PrincipalEntry>),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_robots(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<PrincipalEntry>>, ApiError> {
    principals::list(&state, ROBOT, &query).await
}

/// Make a robot and its first secret, which is shown this once.
#[utoipa::path(post, path = "/robots", tag = "robots", request_body = NewRobot, responses(
    (status = CREATED, description = "Made", body = ShownSecret),
    (status = CONFLICT, description = "The name is taken", body = Problem),
))]
pub(crate) async fn create_robot(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(robot): Body<NewRobot>,
) -> Result<(StatusCode, Body<ShownSecret>), ApiError> {
    let name = robot.name.clone();
    let new = store::NewRobot {
        name: robot.name,
        not_after: robot.not_after.map(|moment| moment.0),
        secret_not_after: robot.secret_not_after.map(|moment| moment.0),
    };
    let issued = state
        .store
        .create_robot(&Actor::administrator(&permit, CAUSE), new)
        .await?;
    Ok((StatusCode::CREATED, Body(ShownSecret::of(name, &issued))))
}

/// One robot.
#[utoipa::path(get, path = "/robots/{name}", tag = "robots", params(("name" = String, Path)), responses(
    (status = OK, description = "The robot", body = PrincipalEntry),
    (status = NOT_FOUND, description = "No such robot", body = Problem),
))]
pub(crate) async fn get_robot(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Path(name): Path<String>,
) -> Result<Body<PrincipalEntry>, ApiError> {
    principals::show(&state, ROBOT, &name).await
}

/// Disable or enable a robot, set when it ends.
#[utoipa::path(patch, path = "/robots/{name}", tag = "robots", params(("name" = String, Path)),
    request_body = PrincipalChange, responses(
    (status = OK, description = "Changed", body = PrincipalEntry),
    (status = NOT_FOUND, description = "No such robot", body = Problem),
))]
pub(crate) async fn change_robot(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(name): Path<String>,
    Body(change): Body<PrincipalChange>,
) -> Result<Body<PrincipalEntry>, ApiError> {
    principals::change(&state, &permit, ROBOT, &name, &change).await
}

/// Delete a robot with its secrets and the grants to its name.
#[utoipa::path(delete, path = "/robots/{name}", tag = "robots", params(("name" = String, Path)), responses(
    (status = NO_CONTENT, description = "Deleted"),
    (status = NOT_FOUND, description = "No such robot", body = Problem),
))]
pub(crate) async fn delete_robot(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    principals::delete(&state, &permit, ROBOT, &name).await
}

/// A robot's secrets, without the secrets themselves. There are at most a few.
#[utoipa::path(get, path = "/robots/{name}/secrets", tag = "robots", params(("name" = String, Path)), responses(
    (status = OK, description = "The secrets", body = Page<SecretEntry>),
    (status = NOT_FOUND, description = "No such robot", body = Problem),
))]
pub(crate) async fn list_secrets(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Path(name): Path<String>,
) -> Result<Body<Page<SecretEntry>>, ApiError> {
    let robot = principals::find(&state, ROBOT, &name).await?;
    Ok(Body(Page {
        items: robot.secrets.into_iter().map(SecretEntry::from).collect(),
        next: None,
    }))
}

/// Give a robot one more secret, which is shown this once. It may hold two valid ones.
#[utoipa::path(post, path = "/robots/{name}/secrets", tag = "robots", params(("name" = String, Path)),
    request_body = NewSecret, responses(
    (status = CREATED, description = "Made", body = ShownSecret),
    (status = CONFLICT, description = "It holds two valid ones already", body = Problem),
))]
pub(crate) async fn add_secret(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(name): Path<String>,
    Body(new): Body<NewSecret>,
) -> Result<(StatusCode, Body<ShownSecret>), ApiError> {
    let robot = principals::find(&state, ROBOT, &name).await?.name;
    let not_after = new.not_after.map(|moment| moment.0);
    let issued = state
        .store
        .add_robot_secret(&Actor::administrator(&permit, CAUSE), &robot, not_after)
        .await?;
    Ok((StatusCode::CREATED, Body(ShownSecret::of(robot, &issued))))
}

/// Make a secret invalid at once, with every token that it got.
#[utoipa::path(delete, path = "/robots/{name}/secrets/{id}", tag = "robots",
    params(("name" = String, Path), ("id" = i64, Path)), responses(
    (status = NO_CONTENT, description = "Revoked"),
    (status = NOT_FOUND, description = "No such robot or secret", body = Problem),
))]
pub(crate) async fn revoke_secret(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path((name, id)): Path<(String, i64)>,
) -> Result<StatusCode, ApiError> {
    let robot = principals::find(&state, ROBOT, &name).await?.name;
    state
        .store
        .revoke_robot_secret(&Actor::administrator(&permit, CAUSE), &robot, SecretId(id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
