//! Has the blobs of an image looked into, several at once.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use findings::LayerReport;
use futures_util::{StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;
use oci::{Descriptor, Digest};

use super::resolve::Image;
use crate::judge::Gathered;
use crate::progress;
use crate::worker::{Pool, PoolConfig, PoolError, gave_up};

/// How often a blob is tried: one that ends every child is not scannable.
const ATTEMPTS: usize = 2;

/// What was found in the blobs.
pub(super) async fn examine(image: &Image) -> Result<Gathered> {
    let manifest = &image.manifest;
    let blobs: HashMap<Digest, &Descriptor> = manifest
        .config
        .iter()
        .chain(&manifest.layers)
        .map(|blob| (blob.digest, blob))
        .collect();
    let pool = Pool::new(PoolConfig {
        starts_ahead: false,
        ..PoolConfig::default()
    });
    let bar = progress::of_bytes(blobs.values().map(|blob| blob.size).fold(0, u64::saturating_add));
    let reports: HashMap<Digest, Option<Arc<LayerReport>>> = futures_util::stream::iter(blobs.into_values())
        .map(|blob| look(image, &pool, blob, &bar))
        .buffer_unordered(pool.children())
        .try_collect()
        .await?;
    bar.finish_and_clear();
    let report = |blob: &Descriptor| reports.get(&blob.digest).cloned().flatten();
    let mut gathered = Gathered::default();
    if let Some(config) = &manifest.config {
        gathered.set_config(config, report(config));
    }
    for layer in &manifest.layers {
        gathered.push_layer(layer, report(layer));
    }
    Ok(gathered)
}

async fn look(
    image: &Image,
    pool: &Pool,
    blob: &Descriptor,
    bar: &ProgressBar,
) -> Result<(Digest, Option<Arc<LayerReport>>)> {
    let digest = blob.digest;
    for attempt in 1.. {
        let Some(file) = opened(image, blob).await? else {
            return Ok((digest, None));
        };
        let report = match pool.inspect(file, digest).await {
            Ok(report) => report,
            Err(error @ (PoolError::Start(_) | PoolError::Stopping)) => return Err(error.into()),
            Err(error) if attempt >= ATTEMPTS => gave_up(digest, &error),
            Err(_) => continue,
        };
        bar.inc(blob.size);
        return Ok((digest, Some(Arc::new(report))));
    }
    bail!("no report of {digest}")
}

/// Layers that registries need not hold may be missing; they are then among what is not known.
async fn opened(image: &Image, blob: &Descriptor) -> Result<Option<std::fs::File>> {
    if blob.is_foreign() && image.remote.is_some() {
        return Ok(None);
    }
    match image.blobs.open(blob).await? {
        None if !blob.is_foreign() => bail!("blob {} is missing: copy the image again", blob.digest),
        file => Ok(file),
    }
}
