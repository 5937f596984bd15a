//! The report of an image that is in the registry, from what is known of its layers.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use findings::ScanResult;
use oci::{Manifest, ManifestKind};
use store::{Store, StoredManifest};
use web::{JudgingError, ReportOf};

use super::{
    Facts,
    asked::failed,
    image::Gatherer,
    platform::{Wanted, choose},
    result_of,
};

/// Indexes in indexes.
const DEPTH: usize = 4;

/// All that is known of an image, without a decision.
pub(super) async fn report(
    gatherer: Gatherer<'_>,
    facts: Arc<Facts>,
    of: ReportOf,
) -> Result<ScanResult, JudgingError> {
    let (digest, platform) = image_of(gatherer.store, &of).await?;
    let image = gatherer.gather(&of.repository, &digest).await;
    let ready = image.map_err(failed)?.ready()?;
    // Matching computes; a thread that serves connections must not.
    let made = tokio::task::spawn_blocking(move || {
        result_of(of.name, platform, &ready.about, &ready.gathered, &facts)
    });
    made.await
        .context("the report was lost")
        .and_then(|made| made)
        .map_err(failed)
}

/// The image that is meant, and the platform that its index says it is for.
async fn image_of(store: &Store, of: &ReportOf) -> Result<(oci::Digest, Option<String>), JudgingError> {
    let read = |platform: &Option<String>| platform.as_deref().map(str::parse::<Wanted>).transpose();
    let wanted = read(&of.platform).map_err(JudgingError::Malformed)?;
    let preferred = read(&of.prefer).map_err(JudgingError::Malformed)?;
    let preferred = preferred.unwrap_or_else(Wanted::of_this_machine);
    let mut manifest: StoredManifest = of.manifest.clone();
    let mut platform = None;
    for _ in 0..DEPTH {
        if manifest.kind == ManifestKind::Image {
            return Ok((manifest.digest, platform));
        }
        let limits = super::stored_limits();
        let index = Manifest::parse(&manifest.bytes, Some(&manifest.media_type), &limits)
            .map_err(|error| failed(error.into()))?;
        let child = choose(&index, wanted.as_ref(), &preferred)
            .map_err(|error| JudgingError::Malformed(error.to_string()))?;
        platform = child.platform.as_ref().map(ToString::to_string).or(platform);
        let found = store.manifest_to_judge(&of.repository, &child.digest).await;
        let found = found.map_err(|error| failed(error.into()))?;
        manifest = StoredManifest::clone(&*found.ok_or(JudgingError::Gone)?);
    }
    Err(failed(anyhow!("indexes are nested more than {DEPTH} deep")))
}
