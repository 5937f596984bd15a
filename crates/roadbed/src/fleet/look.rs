//! What is known of one image, from the reports of its layers.

use std::sync::{Arc, Weak};

use anyhow::{Context as _, Result};
use findings::LayerReport;
use moka::sync::Cache;
use oci::{Digest, Manifest, ManifestKind, RepoName};
use policy::UnknownKind;
use road::fleet::{ImageFacts, LayerFacts};
use store::{FleetImage, Store, StoreError, Timestamp};

use crate::judge::{Evidence, Gathered, is_image, stored_limits};

/// Units of layers whose facts are kept for the next image with the same layer.
const SHARED_UNITS: u64 = 300_000;

/// Looks at images.
pub(super) struct Looker {
    store: Store,
    evidence: Evidence,
    shared: Arc<Shared>,
}

/// Facts of layers by their blob, with the report that they were made from.
struct Shared(Cache<Digest, (Weak<LayerReport>, Arc<LayerFacts>)>);

/// What there is of an image.
pub(super) enum Looked {
    /// All that is known, and since when it is in the repository.
    Image(Box<ImageFacts>, Timestamp),
    /// A layer was not looked into yet.
    Waits,
    /// Nothing that runs: an index, a signature, an SBOM.
    Other,
    /// The repository does not have it.
    Gone,
}

impl Looker {
    pub(super) fn new(store: Store, evidence: Evidence) -> Self {
        let shared = Cache::builder().max_capacity(SHARED_UNITS).weigher(
            |_, (_, facts): &(Weak<LayerReport>, Arc<LayerFacts>)| {
                u32::try_from(facts.units().len() + 1).unwrap_or(u32::MAX)
            },
        );
        Self {
            shared: Arc::new(Shared(shared.build())),
            evidence,
            store,
        }
    }

    /// What is known of an image. One that cannot be read is one that could not be looked into: it must not keep the others from
    /// being known.
    pub(super) async fn look(&self, repo: &RepoName, digest: &Digest) -> Result<Looked> {
        let stored = match self.store.fleet_image(repo, digest).await {
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(%repo, %digest, %error, "an image that was stored cannot be read");
                return Ok(unreadable(self.store.now()));
            }
            stored => stored?,
        };
        let Some(stored) = stored else {
            return Ok(Looked::Gone);
        };
        // Nobody has looked into an SBOM of our own, and nobody need wait for that.
        if stored.kind == ManifestKind::Index || self.store.is_own_attachment(repo, digest).await? {
            return Ok(Looked::Other);
        }
        self.look_into(repo, digest, &stored).await
    }

    /// The same of a manifest that was read already: the repository may not have it any more, what is known of its layers is kept.
    pub(super) async fn look_into(
        &self,
        repo: &RepoName,
        digest: &Digest,
        stored: &FleetImage,
    ) -> Result<Looked> {
        let at = stored.pushed_at;
        let parsed = Manifest::parse(&stored.bytes, Some(&stored.media_type), &stored_limits());
        let Ok(manifest) = parsed else {
            tracing::error!(%repo, %digest, "a manifest that was stored cannot be read");
            return Ok(unreadable(at));
        };
        let gathered = match self.evidence.look(repo, &manifest).await {
            Ok(Some(gathered)) => gathered,
            Ok(None) => return Ok(Looked::Waits),
            Err(error) if is_damage(&error) => {
                tracing::error!(%repo, %digest, error = format!("{error:#}"), "a report cannot be read");
                return Ok(unreadable(at));
            }
            Err(error) => return Err(error),
        };
        if !is_image(&manifest, &gathered) {
            return Ok(Looked::Other);
        }
        let shared = Arc::clone(&self.shared);
        // Stacking layers computes for as long as they are large.
        let facts = tokio::task::spawn_blocking(move || facts_of(&gathered, &shared));
        let facts = facts.await.context("the stacking of layers was lost")?;
        Ok(Looked::Image(Box::new(facts), at))
    }
}

fn is_damage(error: &anyhow::Error) -> bool {
    let of_store = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
    matches!(of_store, Some(StoreError::Damaged { .. }))
}

fn unreadable(at: Timestamp) -> Looked {
    Looked::Image(Box::default(), at)
}

fn facts_of(gathered: &Gathered, shared: &Shared) -> ImageFacts {
    match ImageFacts::of(&gathered.image, |report| {
        shared.facts(&gathered.image.layers, report)
    }) {
        Ok(facts) => ImageFacts {
            is_scannable: facts.is_scannable && !hides_packages(gathered),
            ..facts
        },
        Err(error) => {
            tracing::error!(%error, "the layers of an image cannot be stacked");
            ImageFacts::default()
        }
    }
}

/// Whether something of it may hold packages that nobody saw.
fn hides_packages(gathered: &Gathered) -> bool {
    gathered.unknowns.iter().any(|unknown| {
        matches!(
            unknown.kind,
            UnknownKind::ForeignLayer
                | UnknownKind::NotScannable
                | UnknownKind::MalformedEvidence
                | UnknownKind::Ambiguous
        )
    })
}

impl Shared {
    fn facts(&self, layers: &[Arc<LayerReport>], report: &LayerReport) -> Arc<LayerFacts> {
        let known = self.0.get(&report.blob);
        let is_of = |of: &Weak<LayerReport>| {
            of.upgrade()
                .is_some_and(|of| std::ptr::eq(&raw const *of, report))
        };
        if let Some((_, facts)) = known.filter(|(of, _)| is_of(of)) {
            return facts;
        }
        let facts = Arc::new(LayerFacts::of(report));
        if let Some(own) = layers.iter().find(|own| std::ptr::eq(&raw const ***own, report)) {
            self.0
                .insert(report.blob, (Arc::downgrade(own), Arc::clone(&facts)));
        }
        facts
    }
}
