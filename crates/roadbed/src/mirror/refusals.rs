//! What the centre refuses, as far as anybody here has heard of it.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use oci::{Digest, RepoName};
use serde_json::Value;
use store::{MirrorRefusal, Store, StoreError};

/// All refusals that are known. They outlive a restart.
pub(super) struct Refusals {
    store: Store,
    known: Cache<(RepoName, Digest), Arc<MirrorRefusal>>,
    /// Where there are any, so that other pulls need not look.
    repos: Cache<RepoName, ()>,
}

impl Refusals {
    /// With those from before the last start, at most `most`.
    pub(super) async fn load(store: Store, most: u64) -> Result<Self, StoreError> {
        let (known, repos) = (Cache::new(most), Cache::new(most));
        for refusal in store.mirror_refusals(most).await? {
            repos.insert(refusal.repo.clone(), ());
            known.insert((refusal.repo.clone(), refusal.digest), Arc::new(refusal));
        }
        Ok(Self { store, known, repos })
    }

    /// What was heard of a manifest or blob of a repository here.
    pub(super) fn of(&self, repo: &RepoName, digest: &Digest) -> Option<Arc<MirrorRefusal>> {
        self.known.get(&(repo.clone(), *digest))
    }

    /// Whether anything of a repository here is, or was since the start.
    pub(super) fn are_in(&self, repo: &RepoName) -> bool {
        self.repos.contains_key(repo)
    }

    /// How many there are, about.
    pub(super) fn count(&self) -> u64 {
        self.known.entry_count()
    }

    /// How long ago the centre said so.
    pub(super) fn age(&self, refusal: &MirrorRefusal) -> Duration {
        let age = self.store.now().micros().saturating_sub(refusal.at.micros());
        Duration::from_micros(u64::try_from(age).unwrap_or(u64::MAX))
    }

    /// The centre refuses it.
    pub(super) async fn note(&self, repo: &RepoName, digest: &Digest, message: String, detail: &Value) {
        let refusal = MirrorRefusal {
            repo: repo.clone(),
            digest: *digest,
            message,
            detail: detail.to_string(),
            at: self.store.now(),
        };
        self.known
            .insert((repo.clone(), *digest), Arc::new(refusal.clone()));
        self.repos.insert(repo.clone(), ());
        tracing::info!(repository = %repo, %digest, "the centre refuses what is held or wanted here");
        if let Err(error) = self.store.note_mirror_refusal(refusal).await {
            tracing::error!(%error, repository = %repo, %digest, "a refusal was not written down");
        }
    }

    /// The centre lets it be pulled.
    pub(super) async fn lift(&self, repo: &RepoName, digest: &Digest) {
        let key = (repo.clone(), *digest);
        if !self.known.contains_key(&key) {
            return;
        }
        self.known.invalidate(&key);
        if let Err(error) = self.store.drop_mirror_refusal(repo, digest).await {
            tracing::warn!(%error, repository = %repo, %digest, "a refusal that was lifted is still written down");
        }
    }
}
