//! The one place where what went wrong becomes an answer: status, specification code, and a message that says what to do.
//!
//! A failed request has two messages. The client reads the offence and the remedy; the log gets the causes of what is
//! our own fault, once, here.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use oci::{ErrorBody, ErrorCode, ErrorEntry};
use serde_json::{Value, json};
use store::{AuthError, BodyError, DeleteError, Maintenance, PutError, StoreError, Timestamp, UploadError};

use crate::{body::CollectError, query::QueryError, route::RouteError};

/// When a client that was told to come again should come, in seconds.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 2;

/// The same where the database or the disk is away, in seconds: it is tried again every second.
const AWAY_RETRY_SECONDS: u64 = 5;

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    detail: Option<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// An answer with a message for the client.
    pub(crate) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            detail: None,
            headers: Vec::new(),
        }
    }

    /// Adds what a program may want to know.
    #[must_use]
    pub(crate) fn detail(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Adds a header; a value that cannot be a header is left out.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.headers.push((name, value));
        }
        self
    }

    /// 429: a bound is reached; come again.
    pub(crate) fn too_many(message: impl Into<String>, retry_after_seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, message)
            .header(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds))
    }

    /// 503: it is not the client's fault, and passes.
    pub(crate) fn unavailable(message: impl Into<String>, retry_after_seconds: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
            .header(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds))
    }

    /// 503: the database cannot be asked, or not be changed. Whoever reads it learns what goes on meanwhile.
    fn away(error: &StoreError) -> Self {
        let message = match error {
            StoreError::Unwritable => {
                "the registry's database cannot be written: pulls go on, everything that changes something has to wait; retry after a moment"
            }
            StoreError::Closed => {
                "the registry is closed: a change of users, robots or grants cannot be read, nobody may do anything until it can; retry after a moment"
            }
            _ => {
                "the registry's database is away: pulls of what is in memory go on, everything else has to wait; retry after a moment"
            }
        };
        Self::unavailable(message, AWAY_RETRY_SECONDS)
    }

    /// What is told of something that a pull brings in and that cannot be stored: nobody has pushed it.
    pub(crate) fn not_taken_in(error: StoreError) -> Self {
        let offence = match &error {
            StoreError::DiskFull => Some("the registry's disk is full"),
            error if is_unwritable(error) => Some("the registry cannot write to its disk"),
            _ => None,
        };
        let mut told = Self::from(error);
        if let Some(offence) = offence {
            told.message = format!(
                "{offence}: what is not here yet cannot come in, pulls of what is here go on; tell its operator and pull again later"
            );
        }
        told
    }

    /// 503: nothing is to be changed. Not 405: it passes, and clients that retry should.
    pub(crate) fn read_only(maintenance: &Maintenance, now: Timestamp) -> Self {
        let until = maintenance
            .until
            .map_or_else(String::new, |until| format!(" until {}", until.to_rfc3339()));
        let message = format!(
            "the registry is read-only for maintenance{until} ({}); pulls go on, push again later",
            maintenance.reason
        );
        Self::unavailable(message, maintenance.retry_after(now).as_secs())
    }

    /// 405 with the methods that the endpoint has.
    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        let message = format!("this endpoint answers {allowed} only");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, message)
            .header(header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// 404 for a blob.
    pub(crate) fn blob_unknown(digest: &oci::Digest) -> Self {
        let message = format!("blob {digest} is not in this repository");
        Self::new(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, message).detail(json!({ "digest": digest }))
    }

    /// 404 for a manifest.
    pub(crate) fn manifest_unknown(reference: &oci::Reference) -> Self {
        let message = format!("manifest {reference} is not in this repository");
        Self::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, message)
            .detail(json!({ "reference": reference.to_string() }))
    }

    /// 404 for a repository.
    pub(crate) fn name_unknown(name: &oci::RepoName) -> Self {
        let message = format!("repository {name} is not known to this registry");
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, message).detail(json!({ "name": name }))
    }

    /// 400 for a digest that is not what it promised or not a digest.
    pub(crate) fn digest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message)
    }

    /// 400 for a manifest that is not one.
    pub(crate) fn manifest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, message)
    }

    /// A manifest that its parser refuses; 413 where it is only too large.
    pub(crate) fn manifest_refused(error: &oci::ManifestError) -> Self {
        let status = match error {
            oci::ManifestError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.code(), error.explain())
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer itself, in the form of the specification ("Error Codes").
    pub(crate) fn into_response(self) -> Response<Body> {
        let entry = ErrorEntry {
            code: self.code,
            message: self.message,
            detail: self.detail,
        };
        let body = ErrorBody { errors: vec![entry] }.to_json();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}

impl From<RouteError> for ApiError {
    fn from(error: RouteError) -> Self {
        Self::new(error.status(), error.code(), error.to_string())
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_away() || matches!(error, StoreError::Closed) {
            // Whoever found it out has logged it; every request would be a line.
            tracing::debug!(%error, "request turned away");
            return Self::away(&error);
        }
        if matches!(error, StoreError::DiskFull) {
            // It was logged when it began; every request would be a line.
            tracing::debug!("request turned away: the disk is full");
            return Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                ErrorCode::StorageFull,
                "the registry's disk is full; nothing was stored; tell its operator and push again later",
            );
        }
        if is_unwritable(&error) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the data directory cannot be written"
            );
            let message = "the registry cannot write to its disk; nothing was stored; tell its operator and push again later";
            return Self::unavailable(message, AWAY_RETRY_SECONDS);
        }
        if matches!(error, StoreError::Busy | StoreError::TaskLost) {
            tracing::warn!(error = &error as &dyn std::error::Error, "request turned away");
            let message =
                "the registry has too much to do at the moment or is about to stop; retry after a moment";
            return Self::unavailable(message, RETRY_AFTER_SECONDS);
        }
        tracing::error!(error = &error as &dyn std::error::Error, "request failed");
        let message = "the registry failed to do this; nothing that was acknowledged is lost; retry, and tell its operator";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, message)
    }
}

/// Whether the data directory may not be written: it is mounted read-only, or its mode was changed.
fn is_unwritable(error: &StoreError) -> bool {
    let StoreError::File { source, .. } = error else {
        return false;
    };
    matches!(
        source.kind(),
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
    )
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::TooMany { retry_after } => Self::too_many(
                "too many logins at once or failed logins before; retry later",
                retry_after.as_secs().max(1),
            ),
            AuthError::Store(error) => error.into(),
            AuthError::Rejected => Self::new(
                StatusCode::UNAUTHORIZED,
                ErrorCode::Unauthorized,
                "user name, password or token is wrong, expired or revoked; log in again",
            ),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let message = error.to_string();
        match error {
            BodyError::TooSlow => {
                Self::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::BlobUploadInvalid, message)
                    .header(header::CONNECTION, HeaderValue::from_static("close"))
            }
            BodyError::TooShort { .. } | BodyError::TooLong { .. } => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, message)
            }
            BodyError::Disconnected | BodyError::Transport(_) => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid, message)
            }
        }
    }
}

impl From<CollectError> for ApiError {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::TooLarge { .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorCode::SizeInvalid,
                error.to_string(),
            ),
            CollectError::NoRoom => Self::too_many(error.to_string(), RETRY_AFTER_SECONDS),
            CollectError::Body(error) => error.into(),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        let message = error.to_string();
        match error {
            UploadError::Store(error) => error.into(),
            UploadError::Interrupted { source, .. } => source.into(),
            UploadError::Unknown => Self::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, message),
            UploadError::Busy => Self::too_many(message, RETRY_AFTER_SECONDS),
            UploadError::OutOfOrder { expected, got } => Self::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                ErrorCode::BlobUploadInvalid,
                message,
            )
            .detail(json!({ "expected": expected, "got": got })),
            UploadError::DigestMismatch { expected, actual } => {
                Self::digest_invalid(message).detail(json!({ "expected": expected, "actual": actual }))
            }
            UploadError::TooManySessions { .. } | UploadError::TooManyBytes { .. } => {
                Self::too_many(message, 30)
            }
            UploadError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message)
            }
            UploadError::Quota(quota) => quota_exceeded(&quota),
        }
    }
}

impl From<PutError> for ApiError {
    fn from(error: PutError) -> Self {
        let message = error.to_string();
        match error {
            PutError::Store(error) => error.into(),
            PutError::BlobsUnknown(digests) | PutError::ChildrenUnknown(digests) => {
                let shown: Vec<_> = digests.iter().take(MAX_DIGESTS_IN_DETAIL).collect();
                Self::new(StatusCode::NOT_FOUND, ErrorCode::ManifestBlobUnknown, message)
                    .detail(json!({ "digests": shown, "count": digests.len() }))
            }
            PutError::Quota(quota) => quota_exceeded(&quota),
            PutError::TagImmutable { .. } => Self::new(StatusCode::CONFLICT, ErrorCode::Denied, message),
            PutError::SizeMismatch { .. } => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, message)
            }
            PutError::TooDeep { .. } => Self::manifest_invalid(message),
            PutError::Refused | PutError::TooManyReferrers { .. } => {
                Self::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message)
            }
            PutError::TooManyTags { .. } => {
                Self::new(StatusCode::URI_TOO_LONG, ErrorCode::Unsupported, message)
            }
        }
    }
}

/// Most unknown digests that an answer lists.
const MAX_DIGESTS_IN_DETAIL: usize = 20;

fn quota_exceeded(quota: &store::QuotaExceeded) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, ErrorCode::Denied, quota.to_string())
        .detail(json!({ "quota": quota.kind.to_string(), "limit": quota.limit, "wanted": quota.wanted }))
}

/// Deletions fail for the same reasons everywhere; only the code for "not there" differs.
pub(crate) fn delete_failed(error: DeleteError, unknown: impl FnOnce() -> ApiError) -> ApiError {
    let message = error.to_string();
    match error {
        DeleteError::Store(error) => error.into(),
        DeleteError::Unknown => unknown(),
        DeleteError::Disabled => {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, message)
        }
        DeleteError::TagImmutable { .. } => ApiError::new(StatusCode::CONFLICT, ErrorCode::Denied, message),
        DeleteError::InUse { manifest } => ApiError::new(StatusCode::CONFLICT, ErrorCode::Denied, message)
            .detail(json!({ "manifest": manifest })),
        DeleteError::InIndex { index } => {
            ApiError::new(StatusCode::CONFLICT, ErrorCode::Denied, message).detail(json!({ "index": index }))
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn unwritable() -> StoreError {
        StoreError::File {
            action: "create",
            path: "uploads".into(),
            source: std::sync::Arc::new(std::io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }

    #[test]
    fn an_outage_is_told_by_what_goes_on_meanwhile() {
        for (error, told) in [
            (StoreError::Away, "pulls of what is in memory go on"),
            (StoreError::Unwritable, "pulls go on, everything that changes"),
            (StoreError::Closed, "nobody may do anything"),
            (StoreError::Busy, "too much to do"),
        ] {
            let message = ApiError::from(error.clone()).message;
            assert!(message.contains(told), "{error}: {message}");
        }
    }

    #[tokio::test]
    async fn a_busy_store_is_told_apart_from_a_broken_one() {
        for (error, status, code) in [
            (StoreError::Busy, 503, "UNAVAILABLE"),
            (StoreError::TaskLost, 503, "UNAVAILABLE"),
            (StoreError::Away, 503, "UNAVAILABLE"),
            (StoreError::Unwritable, 503, "UNAVAILABLE"),
            (StoreError::Closed, 503, "UNAVAILABLE"),
            (unwritable(), 503, "UNAVAILABLE"),
            (StoreError::DiskFull, 507, "STORAGE_FULL"),
            (StoreError::Damaged { what: "a row".into() }, 500, "UNKNOWN"),
        ] {
            let response = ApiError::from(error.clone()).into_response();
            assert_eq!(response.status().as_u16(), status, "{error}");
            let comes_again = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(comes_again, status == 503, "{error}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["errors"][0]["code"], code, "{body}");
        }
    }
}
