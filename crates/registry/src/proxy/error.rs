//! Why a pull through an upstream failed, and what the client is told.

use std::sync::Arc;
use std::time::Duration;

use access::fair::Shed;
use http::StatusCode;
use oci::{ErrorCode, Reference};
use serde_json::{Value, json};
use store::{BodyError, PutError, StoreError, UploadError};
use thiserror::Error;

use super::room::NoRoom;
use super::source::SourceError;
use super::upstreams::Upstream;
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
    /// It failed at this a moment ago, and is left alone with it for a while.
    #[error("upstream {upstream} failed at this; it is asked for it again in {} s", retry_after.as_secs().max(1))]
    Failing {
        /// Its name.
        upstream: Arc<str>,
        /// For how long.
        retry_after: Duration,
    },
    /// So much of the upstream is wanted that its turn did not come.
    #[error("too much is wanted of upstream {upstream} at the same time; ask again in {} s", retry_after.as_secs().max(1))]
    NoTurn {
        /// Its name.
        upstream: Arc<str>,
        /// When it is worth asking again.
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
    #[error("what came from upstream {upstream} was not stored: {}", of_upload(source))]
    Blob {
        /// Its name.
        upstream: Arc<str>,
        /// Why.
        #[source]
        source: Box<UploadError>,
    },
    /// The manifest that came could not be stored.
    #[error("the manifest from upstream {upstream} was not stored: {}", of_put(source))]
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

/// The shortest and the longest time after which it is worth asking again for what had no turn.
const NO_TURN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl ProxyError {
    /// Somebody whose turn did not come.
    pub(crate) fn no_turn(upstream: &Upstream, shed: Shed) -> Self {
        let (least, most) = NO_TURN;
        Self::NoTurn {
            upstream: Arc::clone(&upstream.config.name),
            retry_after: Duration::from_millis(shed.after()).clamp(least, most),
        }
    }

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
            Self::Shut { retry_after, .. }
            | Self::Failing { retry_after, .. }
            | Self::NoTurn { retry_after, .. }
            | Self::ReadOnly { retry_after, .. } => {
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
            Self::Store(error) => ApiError::not_taken_in(error),
            // Whatever else is wrong with what came is the upstream's fault.
            Self::Blob { source, .. } => match *source {
                UploadError::Store(error) => ApiError::not_taken_in(error),
                quota @ UploadError::Quota(_) => quota.into(),
                _ => bad_gateway(message),
            },
            Self::Manifest { source, .. } => match *source {
                PutError::Store(error) => ApiError::not_taken_in(error),
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
        SourceError::Unreachable(_) | SourceError::Failing(_) => {
            ApiError::unavailable(message, RETRY_AFTER_SECONDS)
        }
        SourceError::Broken(_) | SourceError::TooLarge { .. } => bad_gateway(message),
    }
}

/// Why a blob was not stored, for who pulls it: what a pusher would be told to do is no remedy here.
fn of_upload(error: &UploadError) -> String {
    match error {
        UploadError::DigestMismatch { expected, actual } => {
            format!("it has digest {actual}, not {expected}")
        }
        // Who went away is not the client.
        UploadError::Interrupted {
            offset,
            source: BodyError::Disconnected,
        } => format!("it broke off after {offset} bytes"),
        UploadError::Interrupted { offset, source } => format!("it broke off after {offset} bytes: {source}"),
        error => error.to_string(),
    }
}

/// The same of a manifest.
fn of_put(error: &PutError) -> String {
    match error {
        PutError::BlobsUnknown(digests) | PutError::ChildrenUnknown(digests) => {
            format!("{} of what it names went meanwhile; pull it again", digests.len())
        }
        error => error.to_string(),
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use oci::{Algorithm, Digest};

    use super::*;

    fn blob(source: UploadError) -> ProxyError {
        ProxyError::Blob {
            upstream: "hub".into(),
            source: Box::new(source),
        }
    }

    fn manifest(source: PutError) -> ProxyError {
        ProxyError::Manifest {
            upstream: "hub".into(),
            source: Box::new(source),
        }
    }

    #[tokio::test]
    async fn who_pulls_is_not_told_to_push() {
        let digest = Digest::of(Algorithm::Sha256, b"blob");
        let unwritable = || StoreError::File {
            action: "create",
            path: "uploads".into(),
            source: Arc::new(std::io::ErrorKind::ReadOnlyFilesystem.into()),
        };
        for error in [
            blob(UploadError::DigestMismatch {
                expected: digest,
                actual: digest,
            }),
            blob(UploadError::Interrupted {
                offset: 7,
                source: BodyError::Disconnected,
            }),
            blob(UploadError::TooLarge { limit: 7 }),
            blob(UploadError::Store(StoreError::DiskFull)),
            blob(UploadError::Store(unwritable())),
            manifest(PutError::BlobsUnknown(vec![digest])),
            manifest(PutError::Store(StoreError::DiskFull)),
            manifest(PutError::Store(unwritable())),
            ProxyError::Store(StoreError::DiskFull),
        ] {
            let response = error.into_api(AskedFor::Blob(&digest)).into_response();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8_lossy(&body);
            let is_for_pushers = ["push", "continue there", "upload", "client"]
                .iter()
                .any(|word| body.contains(word));
            assert!(!is_for_pushers, "{body}");
        }
    }
}
