//! How many requests are worked on at once, and for how long.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;

use crate::PeerAddress;
use crate::maintenance;
use crate::problem::{ApiError, Kind};
use crate::state::WebState;

/// Longest time until a request's answer begins: its body has come by then and the work is done. Answers that are
/// streams (a check, a backup) may take longer to end.
pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// When a client that was turned away should come again, in seconds.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 2;

/// Longest time until a sign-in is answered.
pub const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(20);

/// One address may hold one place in so many: neither strangers nor one user keep all others out.
pub(crate) const PARTS: usize = 4;

/// Takes a place or turns the request away at once: a queue that grows would only make everybody late. The place is
/// given back when the answer begins.
pub(crate) async fn admit(State(state): State<WebState>, request: Request, next: Next) -> Response {
    let from = request.extensions().get::<PeerAddress>().map(|peer| peer.0);
    let signs_in = request.method() == Method::POST && request.uri().path().ends_with("/session");
    let (places, longest) = if signs_in {
        (&state.sign_ins, state.config.sign_in_timeout)
    } else {
        (&state.places, state.config.request_timeout)
    };
    let Ok(_place) = places.take(from, 1) else {
        let message =
            format!("too many requests are being worked on; try again in {RETRY_AFTER_SECONDS} seconds");
        return ApiError::retry_after(Kind::TooMany, message, RETRY_AFTER_SECONDS).into_response();
    };
    if let Some(refusal) = maintenance::refusal(&state.store, request.method(), request.uri().path()) {
        return refusal.into_response();
    }
    match tokio::time::timeout(longest, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(Kind::Timeout, "the request was not done in time").into_response(),
    }
}
