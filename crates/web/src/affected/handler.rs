//! The route that asks.

use std::net::IpAddr;

use access::PrincipalName;
use access::permit::Pull;
use access::shares::Share;
use axum::extract::State;
use http::Extensions;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

use super::{AffectedQuestion, AffectedReport, AskingError, MayPull};
use crate::PeerAddress;
use crate::body::Body;
use crate::judging;
use crate::moment::Moment;
use crate::page;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::Query;
use crate::session::Session;
use crate::state::WebState;

/// Questions that are answered at the same time; one caller may have a quarter of them.
pub(crate) const QUESTIONS: usize = 16;

/// Questions among them that cost much, as of a moment or about a file, at the same time; one caller may have half of them.
pub(crate) const EXPENSIVE_QUESTIONS: usize = 2;

/// When it is worth asking again for a place, in seconds.
const RETRY_AFTER_SECONDS: u64 = 2;

/// Whoever asks: by name, or by address where nobody is signed in.
pub(crate) type Asker = (Option<PrincipalName>, Option<IpAddr>);

/// What is asked.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AffectedQuery {
    /// `CVE-2021-44228`, another id of an advisory, `pkg:maven/…`, `log4j-core`, `log4j-core@<2.15.0`, `sha256:…` of a file, a Java
    /// class.
    q: String,
    /// As of which moment: which images there were, and what advisories said then.
    as_of: Option<Moment>,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
    /// Images on the page: 1 to 1000, by default 100. All are counted.
    limit: Option<usize>,
}

/// Say which images have a vulnerability, a package, a file or a class, whose they are and what fixes it. Only images that the
/// caller may pull are shown and counted.
#[utoipa::path(get, path = "/affected", tag = "fleet", params(AffectedQuery), responses(
    (status = OK, description = "Counts, owners and a page of images", body = AffectedReport),
    (status = BAD_REQUEST, description = "It is no question", body = Problem),
    (status = UNAUTHORIZED, description = "Nothing is open to everybody", body = Problem),
    (status = NOT_FOUND, description = "No advisory here knows the vulnerability, or no image and no advisory the package", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
))]
pub(crate) async fn get_affected(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<AffectedQuery>,
    extensions: Extensions,
) -> Result<Body<AffectedReport>, ApiError> {
    let session = if session.book.has_any_grant_for_anonymous() {
        session
    } else {
        session.signed_in()?
    };
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let asking = state.asking.as_ref().ok_or_else(judging::switched_off)?;
    let as_of = query.as_of.map(|moment| moment.0);
    if as_of.is_some_and(|moment| moment > state.store.now()) {
        return Err(ApiError::malformed(
            "as_of lies in the future: name a moment that has been",
        ));
    }
    let from = extensions.get::<PeerAddress>().map(|peer| peer.0);
    let _places = places(&state, &session, from, asking.is_expensive(&query.q, as_of))?;
    let question = AffectedQuestion {
        after: after.map(str::to_owned),
        may_pull: may_pull(&session),
        text: query.q,
        as_of,
        limit,
    };
    Ok(Body(asking.affected(question).await?))
}

/// Images that whoever asks may not pull are not counted either: a count would tell that they are there.
pub(crate) fn may_pull(session: &Session) -> MayPull {
    let (book, caller) = (Arc::clone(&session.book), session.caller.clone());
    Arc::new(move |repo| book.may::<Pull>(&caller, repo))
}

pub(crate) fn places(
    state: &WebState,
    session: &Session,
    from: Option<IpAddr>,
    is_expensive: bool,
) -> Result<Vec<Share<Asker>>, ApiError> {
    let name = session.caller.principal().map(|principal| principal.name.clone());
    let asker: Asker = match name {
        Some(name) => (Some(name), None),
        None => (None, from.map(access::shares::network)),
    };
    let mut wanted = vec![&state.questions];
    wanted.extend(is_expensive.then_some(&state.expensive_questions));
    let taken = wanted.into_iter().map(|shares| shares.take(asker.clone(), 1));
    taken.collect::<Result<_, _>>().map_err(|_| {
        let detail = "too many questions about the fleet are being answered, yours or those of others";
        ApiError::retry_after(Kind::TooMany, detail, RETRY_AFTER_SECONDS)
    })
}

impl From<AskingError> for ApiError {
    fn from(error: AskingError) -> Self {
        match &error {
            AskingError::Malformed(_) => Self::malformed(error),
            AskingError::Unknown(_) => Self::new(Kind::NotFound, error),
            AskingError::Failed(_) => Self::internal(&error),
        }
    }
}
