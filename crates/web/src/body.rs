//! JSON bodies, under a cap.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::{ApiError, Kind};

/// Largest body of a request, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Largest body of `POST /apply`, in bytes: everything that is declared comes in one request.
pub const MAX_APPLY_BYTES: usize = 16 * 1024 * 1024;

/// Largest body of `POST /judgements`, in bytes: reports of the layers of one image, with the names of all their files. Of an
/// image with 100,000 files that is about 8 MiB.
pub const MAX_JUDGEMENT_BYTES: usize = 32 * 1024 * 1024;

/// Largest body of `POST /session`, in bytes: it is read before anybody has signed in.
pub const MAX_SESSION_BYTES: usize = 16 * 1024;

/// A body as the request sends it, or as the answer does.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let json = axum::Json::<T>::from_request(request, state).await;
        json.map(|axum::Json(value)| Self(value))
            .map_err(|rejection| refused(&rejection))
    }
}

fn refused(rejection: &JsonRejection) -> ApiError {
    match rejection.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ApiError::new(Kind::NotJson, "the Content-Type is not application/json")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(Kind::TooLarge, "the body is larger than this request may have")
        }
        _ => ApiError::malformed(rejection.body_text()),
    }
}

impl<T: Serialize> IntoResponse for Body<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Whether a POST says that it is JSON (see "Cross-site requests" in the crate's documentation). Asked for every route
/// before the credentials are looked at.
pub(crate) fn check_content_type(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .split(';')
                .next()
                .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
        });
    if *method == Method::POST && !is_json {
        return Err(ApiError::new(
            Kind::NotJson,
            "the Content-Type is not application/json",
        ));
    }
    Ok(())
}
