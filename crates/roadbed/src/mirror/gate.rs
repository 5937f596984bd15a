//! The gate of a mirror: it judges nothing, and lets nothing pass of which it has heard that the centre refuses it.
//!
//! What is held is served without asking. But once somebody has pulled it, the centre is asked behind them whether it may still be
//! pulled, so that a refusal is heard of soon. What is refused is asked for before each pull, unless it just was: a waiver counts at once.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use oci::{Digest, RepoName};
use outbound::distribution::UpstreamError;
use registry::gate::{Answer, Gate, Pull, Push, PushAnswer, PushVerdict, Verdict};
use serde_json::{Value, json};
use store::{MirrorRefusal, Store, StoredManifest};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::centre::{Centre, CentreError};
use super::permits::Permits;
use super::refusals::Refusals;
use super::spaces::Spaces;

/// Images of which it is remembered that the centre was asked about them.
const CHECKED: u64 = 100_000;

/// Questions behind pulls at the same time; of more, the next pull asks.
const CHECKS: usize = 8;

/// How long a refusal counts before a pull asks again.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// How long such a pull waits for the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is refused, and whether it still is.
#[derive(Clone)]
pub(super) struct MirrorGate(Arc<Inner>);

struct Inner {
    store: Store,
    spaces: Arc<Spaces>,
    centre: Arc<Centre>,
    permits: Arc<Permits>,
    refusals: Arc<Refusals>,
    checked: Cache<(RepoName, Digest), ()>,
    checks: Semaphore,
    runtime: Handle,
}

impl MirrorGate {
    /// Asks again after `recheck`, on `runtime`.
    pub(super) fn new(
        store: Store,
        spaces: Arc<Spaces>,
        centre: Arc<Centre>,
        (permits, refusals): (Arc<Permits>, Arc<Refusals>),
        recheck: Duration,
        runtime: Handle,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            spaces,
            centre,
            permits,
            refusals,
            checked: Cache::builder()
                .max_capacity(CHECKED)
                .time_to_live(recheck)
                .build(),
            checks: Semaphore::new(CHECKS),
            runtime,
        }))
    }

    async fn manifest_verdict(&self, pull: Pull<'_>, digest: &Digest) -> Verdict {
        if let Some(refusal) = self.0.refusals.of(pull.repo, digest) {
            return self.still(pull, digest, &refusal).await;
        }
        self.check_behind(pull.repo, digest);
        Verdict::Serve
    }

    /// What is refused, unless the centre says otherwise by now.
    async fn still(&self, pull: Pull<'_>, digest: &Digest, refusal: &Arc<MirrorRefusal>) -> Verdict {
        let refusals = &self.0.refusals;
        if pull.waits && refusals.age(refusal) >= REFUSED_FOR {
            let (this, repo, digest) = (self.clone(), pull.repo.clone(), *digest);
            let asked = self
                .0
                .runtime
                .spawn(async move { this.check(&repo, &digest).await });
            let _ = tokio::time::timeout(PATIENCE, asked).await;
        }
        match refusals.of(pull.repo, digest) {
            None => Verdict::Serve,
            Some(refusal) => verdict(&refusal),
        }
    }

    /// A blob is refused where it itself is, or every image of the repository that has it.
    async fn blob_verdict(&self, repo: &RepoName, digest: &Digest) -> Verdict {
        if let Some(refusal) = self.0.refusals.of(repo, digest) {
            return verdict(&refusal);
        }
        // A pull of what is held asks no database.
        if !self.0.refusals.are_in(repo) {
            return Verdict::Serve;
        }
        match self.0.store.images_with(repo, digest, MOST_IMAGES).await {
            Ok(images) if !images.is_empty() => {
                let refused = |image: &Digest| self.0.refusals.of(repo, image);
                let all: Option<Vec<_>> = images.iter().map(refused).collect();
                match all {
                    Some(all) if images.len() < MOST_IMAGES => Verdict::Refuse {
                        message: "every image of this repository that has this layer is refused by policy; pull its manifest to see why"
                            .to_owned(),
                        detail: json!({ "decision": "refuse", "images": all.len() }),
                    },
                    _ => Verdict::Serve,
                }
            }
            // Without the database nobody knows which images have it; what was refused is refused by its manifest.
            _ => Verdict::Serve,
        }
    }

    /// Has the centre asked about what was just served, unless it was lately.
    fn check_behind(&self, repo: &RepoName, digest: &Digest) {
        let key = (repo.clone(), *digest);
        if self.0.checked.contains_key(&key) {
            return;
        }
        self.0.checked.insert(key.clone(), ());
        let this = self.clone();
        self.0.runtime.spawn(async move {
            let Ok(_place) = this.0.checks.try_acquire() else {
                this.0.checked.invalidate(&key);
                return;
            };
            if !this.check(&key.0, &key.1).await {
                // Nobody has said anything.
                this.0.checked.invalidate(&key);
            }
        });
    }

    /// Asks the centre about something that is here. Answers whether it said anything.
    async fn check(&self, local: &RepoName, digest: &Digest) -> bool {
        let inner = &*self.0;
        let Some((space, there)) = inner.spaces.of(local) else {
            return false;
        };
        let asker = inner.centre.asker_for(space, local);
        match inner
            .centre
            .ask(asker.upstream.check_manifest(&there, digest))
            .await
        {
            Ok(()) => inner.refusals.lift(local, digest).await,
            Err(CentreError::Said(UpstreamError::Refused { message, detail, .. })) => {
                inner.refusals.note(local, digest, message, &detail).await;
            }
            Err(CentreError::Said(UpstreamError::Denied { .. })) => {
                inner.permits.withdraw(asker.who, local).await;
                inner.centre.refuses(local, asker.who);
            }
            // What the centre has no more is not refused by that.
            Err(CentreError::Said(UpstreamError::NotFound)) => {}
            Err(_) => return false,
        }
        true
    }
}

/// Images with one blob that are looked at; of a blob that more of them have, at least one is taken to be served.
const MOST_IMAGES: usize = 1_000;

fn verdict(refusal: &MirrorRefusal) -> Verdict {
    Verdict::Refuse {
        message: refusal.message.clone(),
        detail: serde_json::from_str(&refusal.detail).unwrap_or(Value::Null),
    }
}

impl Gate for MirrorGate {
    fn manifest<'a>(&'a self, pull: Pull<'a>, manifest: &'a Arc<StoredManifest>) -> Answer<'a> {
        Box::pin(self.manifest_verdict(pull, &manifest.digest))
    }

    fn blob<'a>(&'a self, pull: Pull<'a>, digest: &'a Digest) -> Answer<'a> {
        Box::pin(self.blob_verdict(pull.repo, digest))
    }

    fn push<'a>(&'a self, _: Push<'a>) -> PushAnswer<'a> {
        Box::pin(std::future::ready(PushVerdict::Take))
    }
}
