//! An upstream that is tried step by step, on an administrator's word.

use std::pin::Pin;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Body;
use crate::problem::{ApiError, Kind, Problem};
use crate::session::Administrator;
use crate::state::WebState;

/// When it is worth asking again while one is tried, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// What came of it, some time later.
pub type Tried<'a> = Pin<Box<dyn Future<Output = Result<UpstreamTest, TestRefused>> + Send + 'a>>;

/// Why an upstream is not tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestRefused {
    /// There is none of that name.
    #[error("there is no upstream {0}")]
    Unknown(String),
    /// What is to be asked for has no name.
    #[error("{0:?} is no image there: write library/alpine or library/alpine:3.22")]
    NoImage(String),
    /// It has charts, and no images.
    #[error("upstream {0} is a repository of charts: it is tried without an image")]
    Charts(String),
    /// One is tried already.
    #[error("an upstream is being tried already: wait until that is done")]
    Busy,
}

/// What an upstream is asked for while it is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpstreamTest {
    /// An image as the upstream calls it, `library/alpine:3.22`; the tag is `latest` where there is none. Missing: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// What came of trying an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpstreamTest {
    /// Its name.
    pub upstream: String,
    /// Where it is.
    pub url: String,
    /// Whether all of it was right.
    pub passed: bool,
    /// What was tried, in this order; behind one that failed nothing is.
    pub steps: Vec<UpstreamTestStep>,
}

/// One step of trying an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpstreamTestStep {
    /// `settings`, `resolve`, `connect`, `tls`, `ping`, `login`, `manifest`; `index` of a repository of charts.
    pub step: String,
    /// Whether it was right.
    pub passed: bool,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// What was found, or what is wrong, with its causes.
    pub outcome: String,
    /// What to do about what is wrong, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Try an upstream: whether its host is found and answers, takes the login, and has an image. One at a time.
#[utoipa::path(post, path = "/upstreams/{name}/test", tag = "upstreams",
    params(("name" = String, Path, description = "Its name")), request_body = NewUpstreamTest, responses(
    (status = OK, description = "What came of it", body = UpstreamTest),
    (status = BAD_REQUEST, description = "The image has no name, or the upstream no images", body = Problem),
    (status = NOT_FOUND, description = "No such upstream", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "One is tried already", body = Problem),
))]
pub(crate) async fn test_upstream(
    State(state): State<WebState>,
    Administrator(_permit): Administrator,
    Path(name): Path<String>,
    Body(wanted): Body<NewUpstreamTest>,
) -> Result<Body<UpstreamTest>, ApiError> {
    let unknown = || ApiError::not_found("upstream", &name);
    let proxying = state.proxying.as_ref().ok_or_else(unknown)?;
    match proxying.test(&name, wanted.image.as_deref()).await {
        Ok(test) => Ok(Body(test)),
        Err(TestRefused::Unknown(_)) => Err(unknown()),
        Err(refused @ (TestRefused::NoImage(_) | TestRefused::Charts(_))) => {
            Err(ApiError::malformed(refused))
        }
        Err(refused @ TestRefused::Busy) => {
            Err(ApiError::retry_after(Kind::TooMany, refused, RETRY_AFTER_SECONDS))
        }
    }
}
