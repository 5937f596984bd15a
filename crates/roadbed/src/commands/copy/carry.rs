//! Carries out plans.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;
use oci::{Descriptor, Digest};
use serde::Serialize;

use super::destination::Destination;
use super::patience::patiently;
use super::plan::Plan;
use super::source::Source;
use crate::progress;

/// Blobs that are sent at a time.
const AT_ONCE: usize = 4;

/// What was done.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Tally {
    pub(super) blobs_sent: u64,
    pub(super) bytes_sent: u64,
    pub(super) blobs_there: u64,
    pub(super) blobs_linked: u64,
    pub(super) manifests: u64,
}

/// Brings images from one end to the other.
pub(super) struct Carrier {
    source: Source,
    to: Destination,
    /// Blobs that have arrived; images share them.
    arrived: Mutex<HashSet<Digest>>,
    tally: Mutex<Tally>,
    bar: ProgressBar,
}

impl Carrier {
    pub(super) fn new(source: Source, to: Destination) -> Self {
        Self {
            source,
            to,
            arrived: Mutex::default(),
            tally: Mutex::default(),
            bar: progress::of_bytes(0),
        }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Everything of one image. What was written stays when it fails, for the next try.
    pub(super) async fn carry(&self, plan: Plan) -> Result<()> {
        let blobs = plan.blobs.iter().map(|blob| patiently(move || self.blob(blob)));
        let mut arriving = stream::iter(blobs).buffer_unordered(AT_ONCE);
        while let Some(arrived) = arriving.next().await {
            arrived?;
        }
        for step in &plan.steps {
            patiently(|| self.to.put_manifest(&step.found, &step.under, step.is_listed))
                .await
                .with_context(|| format!("cannot write manifest {}", step.found.digest))?;
            self.note(|tally| tally.manifests += 1);
        }
        self.to.finish()
    }

    /// What was done in all.
    pub(super) fn finish(&self) -> Tally {
        self.bar.finish_and_clear();
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn blob(&self, blob: &Descriptor) -> Result<()> {
        let digest = blob.digest;
        if self.arrived().contains(&digest) {
            return Ok(());
        }
        let not_written = || format!("cannot write blob {digest}");
        if self.to.has(blob).await.with_context(not_written)? {
            self.note(|tally| tally.blobs_there += 1);
        } else if self.to.link(blob).await.with_context(not_written)? {
            self.note(|tally| tally.blobs_linked += 1);
        } else {
            self.send(blob).await.with_context(not_written)?;
        }
        self.arrived().insert(digest);
        Ok(())
    }

    async fn send(&self, blob: &Descriptor) -> Result<()> {
        let bytes = self.source.blob(blob).await?;
        self.bar.inc_length(blob.size);
        let (bar, moved) = (self.bar.clone(), Arc::new(AtomicU64::new(0)));
        let counting = Arc::clone(&moved);
        let counted = bytes.inspect_ok(move |chunk| {
            bar.inc(chunk.len() as u64);
            counting.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        });
        if let Err(error) = self.to.put(blob, Box::pin(counted)).await {
            // It may be sent once more.
            self.bar.dec_length(blob.size);
            self.bar.dec(moved.load(Ordering::Relaxed));
            return Err(error);
        }
        self.note(|tally| {
            tally.blobs_sent += 1;
            tally.bytes_sent += blob.size;
        });
        Ok(())
    }

    fn arrived(&self) -> std::sync::MutexGuard<'_, HashSet<Digest>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: impl FnOnce(&mut Tally)) {
        what(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
