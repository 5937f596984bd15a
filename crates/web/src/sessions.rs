//! Signing in, and what the one who signed in may.

use std::time::Duration;

use access::token::{Audience, Claims, MAX_LIFETIME_SECONDS, TokenSubject};
use access::{Caller, PrincipalKind, PrincipalName, SecretString, Subject};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::body::Body;
use crate::grants::GrantEntry;
use crate::moment::Moment;
use crate::problem::{ApiError, Problem};
use crate::session::{Origin, Session};
use crate::state::WebState;

/// Credentials of a user or robot.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// Name.
    pub user: String,
    /// Password, or a robot's secret.
    pub password: String,
    /// How long the token should live, in seconds; never longer than the registry allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_seconds: Option<u64>,
}

/// A token for the API. It opens nothing below `/v2`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedSession {
    /// Send it as `Authorization: Bearer …`.
    pub token: String,
    /// When it ends; it ends earlier when the password is changed or the account disabled.
    pub expires_at: Moment,
    /// Whose it is.
    #[schema(value_type = String)]
    pub user: PrincipalName,
}

/// Who is signed in.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// Name.
    #[schema(value_type = String)]
    pub name: PrincipalName,
    /// `user` or `robot`.
    #[schema(value_type = String)]
    pub kind: PrincipalKind,
    /// Whether everything is allowed.
    pub administrator: bool,
    /// The grants that hold for the caller, those for everybody included; none are listed for an administrator's
    /// right to do everything.
    pub grants: Vec<GrantEntry>,
    /// When the token ends, if the request brought one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Moment>,
}

/// A new password for oneself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    /// The present one.
    pub old: String,
    /// The next one.
    pub new: String,
}

/// Sign in and get a token.
#[utoipa::path(post, path = "/session", tag = "session", request_body = NewSession, security(()), responses(
    (status = CREATED, description = "A token", body = IssuedSession),
    (status = UNAUTHORIZED, description = "Wrong name, password or secret", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many sign-ins or failures", body = Problem),
))]
pub(crate) async fn create_session(
    State(state): State<WebState>,
    origin: Origin,
    Body(asked): Body<NewSession>,
) -> Result<(StatusCode, Body<IssuedSession>), ApiError> {
    let caller = state
        .store
        .authenticate(&asked.user, &SecretString::new(asked.password), origin.address)
        .await?;
    origin.who.note(&caller);
    let session = issue(&state, &caller, asked.lifetime_seconds)?;
    Ok((StatusCode::CREATED, Body(session)))
}

fn issue(state: &WebState, caller: &Caller, asked_seconds: Option<u64>) -> Result<IssuedSession, ApiError> {
    let (Some(principal), Some(secret)) = (caller.principal(), caller.secret()) else {
        return Err(ApiError::malformed("nobody needs no token"));
    };
    let longest = i64::try_from(state.config.api_token_lifetime.as_secs())
        .unwrap_or(i64::MAX)
        .min(MAX_LIFETIME_SECONDS);
    let asked = asked_seconds.map_or(longest, |seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
    let lifetime = asked.clamp(1, longest.max(1));
    let now = state.store.now();
    let claims = Claims {
        id: Uuid::now_v7().into_bytes(),
        audience: Audience::Api,
        subject: Some(TokenSubject {
            name: principal.name.clone(),
            principal: principal.id,
            secret,
        }),
        scopes: Vec::new(),
        issued_at: now.seconds(),
        expires_at: now.seconds().saturating_add(lifetime),
    };
    let token = state.store.signer().issue(&claims)?;
    let expires_at = now.plus(Duration::from_secs(u64::try_from(lifetime).unwrap_or(0)));
    Ok(IssuedSession {
        token,
        expires_at: Moment(expires_at),
        user: principal.name.clone(),
    })
}

/// Who am I, and what may I?
#[utoipa::path(get, path = "/session", tag = "session", responses(
    (status = OK, description = "Who is signed in", body = Whoami),
    (status = UNAUTHORIZED, description = "Nobody", body = Problem),
))]
pub(crate) async fn get_session(
    State(state): State<WebState>,
    session: Session,
) -> Result<Body<Whoami>, ApiError> {
    let session = session.signed_in()?;
    let Some(name) = session.caller.principal().map(|principal| principal.name.clone()) else {
        return Err(ApiError::malformed("nobody is signed in"));
    };
    let grants = state.store.grants().await?;
    let hold = |subject: &Subject| match subject {
        Subject::Anonymous | Subject::Authenticated => true,
        Subject::Principal(other) => *other == name,
    };
    let grants = grants
        .into_iter()
        .filter(|grant| hold(&grant.subject))
        .map(GrantEntry::from)
        .collect();
    Ok(Body(Whoami {
        kind: session
            .caller
            .principal()
            .map_or(PrincipalKind::User, |principal| principal.kind),
        administrator: session.system().is_ok(),
        grants,
        expires_at: session
            .caller
            .not_after()
            .map(|last| Moment(store::Timestamp(last))),
        name,
    }))
}

/// Change one's own password. Every token and sign-in with the old one ends.
#[utoipa::path(put, path = "/session/password", tag = "session", request_body = OwnPassword, responses(
    (status = NO_CONTENT, description = "Changed"),
    (status = BAD_REQUEST, description = "The new password is too weak", body = Problem),
    (status = FORBIDDEN, description = "The old password is wrong", body = Problem),
))]
pub(crate) async fn change_own_password(
    State(state): State<WebState>,
    session: Session,
    Body(change): Body<OwnPassword>,
) -> Result<StatusCode, ApiError> {
    let session = session.signed_in()?;
    let (old, new) = (SecretString::new(change.old), SecretString::new(change.new));
    state.store.set_own_password(&session.caller, &old, &new).await?;
    Ok(StatusCode::NO_CONTENT)
}
