//! Digests of stacks of layers.

use oci::{Algorithm, Digest, Hasher};

/// The chain id of each prefix, the shortest first: the lowest diff id itself, then SHA-256 of the chain below, a space and the
/// diff id.
pub fn chain_ids(diff_ids: &[Digest]) -> impl Iterator<Item = Digest> {
    diff_ids.iter().scan(None, |below: &mut Option<Digest>, diff_id| {
        let chain = below.map_or(*diff_id, |below| {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            let mut buffer = [0; Digest::MAX_LEN];
            hasher.update(below.encode(&mut buffer).as_bytes());
            hasher.update(b" ");
            hasher.update(diff_id.encode(&mut buffer).as_bytes());
            hasher.finish()
        });
        *below = Some(chain);
        Some(chain)
    })
}

/// The chain id of the whole stack; none without layers.
pub fn chain_id(diff_ids: &[Digest]) -> Option<Digest> {
    chain_ids(diff_ids).last()
}
