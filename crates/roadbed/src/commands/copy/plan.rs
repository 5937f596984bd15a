//! Everything that belongs to an image, in the order in which it is written: nothing before what it names.

use std::collections::HashSet;
use std::pin::Pin;

use anyhow::{Context as _, Result, bail, ensure};
use oci::media_type::MANIFESTS;
use oci::{Descriptor, Digest, ManifestKind, Reference};

use super::source::{Found, Source};
use crate::judge::{Wanted, choose};

/// What one image may have; what is more ends its copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlanLimits {
    /// Indexes in indexes. Default 4.
    depth: usize,
    /// Manifests, with what refers to them. Default 10,000.
    manifests: usize,
    /// Bytes of them together: they are held until they are written. Default 256 MiB.
    bytes: usize,
}

impl Default for PlanLimits {
    fn default() -> Self {
        Self {
            depth: 4,
            manifests: 10_000,
            bytes: 256 << 20,
        }
    }
}

/// What is written for one image.
#[derive(Default)]
pub(super) struct Plan {
    /// First.
    pub(super) blobs: Vec<Descriptor>,
    /// Then, in this order.
    pub(super) steps: Vec<Step>,
}

/// A manifest to write.
pub(super) struct Step {
    pub(super) found: Found,
    pub(super) under: Reference,
    /// Whether it is more than a part of another one.
    pub(super) is_listed: bool,
}

/// Finds out what belongs to an image.
pub(super) struct Planner<'s> {
    source: &'s Source,
    with_referrers: bool,
    limits: PlanLimits,
    plan: Plan,
    /// Manifests and blobs that are in the plan.
    seen: HashSet<Digest>,
    /// The manifests among them, in the order in which they were found.
    manifests: Vec<Digest>,
    bytes: usize,
}

impl<'s> Planner<'s> {
    pub(super) fn new(source: &'s Source, with_referrers: bool, limits: PlanLimits) -> Self {
        Self {
            source,
            with_referrers,
            limits,
            plan: Plan::default(),
            seen: HashSet::new(),
            manifests: Vec::new(),
            bytes: 0,
        }
    }

    /// The image for a platform, if only that is wanted; of what is no index, the image itself.
    pub(super) async fn choose(&self, root: Found, platform: Option<&Wanted>) -> Result<Found> {
        let Some(platform) = platform else {
            return Ok(root);
        };
        let mut found = root;
        let depth = self.limits.depth;
        for _ in 0..depth {
            if found.manifest.kind == ManifestKind::Image {
                return Ok(found);
            }
            let child = choose(&found.manifest, Some(platform), platform)?.digest;
            found = self.source.named(child).await?;
        }
        bail!("indexes are nested more than {depth} deep")
    }

    /// The plan for an image. Its own manifest comes last: who sees it under its name finds everything.
    pub(super) async fn plan(mut self, root: Found, under: Reference) -> Result<Plan> {
        self.add(root, under, true, 0).await?;
        let root = self.plan.steps.pop().context("the image was lost")?;
        if self.with_referrers {
            let mut next = 0;
            while let Some(digest) = self.manifests.get(next).copied() {
                next += 1;
                self.add_attached(digest).await?;
            }
        }
        self.plan.steps.push(root);
        Ok(self.plan)
    }

    fn add<'a>(
        &'a mut self,
        found: Found,
        under: Reference,
        is_listed: bool,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            let PlanLimits {
                depth: deepest,
                manifests,
                bytes,
            } = self.limits;
            ensure!(depth < deepest, "indexes are nested more than {deepest} deep");
            if self.seen.insert(found.digest) {
                self.add_parts(&found, depth).await?;
                self.manifests.push(found.digest);
            }
            // One that was seen before is held once more, to be put under another name.
            self.bytes += found.bytes.len();
            ensure!(
                self.plan.steps.len() < manifests && self.bytes <= bytes,
                "an image has at most {manifests} manifests of {bytes} bytes together: copy its platforms one by one"
            );
            self.plan.steps.push(Step {
                found,
                under,
                is_listed,
            });
            Ok(())
        })
    }

    async fn add_parts(&mut self, found: &Found, depth: usize) -> Result<()> {
        for child in &found.manifest.manifests {
            if !MANIFESTS.contains(&child.media_type.as_str()) {
                // Caches of builds keep blobs in an index.
                self.add_blob(child);
            } else if !self.seen.contains(&child.digest) {
                let under = Reference::Digest(child.digest);
                let child = self.source.named(child.digest).await?;
                self.add(child, under, false, depth + 1).await?;
            }
        }
        for blob in found.manifest.blobs() {
            self.add_blob(blob);
        }
        Ok(())
    }

    fn add_blob(&mut self, blob: &Descriptor) {
        if self.seen.insert(blob.digest) {
            self.plan.blobs.push(blob.clone());
        }
    }

    /// What refers to a manifest, and what cosign keeps under tags for it.
    async fn add_attached(&mut self, digest: Digest) -> Result<()> {
        let source = self.source;
        for referrer in source.referrers(&digest).await? {
            if self.seen.contains(&referrer) {
                continue;
            }
            let under = Reference::Digest(referrer);
            // A list may name what is gone.
            if let Some(found) = source.find(&under).await? {
                self.add(found, under, true, 0).await?;
            }
        }
        let [signatures, attestations, _] = digest.attachment_tags();
        for tag in [signatures, attestations] {
            let under = Reference::Tag(tag);
            if let Some(found) = source.find(&under).await? {
                self.add(found, under, true, 0).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
