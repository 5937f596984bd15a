//! Has the blobs of an image looked into, several at once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use findings::{LayerReport, ScanResult};
use futures_util::{StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;
use oci::{Descriptor, Digest};

use super::resolve::Image;
use crate::judge::Gathered;
use crate::progress;
use crate::worker::{Pool, PoolConfig, PoolError, Skips, check_rules, gave_up};

/// How often a blob is tried: one that ends every child is not scannable.
const ATTEMPTS: usize = 2;

/// What is looked for.
#[derive(Debug, Args)]
pub(super) struct LookArgs {
    /// Do not look for these: secrets, malware
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    skip: Vec<Skipped>,
    /// Look for secrets by the rules of this file too, in gitleaks' TOML format
    #[arg(long, value_name = "FILE")]
    secret_rules: Vec<PathBuf>,
    /// Look for malware by these YARA rules too: a file, or all `.yar` and `.yara` files of a directory
    #[arg(long, value_name = "PATH")]
    malware_rules: Vec<PathBuf>,
}

/// What can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Skipped {
    Secrets,
    Malware,
}

impl LookArgs {
    /// Whether something was named, which a registry has not looked for or has.
    pub(super) fn is_named(&self) -> bool {
        !(self.skip.is_empty() && self.secret_rules.is_empty() && self.malware_rules.is_empty())
    }

    fn skips(&self, what: Skipped) -> bool {
        self.skip.contains(&what)
    }

    /// Says in the result what was not looked for: nothing found is not nothing there.
    pub(super) fn tell_skipped(&self, result: &mut ScanResult) {
        for (what, name) in [(Skipped::Secrets, "secrets"), (Skipped::Malware, "malware")] {
            if self.skips(what) {
                result
                    .unknowns
                    .push(format!("{name} were not looked for: --skip"));
            }
        }
    }

    fn pool(&self) -> Result<Pool> {
        check_rules(&self.secret_rules, &self.malware_rules)?;
        Ok(Pool::new(PoolConfig {
            starts_ahead: false,
            malware_rules: self.malware_rules.clone(),
            secret_rules: self.secret_rules.clone(),
            skips: Skips {
                secrets: self.skips(Skipped::Secrets),
                malware: self.skips(Skipped::Malware),
            },
            ..PoolConfig::default()
        }))
    }
}

/// What was found in the blobs.
pub(super) async fn examine(image: &Image, args: &LookArgs) -> Result<Gathered> {
    let manifest = &image.manifest;
    let blobs: HashMap<Digest, &Descriptor> = manifest
        .config
        .iter()
        .chain(&manifest.layers)
        .map(|blob| (blob.digest, blob))
        .collect();
    let pool = args.pool()?;
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
