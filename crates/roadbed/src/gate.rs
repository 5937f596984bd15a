//! The gate of the registry: pulls pass by what was decided of their image.
//!
//! - What was decided is answered from memory. A first decision is waited for, by so many and for so long; who comes on top or
//!   waits longer is told to come again.
//! - An index is served if one of the images in it is; what it holds beside images does not count. So is one of an upstream of
//!   which not all images are here.
//! - A blob is refused when every image of the repository that has it is refused. One that no manifest names yet is served where it
//!   was pushed, and not where it came from an upstream: of the image that it belongs to nobody knows anything.
//! - A push is judged by what is readable of it and already known, where a rule asks for that, and within a short time
//!   (`judge/push.rs`). Neither the right to inspect nor broken glass opens it: both are about pulls.
//! - Whoever may inspect sees everything, and so does everybody while the glass is broken ([`glass`]).

use std::{sync::Arc, time::Duration};

use oci::{Descriptor, Digest, Manifest, ManifestKind, RepoName};
use registry::gate::{Answer, Gate, Pull, Push, PushAnswer, PushVerdict, Verdict};
use serde_json::json;
use store::{Decided, Outcome, Point, Standing, Store, StoreError, StoredManifest};
use tokio::{sync::Semaphore, time::Instant};

use crate::judge::{AtPush, stored_limits};

pub(crate) mod glass;

use glass::Glass;

/// How the gate holds pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GateConfig {
    /// How long a pull waits for a first decision. Default 10 s: clients give up much later.
    pub(crate) first_wait: Duration,
    /// Pulls that wait at the same time. Default 1,000.
    pub(crate) waiters: usize,
    /// How long a push may take to be judged. Default 2 s; one that takes longer is taken in.
    pub(crate) push_wait: Duration,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(10),
            waiters: 1_000,
            push_wait: Duration::from_secs(2),
        }
    }
}

/// What is pulled.
#[derive(Clone, Copy)]
enum What<'a> {
    Manifest(&'a StoredManifest),
    Blob(&'a Digest),
}

/// When it is worth asking again for what is not decided.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What is told about a push that is taken in without a judgement.
const NOT_JUDGED: &str = "the push was taken in without having been judged; it is judged before it is pulled";

/// Decides by what the store has.
pub(crate) struct PolicyGate {
    store: Store,
    config: GateConfig,
    waiters: Semaphore,
    glass: Glass,
    pushes: AtPush,
}

impl PolicyGate {
    /// A gate over a store.
    pub(crate) fn new(store: Store, config: GateConfig, glass: Glass, pushes: AtPush) -> Arc<Self> {
        Arc::new(Self {
            waiters: Semaphore::new(config.waiters),
            store,
            config,
            glass,
            pushes,
        })
    }

    /// Whether nothing is asked.
    fn is_open_to(&self, pull: Pull<'_>) -> bool {
        self.glass.is_broken_for(pull.repo, self.store.now())
            || self.store.access().may_inspect(pull.caller, pull.repo)
    }

    /// Asks until there is a decision, as long as a pull may wait.
    async fn verdict(&self, pull: Pull<'_>, what: What<'_>) -> Verdict {
        if self.is_open_to(pull) {
            return Verdict::Open;
        }
        let mut decisions = self.store.decisions();
        let undecided = Verdict::Undecided {
            retry_after: RETRY_AFTER,
        };
        match self.ask(pull.repo, what).await {
            Ok(Some(verdict)) => return verdict,
            Ok(None) if pull.waits => {}
            Ok(None) => return undecided,
            Err(error) => return unanswered(&error),
        }
        let Ok(_place) = self.waiters.try_acquire() else {
            return undecided;
        };
        let until = Instant::now() + self.config.first_wait;
        while matches!(
            tokio::time::timeout_at(until, decisions.changed()).await,
            Ok(Ok(()))
        ) {
            match self.ask(pull.repo, what).await {
                Ok(Some(verdict)) => return verdict,
                Ok(None) => {}
                Err(error) => return unanswered(&error),
            }
        }
        undecided
    }

    /// Judges a push for as long as it may take.
    async fn push_verdict(&self, push: Push<'_>) -> PushVerdict {
        let judged = tokio::time::timeout(self.config.push_wait, self.pushes.judge(push)).await;
        let why = match judged {
            Ok(Ok(verdict)) => return verdict,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("it took longer than {:?}", self.config.push_wait),
        };
        tracing::warn!(
            repository = %push.repo, digest = %push.digest, error = why,
            "a push could not be judged and is taken in; it is judged before it is pulled"
        );
        PushVerdict::Warn(NOT_JUDGED.to_owned())
    }

    /// What is known now. `None`: it is not decided.
    async fn ask(&self, repo: &RepoName, what: What<'_>) -> Result<Option<Verdict>, StoreError> {
        match what {
            What::Manifest(manifest) if manifest.kind == ManifestKind::Index => {
                self.index_verdict(repo, manifest).await
            }
            What::Manifest(manifest) => self.image_verdict(repo, &manifest.digest).await,
            What::Blob(digest) => Ok(verdict_of(self.store.standing(repo, digest).await?)),
        }
    }

    async fn image_verdict(&self, repo: &RepoName, digest: &Digest) -> Result<Option<Verdict>, StoreError> {
        let decision = self.store.decision(repo, digest, Point::Pull).await?;
        Ok(decision.map(|decision| verdict(&decision)))
    }

    /// Served if one of its images is; undecided while none is and one may yet be. What is known of one counts also where another
    /// one cannot be asked about.
    async fn index_verdict(
        &self,
        repo: &RepoName,
        index: &StoredManifest,
    ) -> Result<Option<Verdict>, StoreError> {
        let (mut refused, mut unknown, mut failed) = (None, Vec::new(), None);
        for child in children(index) {
            let decision = match self.store.decision(repo, &child.digest, Point::Pull).await {
                Ok(Some(decision)) => decision,
                Ok(None) => {
                    unknown.push(child);
                    continue;
                }
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            match decision.outcome {
                Outcome::Refuse => refused = Some(verdict(&decision)),
                Outcome::NotApplicable => {}
                Outcome::Allow | Outcome::Warn => return Ok(Some(Verdict::Serve)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let mut is_undecided = false;
        for child in unknown {
            if is_manifest(&child) && !self.store.has_manifest(repo, &child.digest).await? {
                // An upstream's, not asked for yet: it is judged when it comes.
                return Ok(Some(Verdict::Serve));
            }
            is_undecided |= self.store.has_image(repo, &child.digest).await?;
        }
        Ok((!is_undecided).then(|| refused.unwrap_or(Verdict::Serve)))
    }
}

impl Gate for PolicyGate {
    fn manifest<'a>(&'a self, pull: Pull<'a>, manifest: &'a Arc<StoredManifest>) -> Answer<'a> {
        Box::pin(self.verdict(pull, What::Manifest(manifest)))
    }

    fn blob<'a>(&'a self, pull: Pull<'a>, digest: &'a Digest) -> Answer<'a> {
        Box::pin(self.verdict(pull, What::Blob(digest)))
    }

    fn push<'a>(&'a self, push: Push<'a>) -> PushAnswer<'a> {
        Box::pin(self.push_verdict(push))
    }
}

/// What an index names. It was checked when it was pushed.
fn children(index: &StoredManifest) -> Vec<Descriptor> {
    let parsed = Manifest::parse(&index.bytes, Some(&index.media_type), &stored_limits());
    parsed.map_or_else(|_| Vec::new(), |parsed| parsed.manifests)
}

/// Build caches keep their layers in indexes.
fn is_manifest(child: &Descriptor) -> bool {
    oci::media_type::MANIFESTS.contains(&child.media_type.as_str())
}

fn verdict(decision: &Decided) -> Verdict {
    match decision.outcome {
        Outcome::Allow | Outcome::NotApplicable => Verdict::Serve,
        Outcome::Warn => Verdict::Warn(decision.line.clone()),
        Outcome::Refuse => Verdict::Refuse {
            message: decision.line.clone(),
            detail: json!({ "decision": "refuse", "policy": decision.policy, "generation": decision.generation }),
        },
    }
}

fn verdict_of(standing: Standing) -> Option<Verdict> {
    if standing.manifests == 0 {
        return Some(Verdict::Unnamed);
    }
    if standing.refused + standing.undecided < standing.images || standing.images == 0 {
        return Some(Verdict::Serve);
    }
    if standing.undecided > 0 {
        return None;
    }
    Some(Verdict::Refuse {
        message: "every image of this repository that has this layer is refused by policy; pull its manifest to see why"
            .to_owned(),
        detail: json!({ "decision": "refuse", "images": standing.images }),
    })
}

/// Without the database nobody knows what was decided of what is not in memory.
fn unanswered(error: &StoreError) -> Verdict {
    if !error.is_away() {
        tracing::warn!(%error, "the gate could not look up a decision");
    }
    Verdict::Undecided {
        retry_after: RETRY_AFTER,
    }
}
