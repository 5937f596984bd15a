//! What a false positive rests on, taken from the image that has it.

use std::collections::BTreeSet;

use access::permit::Pull;
use oci::{Digest, Reference};
use policy::{JudgedFinding, WaiverRequest};

use super::WaiverImage;
use crate::judging;
use crate::problem::ApiError;
use crate::session::{PeerAddress, Session};
use crate::state::WebState;

/// The fingerprint of the one finding of the image that the request names.
pub(super) async fn of(
    state: &WebState,
    session: &Session,
    from: Option<PeerAddress>,
    image: &WaiverImage,
    request: &WaiverRequest,
) -> Result<Digest, ApiError> {
    let permit = session.permit::<Pull>(&image.repository)?;
    let reference: Reference = image.reference.parse().map_err(ApiError::malformed)?;
    let name = format!("{} of {}", image.reference, image.repository);
    let found = state.store.manifest(&permit, &reference).await?;
    let manifest = found.ok_or_else(|| ApiError::not_found("image", &name))?;
    let judging = state.judging.as_ref().ok_or_else(judging::switched_off)?;
    let _place = state.place_for_report(from)?;
    let findings = judging.findings(&image.repository, &manifest.digest).await?;
    let fingerprints: BTreeSet<String> = findings
        .iter()
        .filter(|finding| is_meant(request, finding))
        .map(|finding| finding.fingerprint().to_string())
        .collect();
    let mut fingerprints = fingerprints.into_iter();
    match (fingerprints.next(), fingerprints.len()) {
        (Some(only), 0) => only.parse().map_err(ApiError::malformed),
        (None, _) => Err(ApiError::not_found("such finding in", name)),
        (Some(_), more) => Err(ApiError::malformed(format!(
            "{} findings of {name} fit: name package and path too",
            more + 1
        ))),
    }
}

fn is_meant(request: &WaiverRequest, finding: &JudgedFinding) -> bool {
    let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    request.findings.iter().any(|id| finding.is_called(id))
        && fits(&request.package, &finding.package)
        && fits(&request.path, &finding.path)
}
