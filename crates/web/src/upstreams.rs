//! The registries that are pulled through: how they are, what is fetched before somebody asks for it, and what is wrong where one does
//! not answer.

use axum::extract::State;
use http::StatusCode;
use oci::{Reference, RepoName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::problem::{ApiError, Kind, Problem};
use crate::session::Administrator;
use crate::state::WebState;

pub(crate) mod testing;

use testing::Tried;

/// Most images that one request has fetched.
const MOST_PREFETCHED: usize = 100;

/// Bytes of the name of an image: the longest repository and the longest digest.
const IMAGE_BYTES: usize = 512;

/// Somebody who pulls through other registries.
pub trait Proxying: Send + Sync {
    /// How the upstreams are, by name.
    fn upstreams(&self) -> Vec<UpstreamEntry>;

    /// The repository here that a name at a registry is pulled as. `None`: that registry is no upstream.
    fn repository(&self, registry: &str, name: &str) -> Option<RepoName>;

    /// Has images fetched, as soon as it is their turn. Answers them as they are listed.
    ///
    /// # Errors
    /// See [`PrefetchRefused`]; none is fetched then.
    fn prefetch(&self, images: Vec<(RepoName, Reference)>) -> Result<Vec<String>, PrefetchRefused>;

    /// Tries an upstream step by step, with its settings and files as they are now; an image is named as it is there.
    fn test<'a>(&'a self, upstream: &'a str, image: Option<&'a str>) -> Tried<'a>;
}

/// Why images are not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefetchRefused {
    /// It would not be fetched from anywhere.
    #[error(
        "{0} is below no upstream: name it by the path that it is pulled by, such as hub/library/alpine:3.22"
    )]
    NoUpstream(RepoName),
    /// The rules of the upstream.
    #[error("upstream {upstream} may not be asked for {repository}: its operator has not allowed that name")]
    NotAllowed {
        /// Its name.
        upstream: String,
        /// What was to be fetched.
        repository: RepoName,
    },
    /// Too many wait.
    #[error("{0} images wait to be fetched already; wait for some of them")]
    TooMany(usize),
}

/// How an upstream is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpstreamEntry {
    /// What it is called.
    pub name: String,
    /// `registry`, or `helm`: a classic repository of charts.
    pub kind: String,
    /// The path under which its repositories are kept here.
    pub prefix: String,
    /// Values of `?ns=` that mean it.
    pub namespaces: Vec<String>,
    /// Where it is.
    pub url: String,
    /// Whether it answered when it was last asked; missing: nobody has asked it since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<bool>,
    /// Since when that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// What it answered last in place of what it was asked for. That it does not have something is no failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error_at: Option<Moment>,
    /// Requests that it may still be asked within this hour; missing: there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_left: Option<u64>,
    /// Bytes that it may still be asked for within this hour; missing: there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_left: Option<u64>,
    /// Blobs that come from it now.
    pub flights: u64,
    /// Since the start: pulls answered with what is held and fresh.
    pub hits: u64,
    /// Since the start: pulls for which it was asked.
    pub misses: u64,
    /// Since the start: pulls answered with what is held in place of its answer.
    pub stale: u64,
    /// Since the start: questions to it that failed.
    pub errors: u64,
    /// Since the start: bytes taken in.
    pub fetched_bytes: u64,
    /// What of it is fetched before somebody asks for it.
    pub prefetches: Vec<PrefetchEntry>,
}

/// How far it is with what is fetched before somebody asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrefetchState {
    /// Its turn has not come yet.
    Waiting,
    /// It is being fetched.
    Running,
    /// All of it is here.
    Done,
    /// Some of it is not; the error says why.
    Failed,
}

/// What is fetched before somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrefetchEntry {
    /// The image, or the repository and the pattern of its tags.
    pub images: String,
    /// How far it is.
    pub state: PrefetchState,
    /// When the last turn ended, or the present one began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// Images and charts that the last turn found here or brought here.
    pub here: u64,
    /// What went wrong in the last turn, the first of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When its next turn is; missing: it is fetched once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Moment>,
}

/// How all upstreams are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpstreamReport {
    /// By name.
    pub upstreams: Vec<UpstreamEntry>,
}

/// Images that are to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPrefetch {
    /// By the path that they are pulled by, with tag or digest: `hub/library/alpine:3.22`. At most 100.
    pub images: Vec<String>,
}

/// How the registries are that are pulled through.
#[utoipa::path(get, path = "/upstreams", tag = "upstreams", responses(
    (status = OK, description = "All upstreams", body = UpstreamReport),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_upstreams(
    State(state): State<WebState>,
    Administrator(_permit): Administrator,
) -> Body<UpstreamReport> {
    let upstreams = state.proxying.as_ref().map(|proxying| proxying.upstreams());
    Body(UpstreamReport {
        upstreams: upstreams.unwrap_or_default(),
    })
}

/// Have images fetched from upstreams before somebody asks for them. The list of upstreams tells how far they are.
#[utoipa::path(post, path = "/upstreams/prefetches", tag = "upstreams", request_body = NewPrefetch, responses(
    (status = ACCEPTED, description = "They are fetched as soon as it is their turn; they are listed by these names", body = NewPrefetch),
    (status = BAD_REQUEST, description = "One of them is no image of an upstream", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many wait already", body = Problem),
))]
pub(crate) async fn prefetch(
    State(state): State<WebState>,
    Administrator(_permit): Administrator,
    Body(wanted): Body<NewPrefetch>,
) -> Result<(StatusCode, Body<NewPrefetch>), ApiError> {
    if wanted.images.is_empty() || wanted.images.len() > MOST_PREFETCHED {
        let detail = format!("{} images: name 1 to {MOST_PREFETCHED}", wanted.images.len());
        return Err(ApiError::malformed(detail));
    }
    let images = wanted.images.iter().map(|image| named(image));
    let images: Vec<_> = images.collect::<Result<_, _>>()?;
    let Some(proxying) = &state.proxying else {
        return Err(ApiError::malformed("this registry pulls through no other one"));
    };
    match proxying.prefetch(images) {
        Ok(images) => Ok((StatusCode::ACCEPTED, Body(NewPrefetch { images }))),
        Err(refused @ PrefetchRefused::TooMany(_)) => Err(ApiError::new(Kind::TooMany, refused)),
        Err(refused) => Err(ApiError::malformed(refused)),
    }
}

/// `NAME:TAG` or `NAME@DIGEST`.
fn named(image: &str) -> Result<(RepoName, Reference), ApiError> {
    let wrong = || {
        let shown: String = image.chars().take(IMAGE_BYTES).collect();
        ApiError::malformed(format!(
            "{shown:?} is no image: write hub/library/alpine:3.22 or …@sha256:…"
        ))
    };
    if image.len() > IMAGE_BYTES {
        return Err(wrong());
    }
    let (name, reference) = image
        .split_once('@')
        .or_else(|| image.rsplit_once(':'))
        .ok_or_else(wrong)?;
    let name = name.parse().map_err(|_| wrong())?;
    let reference = reference.parse().map_err(|_| wrong())?;
    Ok((name, reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_whole() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (image, name, reference) in [
            ("hub/library/alpine:3.22", "hub/library/alpine", "3.22"),
            (&format!("hub/app@{digest}"), "hub/app", digest.as_str()),
        ] {
            let (found, of) = named(image).unwrap();
            assert_eq!((found.as_str(), of.to_string().as_str()), (name, reference));
        }
        for wrong in [
            "",
            "hub/app",
            "hub/app:",
            ":1",
            "Hub/App:1",
            "hub/app@1:2",
            &"a".repeat(IMAGE_BYTES + 1),
        ] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
