//! Answers that the mirror itself gives, in the form of the distribution specification.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use oci::{ErrorBody, ErrorCode, ErrorEntry};

/// An answer in place of what was asked for.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    entry: ErrorEntry,
    /// Boxed, since it is in the error of everything.
    headers: Box<HeaderMap>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status,
            entry: ErrorEntry::new(code, message),
            headers: Box::default(),
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// 503: it passes.
    pub(super) fn later(message: impl Into<String>, seconds: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
            .header(header::RETRY_AFTER, &seconds.max(1).to_string())
    }

    /// 401: credentials of the centre are asked for, in the way that works while the centre is gone.
    pub(super) fn log_in(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
            .header(header::WWW_AUTHENTICATE, "Basic realm=\"roadbed mirror\"")
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let body = ErrorBody::from(self.entry).to_json();
        let mut response = json(self.status, body);
        response.headers_mut().extend(*self.headers);
        response
    }
}

/// JSON that no browser takes for a page.
pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        HeaderName::from_static("docker-distribution-api-version"),
        HeaderValue::from_static("registry/2.0"),
    );
    response
}

/// Plain text.
pub(super) fn text(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
