//! Users: people with a password.

use access::{PrincipalKind, PrincipalName, SecretString};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::Actor;
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{Page, PageQuery};
use crate::principals::{self, CAUSE, PrincipalChange, PrincipalEntry};
use crate::problem::{ApiError, Problem};
use crate::query::{Path, Query};
use crate::session::Administrator;
use crate::state::WebState;

const USER: PrincipalKind = PrincipalKind::User;

/// A user to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Name: `a-z`, `0-9`, `.`, `_`, `@`, `+`, `-`.
    #[schema(value_type = String)]
    pub name: PrincipalName,
    /// Password of at least 12 characters.
    pub password: String,
    /// Whether the user may do everything.
    #[serde(default)]
    pub administrator: bool,
    /// When the account ends, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Moment>,
}

/// A new password.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// Password of at least 12 characters.
    pub password: String,
}

/// List users by name.
#[utoipa::path(get, path = "/users", tag = "users", params(PageQuery), responses(
    (status = OK, description = "A page of users", body = Page<PrincipalEntry>),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_users(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<PrincipalEntry>>, ApiError> {
    principals::list(&state, USER, &query).await
}

/// Make a user.
#[utoipa::path(post, path = "/users", tag = "users", request_body = NewUser, responses(
    (status = CREATED, description = "Made", body = PrincipalEntry),
    (status = CONFLICT, description = "The name is taken", body = Problem),
))]
pub(crate) async fn create_user(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(user): Body<NewUser>,
) -> Result<(StatusCode, Body<PrincipalEntry>), ApiError> {
    let name = user.name.clone();
    let new = store::NewUser {
        name: user.name,
        password: SecretString::new(user.password),
        administrator: user.administrator,
        not_after: user.not_after.map(|moment| moment.0),
    };
    state
        .store
        .create_user(&Actor::administrator(&permit, CAUSE), new)
        .await?;
    let made = principals::show(&state, USER, name.as_str()).await?;
    Ok((StatusCode::CREATED, made))
}

/// One user.
#[utoipa::path(get, path = "/users/{name}", tag = "users", params(("name" = String, Path)), responses(
    (status = OK, description = "The user", body = PrincipalEntry),
    (status = NOT_FOUND, description = "No such user", body = Problem),
))]
pub(crate) async fn get_user(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Path(name): Path<String>,
) -> Result<Body<PrincipalEntry>, ApiError> {
    principals::show(&state, USER, &name).await
}

/// Disable or enable a user, make it an administrator or not, set when it ends.
#[utoipa::path(patch, path = "/users/{name}", tag = "users", params(("name" = String, Path)),
    request_body = PrincipalChange, responses(
    (status = OK, description = "Changed", body = PrincipalEntry),
    (status = CONFLICT, description = "It is the last administrator", body = Problem),
))]
pub(crate) async fn change_user(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(name): Path<String>,
    Body(change): Body<PrincipalChange>,
) -> Result<Body<PrincipalEntry>, ApiError> {
    principals::change(&state, &permit, USER, &name, &change).await
}

/// Delete a user with the grants to its name.
#[utoipa::path(delete, path = "/users/{name}", tag = "users", params(("name" = String, Path)), responses(
    (status = NO_CONTENT, description = "Deleted"),
    (status = CONFLICT, description = "It is the last administrator", body = Problem),
))]
pub(crate) async fn delete_user(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    principals::delete(&state, &permit, USER, &name).await
}

/// Set a user's password. Every token and sign-in with the old one ends.
#[utoipa::path(put, path = "/users/{name}/password", tag = "users", params(("name" = String, Path)),
    request_body = NewPassword, responses(
    (status = NO_CONTENT, description = "Set"),
    (status = BAD_REQUEST, description = "The password is too weak", body = Problem),
))]
pub(crate) async fn set_password(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(name): Path<String>,
    Body(new): Body<NewPassword>,
) -> Result<StatusCode, ApiError> {
    let user = principals::find(&state, USER, &name).await?;
    let password = SecretString::new(new.password);
    state
        .store
        .set_password(&Actor::administrator(&permit, CAUSE), &user.name, &password)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
