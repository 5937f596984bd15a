//! What a tag is affected by no more although nobody has pushed anything: advisories were withdrawn or changed. Nothing was fixed.

use oci::Digest;
use policy::yaml::one_line;
use road::{
    incident::{MAX_TEXT_BYTES, Sighting, Withdrawal},
    names::VulnerabilityId,
};

use super::Sought;

/// Why an image that is the same is affected no more, where no advisory was withdrawn as a whole.
const CHANGED: &str =
    "nothing says any more that this image is affected: advisories, or what is found in it, have changed";

/// Of a line with the images that it names. `unknown`: vulnerabilities that no advisory knows.
pub(super) fn of_line(
    sought: &Sought,
    sighting: &Sighting,
    images: &[Digest],
    unknown: &[VulnerabilityId],
) -> Option<Withdrawal> {
    let incident = sought.incident.as_ref()?;
    let line = incident.line(&sighting.line)?;
    // Of several images it is not known which one had it.
    let is_same = images.iter().all(|digest| *digest == line.digest);
    let is_meant = |id: &VulnerabilityId| {
        let is_lost = !sighting.affected_by.contains(id);
        is_lost && (sought.withdrawn.contains_key(id) || (is_same && !unknown.contains(id)))
    };
    let mut ids = incident.affected_by(line);
    ids.retain(is_meant);
    let mut reasons: Vec<&str> = ids
        .iter()
        .map(|id| sought.withdrawn.get(id).map_or(CHANGED, String::as_str))
        .collect();
    reasons.dedup();
    let reason = one_line(&reasons.join("; "), MAX_TEXT_BYTES);
    (!ids.is_empty()).then_some(Withdrawal { ids, reason })
}
