//! What is known of an image: the report that its layers' reports make together, and a judgement of one that is not here.

mod origins;

use std::collections::BTreeMap;

use access::permit::{Pull, Push};
use axum::extract::{Extension, FromRequest as _, Request, State};
use findings::{LayerReport, ScanResult};
use oci::{Digest, MediaType, Reference, RepoName, Tag};
use serde::{Deserialize, Serialize};
use store::{Point, StoredManifest};
use utoipa::{IntoParams, ToSchema};

use crate::PeerAddress;
use crate::body::Body;
use crate::decisions;
use crate::judging::{self, JudgingError};
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::Session;
use crate::state::WebState;

/// All that is known of one image.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportEntry {
    /// Where it lies, or would lie.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// The members of the form `json` of `roadbed scan`, without its summary.
    #[schema(value_type = Object)]
    pub result: ScanResult,
}

/// Names an image, and one of an index.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportKey {
    /// The repository, such as `team/app`.
    #[param(value_type = String)]
    repository: RepoName,
    /// Tag or digest.
    reference: String,
    /// Of an index: the image for this platform, as `os/architecture[/variant]`.
    platform: Option<String>,
    /// Of an index of several images, where no `platform` is named: this one.
    prefer: Option<String>,
}

/// Which image of what is stored.
#[derive(Debug, Clone)]
pub struct ReportOf {
    /// Where it lies.
    pub repository: RepoName,
    /// The image, or an index with it.
    pub manifest: StoredManifest,
    /// As whoever asks calls it.
    pub name: String,
    /// The platform that it must have.
    pub platform: Option<String>,
    /// The platform that is taken of several.
    pub prefer: Option<String>,
}

/// Where an image would be pushed to.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct JudgementKey {
    /// The repository, such as `team/app`.
    #[param(value_type = String)]
    repository: RepoName,
    /// The tag.
    #[param(value_type = Option<String>)]
    tag: Option<Tag>,
}

/// An image that is not in the registry: what its manifest says, and what was found in its blobs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnpushedImage {
    /// Of its manifest; of what has none, of what it is made of.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Media type of its manifest.
    #[schema(value_type = String)]
    pub media_type: MediaType,
    /// The type of artifact that its manifest states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// `linux/amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Annotations of its manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<UnpushedBlob>,
    /// Its layers, lowest first.
    pub layers: Vec<UnpushedBlob>,
    /// What could not be read, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// What is attached to it as signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures: Option<UnpushedSignatures>,
}

/// What is attached to such an image, or to an index that names it. Who signed what, the registry verifies itself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnpushedSignatures {
    /// The manifest of the image as it was sent; it has the image's digest.
    pub manifest: String,
    /// An index that names the image, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The artifacts.
    pub artifacts: Vec<UnpushedArtifact>,
    /// Whether there are more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

/// One artifact that may be a signature.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnpushedArtifact {
    /// Whether it is attached to the index.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_index: bool,
    /// Its manifest as it was sent.
    pub manifest: String,
    /// Its documents that are signatures, by their digests.
    pub documents: BTreeMap<String, String>,
}

/// An SBOM of an image that is not in the registry.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnpushedSbom {
    /// JSON of `CycloneDX` 1.2 to 1.6 or of SPDX 2.2 or 2.3.
    pub sbom: String,
}

/// A blob of such an image.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnpushedBlob {
    /// Its media type.
    #[schema(value_type = String)]
    pub media_type: MediaType,
    /// What it is called.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// What was found in it; nothing, where it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub report: Option<LayerReport>,
}

/// All that is known of an image, for whoever may pull it: packages, what is wrong with them, secrets, what was decided.
#[utoipa::path(get, path = "/reports", tag = "policy", params(ReportKey), responses(
    (status = OK, description = "What is known of it today", body = ReportEntry),
    (status = NOT_FOUND, description = "No such image", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many are being reported about", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "It is still being looked into", body = Problem),
))]
pub(crate) async fn get_report(
    State(state): State<WebState>,
    session: Session,
    from: Option<Extension<PeerAddress>>,
    Query(key): Query<ReportKey>,
) -> Result<Body<ReportEntry>, ApiError> {
    let permit = session.permit::<Pull>(&key.repository)?;
    let reference: Reference = key.reference.parse().map_err(ApiError::malformed)?;
    let found = state.store.manifest(&permit, &reference).await?;
    let name = || format!("{} of {}", key.reference, key.repository);
    let manifest = found.ok_or_else(|| ApiError::not_found("image", name()))?;
    let judging = state.judging.as_ref().ok_or_else(judging::switched_off)?;
    let _place = state.place_for_report(from.map(|Extension(from)| from))?;
    let separator = if reference.digest().is_some() { '@' } else { ':' };
    let of = ReportOf {
        name: format!("{}{separator}{}", key.repository, key.reference),
        repository: key.repository.clone(),
        manifest: StoredManifest::clone(&manifest),
        platform: key.platform,
        prefer: key.prefer,
    };
    let mut result = judging.report(of).await?;
    if let Some(digest) = &result.target.digest {
        let decided = state
            .store
            .decision_with_text(&key.repository, digest, Point::Pull);
        // Whoever asks whether it is refused must not be told something that sounds like no.
        let (decided, text) = decided.await?.ok_or(JudgingError::Waits)?;
        result.decision = Some(decisions::in_words(*digest, (&decided, &text)));
    }
    origins::of_stored(&state.store, &key.repository, &mut result).await?;
    Ok(Body(ReportEntry {
        repository: key.repository,
        result,
    }))
}

/// Judge an image that is not here as if it were pushed to a repository, from what somebody who may push there found in it. It
/// is a what-if: nothing of it is kept, and nothing that was decided changes.
#[utoipa::path(post, path = "/judgements", tag = "policy", params(JudgementKey), request_body = UnpushedImage, responses(
    (status = OK, description = "What would become of it, and why", body = ReportEntry),
    (status = BAD_REQUEST, description = "It is no report of an image, or one of another version", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = PAYLOAD_TOO_LARGE, description = "The reports are too large", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many are being judged", body = Problem),
))]
pub(crate) async fn judge_unpushed(
    State(state): State<WebState>,
    session: Session,
    Query(key): Query<JudgementKey>,
    request: Request,
) -> Result<Body<ReportEntry>, ApiError> {
    let permit = session.permit::<Push>(&key.repository)?;
    let judging = state.judging.as_ref().ok_or_else(judging::switched_off)?;
    // Before the body is read: so many may be in memory.
    let _place = state.place_for_judgement(request.extensions().get::<PeerAddress>().copied())?;
    let Body(image) = Body::<UnpushedImage>::from_request(request, &state).await?;
    let (pusher, layers) = (pusher(&session), image.layers.len());
    let mut judged = judging
        .judge_unpushed(permit.repo().clone(), pusher, image)
        .await?;
    origins::tell(&state.store, layers, &mut judged).await?;
    Ok(Body(key.entry(judged)))
}

/// Judge an SBOM as if an image with these packages were pushed to a repository. What an SBOM does not tell of is unknown. Nothing of
/// it is kept, and nothing that was decided changes.
#[utoipa::path(post, path = "/judgements/sbom", tag = "policy", params(JudgementKey), request_body = UnpushedSbom, responses(
    (status = OK, description = "What would become of it, and why", body = ReportEntry),
    (status = BAD_REQUEST, description = "It is no SBOM that is read, or too large", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = PAYLOAD_TOO_LARGE, description = "The SBOM is too large", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many are being judged", body = Problem),
))]
pub(crate) async fn judge_sbom(
    State(state): State<WebState>,
    session: Session,
    Query(key): Query<JudgementKey>,
    request: Request,
) -> Result<Body<ReportEntry>, ApiError> {
    let permit = session.permit::<Push>(&key.repository)?;
    let judging = state.judging.as_ref().ok_or_else(judging::switched_off)?;
    let _place = state.place_for_judgement(request.extensions().get::<PeerAddress>().copied())?;
    let Body(given) = Body::<UnpushedSbom>::from_request(request, &state).await?;
    let judged = judging.judge_sbom(permit.repo().clone(), pusher(&session), given.sbom);
    Ok(Body(key.entry(judged.await?)))
}

/// The name of whoever would push.
fn pusher(session: &Session) -> Option<String> {
    let caller = session.caller.principal();
    caller.map(|principal| principal.name.to_string())
}

impl JudgementKey {
    fn entry(self, mut result: ScanResult) -> ReportEntry {
        result.target.name = match &self.tag {
            Some(tag) => format!("{}:{tag}", self.repository),
            None => self.repository.to_string(),
        };
        ReportEntry {
            repository: self.repository,
            result,
        }
    }
}
