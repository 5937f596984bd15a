//! An image with its bytes and the facts of its layers.

use std::{io::Read as _, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use findings::{CONFIG_BYTES, LayerReport, OsRelease};
use moka::future::Cache;
use oci::{Digest, RepoName};
use road::rebase::{LayerPaths, MAX_PATHS, Stored};
use store::Store;
use web::RebasingError;

use super::{Manifest, failed};
use crate::judge::{Evidence, stored_limits};

/// Bytes of releases that are kept in memory. One that takes more is loaded each time.
const KEPT_RELEASES: u64 = 32 << 20;

/// For how long. They may be deleted, or looked into again by other analysers.
const KEPT_FOR: Duration = Duration::from_secs(2);

type Releases = Cache<(RepoName, Digest), Arc<Loaded>>;

/// Loads images.
pub(super) struct Loader {
    store: Store,
    evidence: Evidence,
    /// Releases of bases that were loaded a moment ago: all images on a base ask for the same.
    releases: Releases,
}

/// All that a plan needs of an image.
pub(super) struct Loaded {
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    pub(super) config: Vec<u8>,
    /// `linux/arm/v7`.
    pub(super) platform: String,
    /// As computed, lowest first.
    pub(super) diff_ids: Vec<Option<Digest>>,
    /// One per layer, lowest first; none for one that could not be had.
    pub(super) layers: Vec<Option<Arc<LayerReport>>>,
    pub(super) os: Option<OsRelease>,
    /// It says where its source is, and which revision of it.
    pub(super) has_source: bool,
    /// Bytes that it takes in memory.
    pub(super) bytes: u64,
}

/// What an image says of its source (image-spec, annotations.md).
const SOURCE: [&str; 2] = [
    "org.opencontainers.image.source",
    "org.opencontainers.image.revision",
];

impl Loader {
    pub(super) fn new(store: Store, evidence: Evidence) -> Self {
        Self {
            store,
            evidence,
            releases: releases(),
        }
    }

    /// The same of a release of a base, which may have been loaded a moment ago.
    pub(super) async fn release(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Arc<Loaded>, RebasingError> {
        let place = (repo.clone(), *digest);
        if let Some(image) = self.releases.get(&place).await {
            return Ok(image);
        }
        let image = Arc::new(self.load(repo, digest).await?);
        self.releases.insert(place, Arc::clone(&image)).await;
        Ok(image)
    }

    pub(super) async fn load(&self, repo: &RepoName, digest: &Digest) -> Result<Loaded, RebasingError> {
        let stored = self.store.manifest_to_judge(repo, digest).await;
        let stored = stored
            .map_err(|error| failed(error.into()))?
            .ok_or(RebasingError::Gone)?;
        let manifest = oci::Manifest::parse(&stored.bytes, Some(&stored.media_type), &stored_limits())
            .context("the manifest that was stored cannot be read")
            .map_err(failed)?;
        let gathered = self.evidence.gather(repo, &manifest).await.map_err(failed)?;
        let gathered = gathered.ok_or_else(|| RebasingError::Waits(format!("{repo}@{digest}")))?;
        let config = manifest.config.as_ref().ok_or(RebasingError::Gone)?;
        let config = self.config(&config.digest).await.map_err(failed)?;
        let mut had = gathered.image.layers.iter();
        let layers = manifest.layers.iter().map(|layer| {
            let is_it = had
                .clone()
                .next()
                .is_some_and(|report| report.blob == layer.digest);
            is_it.then(|| had.next().cloned()).flatten()
        });
        let layers: Vec<Option<Arc<LayerReport>>> = layers.collect();
        let overlay = gathered
            .image
            .overlay()
            .context("the layers cannot be stacked")
            .map_err(failed)?;
        let labels = gathered.config.iter().flat_map(|config| &config.labels);
        let said: Vec<&str> = labels
            .map(|(name, _)| name.as_str())
            .chain(manifest.annotations.keys().map(String::as_str))
            .collect();
        Ok(Loaded {
            digest: *digest,
            bytes: gathered.bytes + (config.len() + stored.bytes.len()) as u64,
            platform: platform_of(&config),
            os: overlay.os.cloned(),
            has_source: SOURCE.iter().all(|name| said.contains(name)),
            diff_ids: gathered
                .diff_ids
                .iter()
                .map(|id| id.as_deref().and_then(|id| id.parse().ok()))
                .collect(),
            manifest: (stored.media_type.clone(), stored.bytes.clone()),
            config,
            layers,
        })
    }

    async fn config(&self, digest: &Digest) -> Result<Vec<u8>> {
        let file = self.store.blob_file(digest).await?;
        let file = file.ok_or_else(|| anyhow!("the configuration {digest} is not there"))?;
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            file.take(CONFIG_BYTES as u64 + 1)
                .read_to_end(&mut bytes)
                .map(|_| bytes)
        });
        Ok(read.await.context("the reading was lost")??)
    }
}

fn releases() -> Releases {
    let bytes = |_: &(RepoName, Digest), image: &Arc<Loaded>| u32::try_from(image.bytes).unwrap_or(u32::MAX);
    let cache = Cache::builder().max_capacity(KEPT_RELEASES).weigher(bytes);
    cache.time_to_live(KEPT_FOR).build()
}

/// As the configuration says. Empty where it says nothing.
fn platform_of(config: &[u8]) -> String {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Platform {
        os: String,
        architecture: String,
        variant: String,
    }
    let Platform {
        os,
        architecture,
        variant,
    } = serde_json::from_slice(config).unwrap_or_default();
    let parts = [os, architecture, variant];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

impl Loaded {
    pub(super) fn stored(&self) -> Stored<'_> {
        Stored {
            manifest: &self.manifest.1,
            media_type: &self.manifest.0,
            config: &self.config,
        }
    }

    /// The paths of its layers from `first` up; or which one cannot be known, counted from 1 at the bottom, and why.
    pub(super) fn paths(&self, first: usize) -> Result<Vec<LayerPaths>, (usize, String)> {
        let (mut all, mut count) = (Vec::new(), 0);
        for (at, report) in self.layers.iter().enumerate().skip(first) {
            let paths = paths_of(report.as_deref()).map_err(|why| (at + 1, why))?;
            count += paths.entries.len();
            if count > MAX_PATHS {
                let why = format!("up to here the layers have more than {MAX_PATHS} paths");
                return Err((at + 1, why));
            }
            all.push(paths);
        }
        Ok(all)
    }
}

fn paths_of(report: Option<&LayerReport>) -> Result<LayerPaths, String> {
    let report = report.ok_or("it is not there")?;
    if let Some(missing) = report.not_scannable.iter().find(|missing| missing.path.is_none()) {
        return Err(format!("{}: {}", missing.limit, missing.detail));
    }
    match &report.rebase {
        None => return Err("it is being looked into again".to_owned()),
        Some(facts) if facts.more_linkages > 0 => {
            return Err(format!(
                "the needs of {} of its programs are not known",
                facts.more_linkages
            ));
        }
        Some(_) => {}
    }
    if let Some(oddity) = report.oddities.first() {
        return Err(format!(
            "unpackers may disagree about `{}`: {}",
            oddity.path, oddity.what
        ));
    }
    LayerPaths::of(report).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    fn loaded(bytes: u64) -> Arc<Loaded> {
        Arc::new(Loaded {
            digest: Digest::of(Algorithm::Sha256, b"release"),
            manifest: (
                oci::media_type::OCI_IMAGE_MANIFEST.parse().unwrap(),
                bytes::Bytes::new(),
            ),
            config: Vec::new(),
            platform: "linux/amd64".to_owned(),
            diff_ids: Vec::new(),
            layers: Vec::new(),
            os: None,
            has_source: false,
            bytes,
        })
    }

    #[tokio::test]
    async fn what_is_kept_of_releases_is_bounded() {
        let releases = releases();
        let place = |number: u64| {
            let name = format!("base/os{number}").parse().unwrap();
            (name, Digest::of(Algorithm::Sha256, b"release"))
        };
        releases.insert(place(0), loaded(KEPT_RELEASES + 1)).await;
        for number in 1..20 {
            releases.insert(place(number), loaded(KEPT_RELEASES / 4)).await;
        }
        releases.run_pending_tasks().await;
        assert!(releases.get(&place(0)).await.is_none());
        assert!(releases.weighted_size() <= KEPT_RELEASES);
        assert!(releases.entry_count() > 0);
    }
}
