//! Bundles of advisories: a signed file that is brought to where nothing can be fetched. It comes in pieces, and is taken in as a whole
//! or not at all.

use std::error::Error;
use std::io;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::Actor;
use thiserror::Error;
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::feeds::{NDJSON, SyncLine, lines_of, switched_off};
use crate::principals::CAUSE;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::Query;
use crate::session::Administrator;
use crate::state::WebState;

/// Begins to bring a bundle.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBundle {}

/// A bundle that is coming.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BegunBundle {
    /// Its name.
    pub id: String,
}

/// Why nothing more is taken of a bundle.
#[derive(Debug, Error)]
pub enum BundleRefused {
    /// There is one already.
    #[error("a bundle is coming already; wait until it is there, at most ten minutes")]
    Coming,
    /// There is none of that name.
    #[error("no such bundle is coming; begin again")]
    Gone,
    /// A piece of it is being written.
    #[error("the bundle is still coming")]
    StillComing,
    /// It is not what comes next.
    #[error("{here} bytes are here: send what comes behind them")]
    NotNext {
        /// Bytes that came.
        here: u64,
    },
    /// It has too many bytes.
    #[error("the file has more than {limit} bytes ({key})")]
    TooLarge {
        /// How many it may have.
        limit: u64,
        /// Which key raises that.
        key: &'static str,
    },
    /// The signature is none.
    #[error("the signature is no Base64: {0}")]
    Signature(Box<dyn Error + Send + Sync>),
    /// It cannot be kept.
    #[error("a bundle cannot be kept here")]
    File(#[source] io::Error),
}

/// Where a piece belongs.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PieceQuery {
    /// Bytes that came before it.
    offset: u64,
}

/// All of it has come.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EndOfBundle {
    /// The detached signature, Base64; one of the keys of `feeds.bundle_keys` must have made it.
    pub signature: Option<String>,
    /// Take it although nobody has signed it.
    pub unsigned: bool,
    /// Take it although a newer one was taken in.
    pub accept_older: bool,
    /// Let it pass also where it lifts so many refusals; without, one that lifts much is held.
    pub accept_lifts: Option<u64>,
}

/// Begin to bring a bundle of advisories.
#[utoipa::path(post, path = "/advisories/bundles", tag = "advisories", request_body = NewBundle, responses(
    (status = CREATED, description = "Begun", body = BegunBundle),
    (status = CONFLICT, description = "One is coming already", body = Problem),
    (status = INSUFFICIENT_STORAGE, description = "The disk is full", body = Problem),
))]
pub(crate) async fn begin_bundle(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Body(NewBundle {}): Body<NewBundle>,
) -> Result<(StatusCode, Body<BegunBundle>), ApiError> {
    let syncing = state.syncing.as_ref().ok_or_else(switched_off)?;
    let id = syncing.begin_bundle().await?;
    Ok((StatusCode::CREATED, Body(BegunBundle { id })))
}

/// Send the next piece of a bundle, of at most 16 MiB. PUT, since a POST that is no JSON could be sent by the page of another site.
#[utoipa::path(put, path = "/advisories/bundles/{id}/pieces", tag = "advisories",
    params(("id" = String, Path, description = "The bundle"), PieceQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = NO_CONTENT, description = "Taken"),
    (status = CONFLICT, description = "It is not what comes next, too much, or no such bundle is coming", body = Problem),
    (status = INSUFFICIENT_STORAGE, description = "The disk is full", body = Problem),
))]
pub(crate) async fn add_piece(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Path(id): Path<String>,
    Query(piece): Query<PieceQuery>,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    let syncing = state.syncing.as_ref().ok_or_else(switched_off)?;
    syncing.add_to_bundle(&id, piece.offset, bytes).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Verify a bundle and take it in. The answer is one JSON object per line, as of `/advisories/sync`; why it was not taken stands in the
/// report.
#[utoipa::path(post, path = "/advisories/bundles/{id}/finish", tag = "advisories",
    params(("id" = String, Path, description = "The bundle")), request_body = EndOfBundle, responses(
    (status = OK, description = "Lines of progress, then the report", body = SyncLine, content_type = NDJSON),
    (status = BAD_REQUEST, description = "The signature is no Base64", body = Problem),
    (status = CONFLICT, description = "No such bundle is coming", body = Problem),
))]
pub(crate) async fn finish_bundle(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(id): Path<String>,
    Body(end): Body<EndOfBundle>,
) -> Result<Response, ApiError> {
    let syncing = state.syncing.as_ref().ok_or_else(switched_off)?;
    let actor = Actor::administrator(&permit, CAUSE);
    let running = syncing.take_bundle(&id, end, actor)?;
    Ok(lines_of(running))
}

impl From<BundleRefused> for ApiError {
    fn from(refused: BundleRefused) -> Self {
        match &refused {
            BundleRefused::Coming => Self::new(Kind::Busy, refused),
            BundleRefused::Gone
            | BundleRefused::StillComing
            | BundleRefused::NotNext { .. }
            | BundleRefused::TooLarge { .. } => Self::new(Kind::Conflict, refused),
            BundleRefused::Signature(_) => Self::malformed(refused),
            BundleRefused::File(source) => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    tracing::error!(error = &refused as &dyn Error, "request of the API failed");
                    Self::new(
                        Kind::DiskFull,
                        "no space is left where bundles are kept while they come",
                    )
                }
                _ => Self::internal(&refused),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_whoever_brings_it_can_mend_is_said_to_be_theirs() {
        let file = |kind: io::ErrorKind| BundleRefused::File(kind.into());
        for (refused, status) in [
            (BundleRefused::Coming, 409),
            (BundleRefused::Gone, 409),
            (BundleRefused::NotNext { here: 7 }, 409),
            (BundleRefused::Signature("no".into()), 400),
            (file(io::ErrorKind::StorageFull), 507),
            (file(io::ErrorKind::QuotaExceeded), 507),
            (file(io::ErrorKind::PermissionDenied), 500),
        ] {
            let said = refused.to_string();
            assert_eq!(ApiError::from(refused).to_problem().status, status, "{said}");
        }
    }
}
