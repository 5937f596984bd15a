//! What went wrong, for whoever asked (RFC 9457) and for the log. The one place where an error gets a status.

use std::error::Error;
use std::fmt::Display;

use access::token::TokenError;
use access::{AuthorizationError, Denied};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};
use store::{AdminError, AuthError, BackupError, DeleteError, FeedHold, MaintenanceError, StoreError};
use utoipa::ToSchema;

/// Media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// In front of every problem's type; the words behind it are in [`Kind::parts`].
const TYPE_PREFIX: &str = "urn:roadbed:problem:";

/// A problem as it is sent (RFC 9457, section 3.1), with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem, for programs: `urn:roadbed:problem:not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// What to do about it.
    pub remedy: String,
    /// Everything that is wrong, one by one, where it is more than the detail tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// What waits for a person, where that is why it was not done: an import of advisories that lets pass much of what is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub held: Option<Box<FeedHold>>,
}

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    Unauthorized,
    Denied,
    NotFound,
    MethodNotAllowed,
    Exists,
    Conflict,
    Busy,
    Unavailable,
    TooLarge,
    NotJson,
    TooMany,
    Timeout,
    Internal,
    DiskFull,
}

impl Kind {
    /// Status, word for the type, title.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (
                StatusCode::BAD_REQUEST,
                "malformed",
                "The request cannot be understood",
            ),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "Nobody is signed in"),
            Self::Denied => (StatusCode::FORBIDDEN, "denied", "This is not allowed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The path does not have this method",
            ),
            Self::Exists => (StatusCode::CONFLICT, "exists", "It exists already"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "The present state forbids it"),
            Self::Busy => (StatusCode::CONFLICT, "busy", "It is being done already"),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The registry cannot do it at the moment",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The request is too large",
            ),
            Self::NotJson => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                "The request is not JSON",
            ),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many requests"),
            Self::Timeout => (
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "The request took too long",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The registry failed",
            ),
            Self::DiskFull => (
                StatusCode::INSUFFICIENT_STORAGE,
                "disk-full",
                "The registry's disk is full",
            ),
        }
    }

    /// What to do about it.
    fn remedy(self) -> &'static str {
        match self {
            Self::Malformed => "correct it; /api/v1/openapi.json describes every request",
            Self::Unauthorized => "sign in with `roadbed login` or send Basic credentials",
            Self::Denied => "do it as somebody who may, or ask for what the detail names",
            Self::NotFound => "check the name, or list what there is",
            Self::MethodNotAllowed => "use a method that the Allow header names",
            Self::Exists => "choose another name, or change what exists",
            Self::Conflict => "change what stands in the way and try again",
            Self::Busy => "wait until the one that runs has ended",
            Self::Unavailable => "try again in a moment",
            Self::TooLarge => "send less at once",
            Self::NotJson => "send JSON with Content-Type: application/json",
            Self::TooMany => "come again after the time in Retry-After",
            Self::Timeout => "send the body without pauses, or try again when less is going on",
            Self::Internal => "try again; the server's log says why it failed",
            Self::DiskFull => {
                "free space on the disk of the data directory, then try again; nothing was lost"
            }
        }
    }
}

/// A request that failed. Becomes a [`Problem`].
#[derive(Debug)]
pub(crate) struct ApiError {
    kind: Kind,
    detail: String,
    /// Seconds.
    retry_after: Option<u64>,
    errors: Vec<String>,
    held: Option<Box<FeedHold>>,
}

impl ApiError {
    pub(crate) fn new(kind: Kind, detail: impl Display) -> Self {
        Self {
            kind,
            detail: detail.to_string(),
            retry_after: None,
            errors: Vec::new(),
            held: None,
        }
    }

    /// With what waits for a person.
    #[must_use]
    pub(crate) fn with_held(self, held: FeedHold) -> Self {
        Self {
            held: Some(Box::new(held)),
            ..self
        }
    }

    /// With all that is wrong, one by one.
    #[must_use]
    pub(crate) fn with_errors(self, errors: Vec<String>) -> Self {
        Self { errors, ..self }
    }

    pub(crate) fn malformed(detail: impl Display) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    pub(crate) fn not_found(kind: &str, name: impl Display) -> Self {
        Self::new(Kind::NotFound, format!("there is no {kind} {name}"))
    }

    pub(crate) fn retry_after(kind: Kind, detail: impl Display, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(kind, detail)
        }
    }

    /// Logs the causes, which are nobody's business outside, and says only that it failed.
    pub(crate) fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "request of the API failed");
        Self::new(Kind::Internal, "the registry could not do this")
    }

    /// The problem as it is sent.
    pub(crate) fn to_problem(&self) -> Problem {
        let (status, word, title) = self.kind.parts();
        Problem {
            kind: format!("{TYPE_PREFIX}{word}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            remedy: self.kind.remedy().to_owned(),
            errors: self.errors.clone(),
            held: self.held.clone(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.to_problem();
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.kind == Kind::Unauthorized {
            // Not Basic: browsers would ask for a password and then send it with every request, also with forged ones.
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"roadbed-api\""),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DiskFull => {
                // It was logged when it began.
                tracing::debug!(error = &error as &dyn Error, "request of the API turned away");
                Self::new(Kind::DiskFull, error)
            }
            StoreError::Busy
            | StoreError::Closed
            | StoreError::TaskLost
            | StoreError::Away
            | StoreError::Unwritable => {
                Self::retry_after(Kind::Unavailable, error, crate::admission::RETRY_AFTER_SECONDS)
            }
            StoreError::ImportRunning => Self::new(Kind::Busy, error),
            StoreError::TooManyAdvisories { .. }
            | StoreError::TooManyChanges { .. }
            | StoreError::TooManyOwed { .. }
            | StoreError::TooManyRecords { .. } => Self::new(Kind::Conflict, error),
            StoreError::ImportOver => Self::new(Kind::NotFound, error),
            error => Self::internal(&error),
        }
    }
}

impl From<MaintenanceError> for ApiError {
    fn from(error: MaintenanceError) -> Self {
        match error {
            MaintenanceError::Reason { .. } | MaintenanceError::End => Self::malformed(error),
            MaintenanceError::Store(error) => error.into(),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Rejected => Self::new(Kind::Unauthorized, error),
            AuthError::TooMany { retry_after } => {
                Self::retry_after(Kind::TooMany, &error, retry_after.as_secs())
            }
            AuthError::Store(error) => error.into(),
        }
    }
}

impl From<AuthorizationError> for ApiError {
    fn from(error: AuthorizationError) -> Self {
        Self::new(Kind::Unauthorized, error)
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        Self::new(Kind::Unauthorized, error)
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        let kind = if denied.calls_for_credentials() {
            Kind::Unauthorized
        } else {
            Kind::Denied
        };
        Self::new(kind, denied)
    }
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        let kind = match &error {
            AdminError::Store(error) => return error.clone().into(),
            AdminError::Busy => return Self::retry_after(Kind::TooMany, &error, 1),
            AdminError::Exists { .. } => Kind::Exists,
            AdminError::NotFound { .. } => Kind::NotFound,
            AdminError::WrongPassword => Kind::Denied,
            AdminError::TooManySecrets { .. }
            | AdminError::LastAdministrator { .. }
            | AdminError::TooMany { .. } => Kind::Conflict,
            AdminError::WeakPassword { .. } | AdminError::Invalid { .. } => Kind::Malformed,
        };
        Self::new(kind, error)
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        let kind = match &error {
            DeleteError::Store(error) => return error.clone().into(),
            DeleteError::Unknown => Kind::NotFound,
            DeleteError::Disabled
            | DeleteError::TagImmutable { .. }
            | DeleteError::InUse { .. }
            | DeleteError::InIndex { .. } => Kind::Conflict,
        };
        Self::new(kind, error)
    }
}

impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Busy => Self::new(Kind::Busy, error),
            BackupError::SourceDamaged { .. } => Self::new(Kind::Conflict, error),
            BackupError::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

pub(crate) async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::not_found("path", uri.path())
}

pub(crate) async fn unknown_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        Kind::MethodNotAllowed,
        format!("{} does not have {method}", uri.path()),
    )
}
