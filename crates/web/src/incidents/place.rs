//! Whoever asks about incidents takes a place among the questions about the fleet: a large incident is half a million lines.

use std::net::IpAddr;

use access::SystemPermit;
use access::shares::Share;
use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::PeerAddress;
use crate::affected::{Asker, places};
use crate::problem::ApiError;
use crate::session::Session;
use crate::state::WebState;

/// Somebody who is signed in, with a place that is held until the answer is there.
pub(crate) struct Placed {
    pub(crate) session: Session,
    from: Option<IpAddr>,
    _places: Vec<Share<Asker>>,
}

/// The same of an administrator.
pub(crate) struct PlacedAdministrator {
    pub(super) permit: SystemPermit,
    _places: Vec<Share<Asker>>,
}

impl Placed {
    /// A place among the questions that cost much: what was at a moment is read from the first event on.
    pub(super) fn place_for_then(&self, state: &WebState) -> Result<Vec<Share<Asker>>, ApiError> {
        places(state, &self.session, self.from, true)
    }
}

impl FromRequestParts<WebState> for Placed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, ApiError> {
        let session = Session::from_request_parts(parts, state).await?.signed_in()?;
        let from = parts.extensions.get::<PeerAddress>().map(|peer| peer.0);
        Ok(Self {
            _places: places(state, &session, from, false)?,
            session,
            from,
        })
    }
}

impl FromRequestParts<WebState> for PlacedAdministrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, ApiError> {
        let session = Session::from_request_parts(parts, state).await?;
        let permit = session.system()?;
        let from = parts.extensions.get::<PeerAddress>().map(|peer| peer.0);
        Ok(Self {
            permit,
            _places: places(state, &session, from, false)?,
        })
    }
}
