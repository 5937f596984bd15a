//! Blobs: end-2 and end-10.

use std::ops::Range;

use access::{
    Permit,
    permit::{Delete, Pull},
};
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::StreamBody;
use oci::{Digest, ErrorCode, RangeRequest, RepoName, ResolvedRange};
use store::BlobHandle;

use super::{empty, is_not_modified, not_modified, set, set_digest};
use crate::{
    error::{ApiError, delete_failed},
    gate,
    service::{Exchange, Registry},
};

impl Registry {
    pub(crate) async fn blob(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Response<Body>, ApiError> {
        match *exchange.method {
            Method::GET | Method::HEAD => self.get_blob(exchange, repo, digest).await,
            Method::DELETE => {
                let permit = self.authenticator().permit::<Delete>(exchange.caller, repo)?;
                let deleted = self.store().delete_blob(&permit, digest).await;
                deleted.map_err(|error| delete_failed(error, || ApiError::blob_unknown(digest)))?;
                Ok(empty(StatusCode::ACCEPTED))
            }
            _ => Err(ApiError::method_not_allowed("GET, HEAD, DELETE")),
        }
    }

    async fn get_blob(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Response<Body>, ApiError> {
        let permit = self.authenticator().permit::<Pull>(exchange.caller, repo)?;
        if let Some((proxy, ask)) = self.pulled_through(&permit) {
            return self.get_proxied_blob(exchange, proxy, &ask, digest).await;
        }
        let found = self.blob_here(exchange, &permit, digest).await?;
        let blob = found.ok_or_else(|| ApiError::blob_unknown(digest))?;
        let pull = exchange.pull(repo);
        let passed = gate::pass(exchange.method, self.gate().blob(pull, digest).await)?;
        blob_answer(exchange, digest, blob.size(), passed, |range| {
            blob_body(&blob, range)
        })
    }

    /// The blob, if the repository has it.
    pub(super) async fn blob_here(
        &self,
        exchange: &Exchange<'_>,
        permit: &Permit<Pull>,
        digest: &Digest,
    ) -> Result<Option<BlobHandle>, ApiError> {
        let _place = if self.store().remembers_blob(permit, digest).await
            || self.store().is_asking_for_blob(permit, digest)
        {
            None
        } else {
            Some(self.lookup_place(exchange).await?)
        };
        Ok(self.store().blob(permit, digest).await?)
    }
}

/// The answer with a blob of `size` bytes that may be pulled; `body` is asked for the part of it that is sent.
pub(super) fn blob_answer(
    exchange: &Exchange<'_>,
    digest: &Digest,
    size: u64,
    passed: gate::Passed,
    body: impl FnOnce(Range<u64>) -> Body,
) -> Result<Response<Body>, ApiError> {
    let etag = format!("\"{digest}\"");
    if is_not_modified(exchange.headers, &etag) {
        return Ok(not_modified(&etag));
    }
    let (status, range) = wanted_range(exchange, size, &etag)?;
    let body = if *exchange.method == Method::HEAD || range.is_empty() {
        Body::empty()
    } else {
        body(range.clone())
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status == StatusCode::PARTIAL_CONTENT {
        let last = range.end.saturating_sub(1);
        set(
            headers,
            header::CONTENT_RANGE,
            format!("bytes {}-{last}/{size}", range.start),
        );
    }
    describe(headers, digest, &etag, range.end - range.start);
    passed.tell(&mut response);
    Ok(response)
}

fn describe(headers: &mut HeaderMap, digest: &Digest, etag: &str, length: u64) {
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // The bytes are a stranger's: no browser may take them for a page of ours.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    set_digest(headers, digest);
    set(headers, header::ETAG, etag);
}

pub(super) fn blob_body(blob: &BlobHandle, range: Range<u64>) -> Body {
    use futures_util::TryStreamExt as _;
    Body::new(StreamBody::new(blob.stream(range).map_ok(http_body::Frame::data)))
}

/// The part that `Range` asks for. `If-Range` with another tag asks for the whole (RFC 9110, section 13.1.5).
fn wanted_range(
    exchange: &Exchange<'_>,
    size: u64,
    etag: &str,
) -> Result<(StatusCode, Range<u64>), ApiError> {
    let whole = Ok((StatusCode::OK, 0..size));
    let Some(header) = exchange.headers.get(header::RANGE) else {
        return whole;
    };
    if exchange
        .headers
        .get(header::IF_RANGE)
        .is_some_and(|tag| tag != etag)
    {
        return whole;
    }
    let unsatisfiable = || {
        let message = format!("the blob has {size} bytes; ask for a range within them");
        ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::SizeInvalid, message)
            .header(header::CONTENT_RANGE, format!("bytes */{size}"))
    };
    let text = header.to_str().map_err(|_| unsatisfiable())?;
    match RangeRequest::parse(text).resolve(size) {
        ResolvedRange::Whole => whole,
        ResolvedRange::Part(range) => Ok((StatusCode::PARTIAL_CONTENT, range)),
        ResolvedRange::Unsatisfiable => Err(unsatisfiable()),
    }
}
