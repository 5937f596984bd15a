//! Whose layers are, in a report: the base's, or of whoever built on it.

use findings::{ScanResult, ScannedBase};
use oci::{Digest, Manifest, ManifestLimits, RepoName};
use store::{Store, StoreError};

/// Of an image that is here.
pub(super) async fn of_stored(
    store: &Store,
    repo: &RepoName,
    result: &mut ScanResult,
) -> Result<(), StoreError> {
    let Some(digest) = result.target.digest else {
        return Ok(());
    };
    let Some(stored) = store.manifest_to_judge(repo, &digest).await? else {
        return Ok(());
    };
    let limits = ManifestLimits::default();
    let parsed = Manifest::parse(&stored.bytes, Some(&stored.media_type), &limits);
    match parsed {
        Ok(manifest) => tell(store, manifest.layers.len(), result).await,
        Err(_) => Ok(()),
    }
}

/// Of an image of so many layers. Where a layer is not in the report, nobody can say which of the others are the base's.
pub(super) async fn tell(store: &Store, layers: usize, result: &mut ScanResult) -> Result<(), StoreError> {
    if layers != result.layers.len() {
        return Ok(());
    }
    let road = store.road().await?;
    let diff_ids: Vec<Option<Digest>> = result.layers.iter().map(|layer| layer.diff_id).collect();
    let lineage = road.releases.lineage(&diff_ids);
    let base = lineage.base().map(|standing| ScannedBase {
        name: standing.base.to_string(),
        version: standing.version.clone(),
        owner: road.bases.get(&standing.base).map(|base| base.owner.to_string()),
        layers: standing.layers,
        superseded: standing.superseded.is_some(),
    });
    result.set_origins(base, |layer| lineage.origin(layer));
    Ok(())
}
