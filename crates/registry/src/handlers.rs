//! One file per noun of the protocol.

mod blobs;
mod charts;
mod lists;
mod manifests;
mod proxied;
mod referrers;
mod uploads;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use oci::Digest;

/// The digest of what is answered (specification, "Pulling manifests").
pub(crate) static CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A response without a body.
fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: impl TryInto<HeaderValue>) {
    if let Ok(value) = value.try_into() {
        headers.insert(name, value);
    }
}

fn set_digest(headers: &mut HeaderMap, digest: &Digest) {
    set(headers, CONTENT_DIGEST.clone(), digest.to_string());
}

/// Whether `If-None-Match` names this entity tag. Digests never change their content, so weak and strong are the same.
fn is_not_modified(headers: &HeaderMap, etag: &str) -> bool {
    let Some(wanted) = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    wanted
        .split(',')
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == etag)
}

fn not_modified(etag: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    set(response.headers_mut(), header::ETAG, etag);
    response
}
