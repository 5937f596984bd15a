//! Whose an image is, what it stands on, and where that is on the road.

use std::collections::BTreeMap;

use access::permit::Pull;
use axum::Extension;
use axum::extract::State;
use oci::{Digest, ManifestKind, RepoName};
use road::application::{Ownership, Source};
use road::cohort::Verdict;
use road::lineage::{BaseHint, Lineage};
use road::names::{ApplicationName, Owner};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::PeerAddress;
use crate::body::Body;
use crate::decisions::{DecisionKey, judged};
use crate::judging;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::Session;
use crate::state::WebState;

/// Images of an index that are looked at.
const MAX_IMAGES: usize = 32;

/// What is known of an image's place.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LineageEntry {
    /// Where it lies.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Which it is.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// The application that its repository belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub application: Option<ApplicationName>,
    /// Whose that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    /// By whose word the repository belongs to it: `declared`, `catalog` or `annotation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<Source>,
    /// Itself; of an index, the first 32 images in it.
    pub images: Vec<ImageLineage>,
}

/// What one image stands on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImageLineage {
    /// Which it is.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// `linux/amd64`.
    pub platform: String,
    /// The bases below it, the longest last, with how many layers are theirs; how many layers there are, and of how many it is
    /// known what is in them.
    #[schema(value_type = Object)]
    pub lineage: Lineage,
    /// Who answers for its base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub base_owner: Option<Owner>,
    /// `cohort`: paved, stale, exempt, own-road or unknown; and why.
    #[schema(value_type = Object)]
    pub standing: Verdict,
    /// What became of the words of the image about its base: `hint` is `lies` where it is passed off for what it is not.
    #[schema(value_type = Object)]
    pub hint: BaseHint,
    /// Its findings by whose layer they are in.
    pub findings: FindingsByOrigin,
}

/// Numbers of findings by severity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingsByOrigin {
    /// From the base.
    pub base: BTreeMap<String, u64>,
    /// Yours.
    pub own: BTreeMap<String, u64>,
    /// In layers of which nobody knows whose they are, or in no layer.
    pub unknown: BTreeMap<String, u64>,
}

/// Whose an image is and what it stands on, for whoever may pull it.
#[utoipa::path(get, path = "/lineage", tag = "fleet", params(DecisionKey), responses(
    (status = OK, description = "What is known of it", body = LineageEntry),
    (status = NOT_FOUND, description = "No such image", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "It is still being looked into", body = Problem),
))]
pub(crate) async fn get_lineage(
    State(state): State<WebState>,
    session: Session,
    from: Option<Extension<PeerAddress>>,
    Query(key): Query<DecisionKey>,
) -> Result<Body<LineageEntry>, ApiError> {
    let permit = session.permit::<Pull>(&key.repository)?;
    let manifest = key.manifest(&state, &permit).await?;
    let judging = state.judging.as_ref().ok_or_else(judging::switched_off)?;
    let _place = state.place_for_report(from.map(|Extension(from)| from))?;
    let road = state.store.road().await?;
    let mut images = Vec::new();
    for digest in judged(&manifest) {
        let is_alone = manifest.kind != ManifestKind::Index;
        if images.len() < MAX_IMAGES && (is_alone || state.store.has_image(&key.repository, &digest).await?) {
            images.push(judging.lineage(&key.repository, &digest).await?);
        }
    }
    let whose = road.applications.owner_of(&key.repository);
    Ok(Body(LineageEntry {
        digest: manifest.digest,
        application: whose.application().map(|application| application.name.clone()),
        owner: whose.owner().cloned(),
        source: match whose {
            Ownership::Owned { source, .. } | Ownership::Ownerless { source, .. } => Some(source),
            Ownership::Unknown => None,
        },
        repository: key.repository,
        images,
    }))
}
