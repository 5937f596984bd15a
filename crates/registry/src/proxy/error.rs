//! Why a pull through an upstream failed, and what the client is told.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use oci::{ErrorCode, Reference};
use serde_json::{Value, json};
use store::{PutError, StoreError, UploadError};
use thiserror::Error;

use super::room::NoRoom;
use super::source::SourceError;
use crate::error::{ApiError, RETRY_AFTER_SECONDS};

/// Why something did not come through an upstream. Can be told to all who wait for it: what is displayed names the upstream and
/// nothing that lies between here and there; the sources do.
#[derive(Debug, Clone, Error)]
pub(crate) enum ProxyError {
    /// The upstream did not bring it.
    #[error("upstream {upstream}: {}", source.told())]
    Source {
        /// Its name.
        upstream: Arc<str>,
        /// What it said.
        #[source]
        source: SourceError,
    },
    /// It was not reached a moment ago, and is left alone for a while.
    #[error("upstream {upstream} cannot be reached; it is tried again in {} s", retry_after.as_secs().max(1))]
    Shut {
        /// Its name.
        upstream: Arc<str>,
        /// For how long.
        retry_after: Duration,
    },
    /// The rules of the upstream.
    #[error("upstream {upstream} may not be asked for {name}: its operator has not allowed that name")]
    NotAllowed {
        /// Its name.
        upstream: Arc<str>,
        /// What was asked for.
        name: String,
    },
    /// What came could not be stored.
    #[error("what came from upstream {upstream} was not stored: {source}")]
    Blob {
        /// Its name.
        upstream: Arc<str>,
        /// Why.
        #[source]
        source: Box<UploadError>,
    },
    /// The manifest that came could not be stored.
    #[error("the manifest from upstream {upstream} was not stored: {source}")]
    Manifest {
        /// Its name.
        upstream: Arc<str>,
        /// Why.
        #[source]
        source: Box<PutError>,
    },
    /// Policy refuses to take it in.
    #[error("{message}")]
    Refused {
        /// For people.
        message: String,
        /// For programs.
        detail: Value,
    },
    /// Nothing comes in while the registry is maintained.
    #[error("the registry is read-only for maintenance and asks no upstream ({reason})")]
    ReadOnly {
        /// Why it is maintained.
        reason: String,
        /// When it is worth asking again.
        retry_after: Duration,
    },
    /// A bound is reached.
    #[error("{0}; retry after a moment")]
    TooMany(&'static str),
    /// The disk may hold no more.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// It is on its way and was not here in time.
    #[error("it is being fetched from upstream {upstream}; ask again in a moment")]
    OnItsWay {
        /// Its name.
        upstream: Arc<str>,
    },
    /// A blob that no manifest here names.
    #[error("no manifest of this repository that was pulled names it: pull the manifest first")]
    Unnamed,
    /// The work was lost.
    #[error("fetching it was stopped; retry after a moment")]
    Lost,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// When it is worth asking again for what is on its way.
const ON_ITS_WAY_SECONDS: u64 = 5;

impl ProxyError {
    /// Whether asking again would be answered the same.
    pub(crate) fn is_a_no(&self) -> bool {
        match self {
            Self::Source { source, .. } => {
                matches!(source, SourceError::NotFound | SourceError::Denied(_))
            }
            // Else all of it would come again for each pull, to be thrown away at its end.
            Self::Blob { source, .. } => {
                matches!(**source, UploadError::Quota(_) | UploadError::TooLarge { .. })
            }
            Self::Refused { .. } => true,
            _ => false,
        }
    }

    /// Whether it is no word about what is held, which may be served in place of an answer.
    pub(crate) fn leaves_what_is_held(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::NotAllowed { .. })
    }

    /// The answer, for what was asked of.
    pub(crate) fn into_api(self, asked: AskedFor<'_>) -> ApiError {
        let message = self.to_string();
        match self {
            Self::Source { source, .. } => of_source(&source, message, asked),
            Self::Shut { retry_after, .. } | Self::ReadOnly { retry_after, .. } => {
                ApiError::unavailable(message, retry_after.as_secs().max(1))
            }
            Self::Unnamed => match asked {
                AskedFor::Manifest(reference) => ApiError::manifest_unknown(reference),
                AskedFor::Blob(digest) => unnamed(digest),
            },
            Self::NotAllowed { .. } => ApiError::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message),
            Self::Refused { message, detail } => {
                ApiError::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message).detail(detail)
            }
            Self::NoRoom(_) => {
                ApiError::new(StatusCode::INSUFFICIENT_STORAGE, ErrorCode::StorageFull, message)
            }
            Self::TooMany(_) => ApiError::too_many(message, RETRY_AFTER_SECONDS),
            Self::OnItsWay { .. } => ApiError::unavailable(message, ON_ITS_WAY_SECONDS),
            Self::Lost => ApiError::unavailable(message, RETRY_AFTER_SECONDS),
            Self::Store(error) => error.into(),
            // Whatever else is wrong with what came is the upstream's fault.
            Self::Blob { source, .. } => match *source {
                UploadError::Store(error) => error.into(),
                quota @ UploadError::Quota(_) => quota.into(),
                _ => bad_gateway(message),
            },
            Self::Manifest { source, .. } => match *source {
                PutError::Store(error) => error.into(),
                quota @ PutError::Quota(_) => quota.into(),
                _ => bad_gateway(message),
            },
        }
    }
}

/// What a client has asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AskedFor<'a> {
    Manifest(&'a Reference),
    Blob(&'a oci::Digest),
}

fn of_source(source: &SourceError, message: String, asked: AskedFor<'_>) -> ApiError {
    match source {
        SourceError::NotFound => match asked {
            AskedFor::Manifest(reference) => ApiError::manifest_unknown(reference),
            AskedFor::Blob(digest) => ApiError::blob_unknown(digest),
        },
        SourceError::Denied(_) | SourceError::Refused { .. } => {
            ApiError::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message)
        }
        SourceError::Throttled { retry_after } => {
            let seconds = retry_after.map_or(RETRY_AFTER_SECONDS, |wait| wait.as_secs());
            ApiError::too_many(message, seconds.max(1))
        }
        SourceError::Later { retry_after, .. } => {
            let seconds = retry_after.map_or(ON_ITS_WAY_SECONDS, |wait| wait.as_secs());
            ApiError::unavailable(message, seconds.max(1))
        }
        SourceError::OverBudget { retry_after } => ApiError::too_many(message, retry_after.as_secs().max(1)),
        SourceError::Unreachable(_) => ApiError::unavailable(message, RETRY_AFTER_SECONDS),
        SourceError::Broken(_) | SourceError::TooLarge { .. } => bad_gateway(message),
    }
}

/// Whether the blob is here or there is not told: both are answered so.
fn unnamed(digest: &oci::Digest) -> ApiError {
    let message = format!(
        "blob {digest} is named by no manifest of this repository that was pulled: pull its manifest first"
    );
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, message).detail(json!({ "digest": digest }))
}

fn bad_gateway(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_GATEWAY, ErrorCode::Unknown, message)
}
