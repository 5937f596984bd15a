//! Uploads: end-4, end-5, end-6, end-11, end-13, end-14.

use access::{
    Permit,
    permit::{Pull, Push},
};
use axum::body::Body;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use oci::{Algorithm, ContentRange, Digest, ErrorCode, RepoName};
use store::{BlobInfo, BodyError, UploadId};

use super::{empty, set, set_digest};
use crate::{
    auth::unauthorized,
    body::RequestBody,
    error::ApiError,
    service::{Exchange, Registry},
};

static UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

impl Registry {
    pub(crate) async fn uploads(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        body: RequestBody,
    ) -> Result<Response<Body>, ApiError> {
        if *exchange.method != Method::POST {
            return Err(ApiError::method_not_allowed("POST"));
        }
        let permit = self.authenticator().permit::<Push>(exchange.caller, repo)?;
        self.refuse_push_to_upstream(repo)?;
        if let Some(digest) = exchange.query.get("mount") {
            let digest = parse_digest(digest)?;
            if let Some(blob) = self.mount(exchange, &permit, &digest).await? {
                return Ok(blob_created(repo, &blob));
            }
        } else if let Some(digest) = exchange.query.get("digest") {
            let digest = parse_digest(digest)?;
            let blob = self
                .store()
                .push_blob(&permit, &digest, self.inbound(body))
                .await?;
            return Ok(blob_created(repo, &blob));
        }
        let algorithm = match exchange.query.get("digest-algorithm") {
            None => Algorithm::Sha256,
            Some(name) => name
                .parse()
                .map_err(|error: oci::DigestError| ApiError::digest_invalid(error.to_string()))?,
        };
        let id = self.store().start_upload(&permit, algorithm).await?;
        Ok(upload_accepted(StatusCode::ACCEPTED, repo, &id, 0))
    }

    /// Links a blob that is already here. `None`: the client has to upload it.
    async fn mount(
        &self,
        exchange: &Exchange<'_>,
        permit: &Permit<Push>,
        digest: &Digest,
    ) -> Result<Option<BlobInfo>, ApiError> {
        let book = self.store().access();
        let source = match exchange.query.get("from") {
            None => None,
            Some(name) => {
                let from: RepoName = name
                    .parse()
                    .map_err(|_| ApiError::from(crate::route::RouteError::Name))?;
                match book.authorize::<Pull>(exchange.caller, &from) {
                    Ok(permit) => Some(permit),
                    // The owner may, this token may not: the challenge names the scope that is missing.
                    Err(denied) if denied.insufficient_scope => {
                        return Err(unauthorized(format!(
                            "the token does not cover pulling from {from}"
                        )));
                    }
                    Err(_) => None,
                }
            }
        };
        let may_pull = |other: &RepoName| book.may::<Pull>(exchange.caller, other);
        Ok(self
            .store()
            .mount_blob(permit, digest, source.as_ref(), &may_pull)
            .await?)
    }

    pub(crate) async fn upload(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        id: &UploadId,
        body: RequestBody,
    ) -> Result<Response<Body>, ApiError> {
        if !matches!(
            *exchange.method,
            Method::GET | Method::PATCH | Method::PUT | Method::DELETE
        ) {
            return Err(ApiError::method_not_allowed("GET, PATCH, PUT, DELETE"));
        }
        let permit = self.authenticator().permit::<Push>(exchange.caller, repo)?;
        match *exchange.method {
            Method::GET => {
                let status = self.store().upload_status(&permit, id).await?;
                Ok(upload_accepted(StatusCode::NO_CONTENT, repo, id, status.offset))
            }
            Method::PATCH => self.append(exchange, &permit, id, body).await,
            Method::PUT => self.finish(exchange, &permit, id, body).await,
            _ => {
                self.store().cancel_upload(&permit, id).await?;
                Ok(no_content())
            }
        }
    }

    async fn append(
        &self,
        exchange: &Exchange<'_>,
        permit: &Permit<Push>,
        id: &UploadId,
        body: RequestBody,
    ) -> Result<Response<Body>, ApiError> {
        let range = content_range(exchange, &body)?;
        let at = range.map(|range| range.start());
        let offset = match range {
            Some(range) => {
                let body = Exact::new(self.inbound(body), range.len());
                self.store().append_upload(permit, id, at, body).await?
            }
            None => {
                self.store()
                    .append_upload(permit, id, at, self.inbound(body))
                    .await?
            }
        };
        Ok(upload_accepted(StatusCode::ACCEPTED, permit.repo(), id, offset))
    }

    async fn finish(
        &self,
        exchange: &Exchange<'_>,
        permit: &Permit<Push>,
        id: &UploadId,
        body: RequestBody,
    ) -> Result<Response<Body>, ApiError> {
        let digest = exchange.query.get("digest");
        let digest = digest
            .ok_or_else(|| ApiError::digest_invalid("the closing PUT must name the blob: `?digest=`"))?;
        let digest = parse_digest(digest)?;
        let range = content_range(exchange, &body)?;
        let at = range.map(|range| range.start());
        let blob = if body.is_end_stream() {
            self.store()
                .finish_upload(permit, id, at, stream::empty(), &digest)
                .await?
        } else {
            match range {
                Some(range) => {
                    let body = Exact::new(self.inbound(body), range.len());
                    self.store().finish_upload(permit, id, at, body, &digest).await?
                }
                None => {
                    self.store()
                        .finish_upload(permit, id, at, self.inbound(body), &digest)
                        .await?
                }
            }
        };
        Ok(blob_created(permit.repo(), &blob))
    }
}

fn parse_digest(text: &str) -> Result<Digest, ApiError> {
    text.parse()
        .map_err(|error: oci::DigestError| ApiError::digest_invalid(error.to_string()))
}

/// Where a chunk belongs. A range whose length is not the body's is refused before a byte is written.
fn content_range(exchange: &Exchange<'_>, body: &RequestBody) -> Result<Option<ContentRange>, ApiError> {
    let Some(value) = exchange.headers.get(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let invalid = |message: String| {
        ApiError::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            ErrorCode::BlobUploadInvalid,
            message,
        )
    };
    let text = value
        .to_str()
        .map_err(|_| invalid("Content-Range is not text".to_owned()))?;
    let range: ContentRange = text
        .parse()
        .map_err(|error: oci::ContentRangeError| invalid(error.to_string()))?;
    match body.size_hint().exact() {
        Some(length) if length != range.len() => {
            let message = format!("Content-Range spans {} bytes, the body has {length}", range.len());
            Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::SizeInvalid,
                message,
            ))
        }
        _ => Ok(Some(range)),
    }
}

/// A body that must have exactly the length that its range announced.
struct Exact<S> {
    body: S,
    announced: u64,
    got: u64,
}

impl<S> Exact<S> {
    fn new(body: S, announced: u64) -> Self {
        Self {
            body,
            announced,
            got: 0,
        }
    }
}

impl<S> futures_core::Stream for Exact<S>
where
    S: futures_core::Stream<Item = Result<bytes::Bytes, BodyError>> + Unpin,
{
    type Item = Result<bytes::Bytes, BodyError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        use std::task::Poll;
        match std::pin::Pin::new(&mut self.body).poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                self.got += chunk.len() as u64;
                if self.got > self.announced {
                    let announced = self.announced;
                    return Poll::Ready(Some(Err(BodyError::TooLong { announced })));
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(None) if self.got < self.announced => {
                let (announced, got) = (self.announced, self.got);
                let error = BodyError::TooShort { announced, got };
                self.got = self.announced;
                Poll::Ready(Some(Err(error)))
            }
            other => other,
        }
    }
}

/// 202 or 204 for an open session. An empty session answers `0-0`, as every registry does: there is no way to say
/// "nothing" in that header.
fn upload_accepted(status: StatusCode, repo: &RepoName, id: &UploadId, offset: u64) -> Response<Body> {
    let mut response = if status == StatusCode::NO_CONTENT {
        no_content()
    } else {
        empty(status)
    };
    let headers = response.headers_mut();
    set(
        headers,
        header::LOCATION,
        format!("/v2/{repo}/blobs/uploads/{id}"),
    );
    set(headers, header::RANGE, format!("0-{}", offset.saturating_sub(1)));
    set(headers, UPLOAD_UUID.clone(), id.to_string());
    response
}

fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn blob_created(repo: &RepoName, blob: &BlobInfo) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    set(
        headers,
        header::LOCATION,
        format!("/v2/{repo}/blobs/{}", blob.digest),
    );
    set_digest(headers, &blob.digest);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}
