//! Advisories, policy, waivers and signers in memory.
//!
//! A judgement takes one state of all. They are read again when the store says that one of them has changed; what was
//! read before stands until then, also while the database is away.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use arc_swap::ArcSwapOption;
use findings::advisory::{self, Advisory, AdvisoryIndex, Epss, Kev, VexDocument};
use policy::{KeptWaiver, Policy, Waiver};
use signatures::TrustedSigner;
use store::Store;
use tokio::sync::watch;

mod update;

pub(super) use update::{changed_by, index_after};

use super::{Evidence, JudgeLimits, fixes::Fixes, matched::Matched, touched::readable};

/// After a change, before everything is read again.
const SETTLE: Duration = Duration::from_millis(50);

/// How long a judgement waits for a change to be read.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Before a reading that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Advisories that are read at a time.
const PAGE: usize = 1_000;

/// One state of what images are judged by.
pub(crate) struct Facts {
    /// What advisories say.
    pub(crate) index: Arc<AdvisoryIndex>,
    /// What is known to be exploited.
    pub(crate) kev: Option<Kev>,
    /// What is likely to be.
    pub(crate) epss: Option<Epss>,
    /// When fixes were first known.
    pub(crate) fixes: Arc<Fixes>,
    /// Which advisories.
    pub(crate) generation: u64,
    /// How many changes that are about all images are taken in.
    pub(crate) asked: u64,
    /// What is asked.
    pub(crate) policy: Policy,
    /// Whether what is asked may depend on how likely something is to be exploited.
    pub(crate) reads_epss: bool,
    /// What does not count.
    pub(crate) waivers: Vec<Waiver>,
    /// Whose signatures count.
    pub(crate) signers: Arc<Vec<TrustedSigner>>,
    /// What administrators imported of what others say of vulnerabilities.
    pub(crate) vex: Vec<VexDocument>,
    /// What is known by them against packages that were asked about.
    pub(crate) matched: Matched,
}

impl Facts {
    /// What is said of vulnerabilities.
    pub(crate) fn knowledge(&self) -> advisory::Knowledge<'_> {
        advisory::Knowledge {
            index: &self.index,
            kev: self.kev.as_ref(),
            epss: self.epss.as_ref(),
        }
    }

    /// No advisories and the default policy: for what is the same whatever is known.
    pub(crate) fn nothing() -> Self {
        Self {
            index: Arc::default(),
            kev: None,
            epss: None,
            fixes: Arc::default(),
            generation: 0,
            asked: 0,
            policy: Policy::default_policy(),
            reads_epss: false,
            waivers: Vec::new(),
            signers: Arc::default(),
            vex: Vec::new(),
            matched: Matched::default(),
        }
    }
}

/// The present state.
pub(crate) struct Knowledge {
    store: Store,
    limits: JudgeLimits,
    evidence: Evidence,
    /// `None` until they were read for the first time.
    facts: ArcSwapOption<Facts>,
    /// Which change of the store the state takes in.
    taken_in: watch::Sender<Option<u64>>,
    /// Changes since the first reading.
    changes: watch::Receiver<u64>,
}

impl Knowledge {
    /// Knows nothing yet: [`Knowledge::follow`] reads it, so that a server is ready before its advisories are.
    pub(crate) fn of(store: Store, limits: JudgeLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            evidence: Evidence::new(store.clone(), limits.image_memory),
            changes: store.rulings(),
            store,
            facts: ArcSwapOption::empty(),
            taken_in: watch::Sender::new(None),
        })
    }

    /// How much is held and done at once.
    pub(super) fn limits(&self) -> JudgeLimits {
        self.limits
    }

    /// A reader of reports. All of them remember together.
    pub(crate) fn evidence(&self) -> Evidence {
        self.evidence.clone()
    }

    /// One that remembers by itself: whoever goes through all images does not push out what judges need.
    pub(super) fn evidence_aside(&self) -> Evidence {
        Evidence::new(self.store.clone(), self.limits.image_memory)
    }

    /// The state that takes in every change that was acknowledged by now: whoever pushes after an import is judged by it. What
    /// takes too long to be read is not waited for; the images are judged again once it is.
    pub(crate) async fn facts(&self) -> Arc<Facts> {
        let change = *self.store.rulings().borrow();
        let mut taken_in = self.taken_in.subscribe();
        loop {
            let is_taken_in = |taken_in: &Option<u64>| taken_in.is_some_and(|taken_in| taken_in >= change);
            let waited = tokio::time::timeout(LONGEST_WAIT, taken_in.wait_for(is_taken_in)).await;
            if waited.is_err() {
                tracing::warn!("advisories, policy or waivers have changed and are not read yet");
            }
            if let Some(facts) = self.facts.load_full() {
                return facts;
            }
        }
    }

    /// Changes whenever another state is the present one.
    pub(crate) fn states(&self) -> watch::Receiver<Option<u64>> {
        self.taken_in.subscribe()
    }

    /// The state by which images are judged now, whatever has changed meanwhile; `None`: nothing was read yet.
    pub(crate) fn present(&self) -> Option<Arc<Facts>> {
        self.facts.load_full()
    }

    /// Reads everything, and again whenever the store says that something has changed. Until its task is ended. Who has images
    /// judged by it follows [`Knowledge::states`].
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut changes = self.changes.clone();
        loop {
            changes.mark_unchanged();
            while let Err(error) = self.reload().await {
                tracing::error!(
                    error = format!("{error:#}"),
                    "advisories, policy and waivers could not be read; images are judged by what was known before"
                );
                tokio::time::sleep(TRY_AGAIN).await;
            }
            if changes.changed().await.is_err() {
                return;
            }
            // Whoever sets several waivers in a row causes one reading, not as many.
            tokio::time::sleep(SETTLE).await;
        }
    }

    async fn reload(&self) -> Result<()> {
        let change = *self.store.rulings().borrow();
        let facts = match self.present() {
            Some(before) => update::read_after(&self.store, &before, self.limits.updated).await?,
            None => read(&self.store).await?,
        };
        let facts = Facts {
            matched: Matched::within(self.limits.package_memory),
            ..facts
        };
        let (generation, stats) = (facts.generation, facts.index.stats().clone());
        self.facts.store(Some(Arc::new(facts)));
        self.taken_in.send_replace(Some(change));
        tracing::info!(
            generation,
            advisories = stats.advisories,
            "advisories, policy and waivers were read, images are judged by them"
        );
        Ok(())
    }
}

/// Reads everything once.
pub(crate) async fn read(store: &Store) -> Result<Facts> {
    read_with(store, async |generation| {
        Ok(Advised {
            index: Arc::new(index_of(store, generation).await?),
            kev: document(store, "kev", Kev::read).await?,
            epss: document(store, "epss", Epss::read).await?,
            fixes: Arc::new(Fixes::read(store).await?),
        })
    })
    .await
}

/// What imports bring.
struct Advised {
    index: Arc<AdvisoryIndex>,
    kev: Option<Kev>,
    epss: Option<Epss>,
    fixes: Arc<Fixes>,
}

/// Reads what administrators decree, and what imports bring by `advised`, which is told the generation.
async fn read_with(store: &Store, advised: impl AsyncFnOnce(u64) -> Result<Advised>) -> Result<Facts> {
    // First: what changes while the rest is read is not taken in.
    let asked = store.reevaluation().await?.asked;
    let generation = store.advisory_generation().await?;
    let (policy, reads_epss) = policy_read(store).await?;
    let signers = signers(store).await?;
    let Advised {
        index,
        kev,
        epss,
        fixes,
    } = advised(generation).await?;
    Ok(Facts {
        index,
        kev,
        epss,
        fixes,
        generation,
        asked,
        policy,
        reads_epss,
        waivers: waivers(store).await?,
        vex: vex(store, &signers).await?,
        signers: Arc::new(signers),
        matched: Matched::default(),
    })
}

/// The policy in force.
pub(super) async fn policy(store: &Store) -> Result<Policy> {
    Ok(policy_read(store).await?.0)
}

/// The same, and whether it names what probabilities are called, in a condition or in a message.
async fn policy_read(store: &Store) -> Result<(Policy, bool)> {
    let reads_epss = |text: &str| text.contains("epss");
    let Some(stored) = store.policy().await? else {
        return Ok((Policy::default_policy(), reads_epss(policy::DEFAULT_POLICY)));
    };
    let policy = Policy::parse("policy", &stored.body)
        .with_context(|| format!("version {} of the policy cannot be read", stored.version))?;
    Ok((policy, reads_epss(&stored.body)))
}

/// What the advisories of a generation say.
pub(crate) async fn index_of(store: &Store, generation: u64) -> Result<AdvisoryIndex> {
    let advisories = advisories_of(store, generation).await?;
    let built = tokio::task::spawn_blocking(move || AdvisoryIndex::build(advisories.into_values())).await;
    Ok(built.context("the index was lost")??)
}

/// The advisories of a generation, by their ids.
pub(super) async fn advisories_of(store: &Store, generation: u64) -> Result<BTreeMap<String, Advisory>> {
    let mut advisories = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page = store.advisories_of(generation, &after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(advisories);
        };
        after.clone_from(&last.id);
        // Unpacking computes; a thread that others wait for must not.
        let read = tokio::task::spawn_blocking(move || page.iter().filter_map(readable).collect::<Vec<_>>());
        let read = read.await.context("the reading was lost")?;
        advisories.extend(read.into_iter().map(|advisory| (advisory.id.clone(), advisory)));
    }
}

async fn document<T, E: std::error::Error + Send + Sync + 'static>(
    store: &Store,
    kind: &str,
    read: impl Fn(&[u8]) -> Result<T, E>,
) -> Result<Option<T>> {
    let found = store.advisory_documents(kind).await?;
    let Some(document) = found.first() else {
        return Ok(None);
    };
    read(&document.body)
        .map(Some)
        .with_context(|| format!("the {kind} document that was stored cannot be read"))
}

/// One that cannot be read any more is trusted no more, which is the safe side.
async fn signers(store: &Store) -> Result<Vec<TrustedSigner>> {
    let mut signers = Vec::new();
    for spec in store.trusted_signers().await? {
        let name = spec.name.clone();
        match TrustedSigner::new(spec) {
            Ok(signer) => signers.push(signer),
            Err(error) => tracing::error!(signer = name, %error, "a signer that was stored cannot be used"),
        }
    }
    Ok(signers)
}

/// The documents of authors who are trusted.
async fn vex(store: &Store, signers: &[TrustedSigner]) -> Result<Vec<VexDocument>> {
    let authors: Vec<&String> = signers
        .iter()
        .filter_map(|signer| signer.spec().author.as_ref())
        .collect();
    if authors.is_empty() {
        return Ok(Vec::new());
    }
    let mut documents = Vec::new();
    for stored in store.advisory_documents("vex").await? {
        match VexDocument::read(&stored.body) {
            Ok(document) if authors.contains(&&document.author) => documents.push(document),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(document = stored.name, %error, "VEX that was stored cannot be read");
            }
        }
    }
    Ok(documents)
}

async fn waivers(store: &Store) -> Result<Vec<Waiver>> {
    let mut waivers = Vec::new();
    for stored in store.waivers().await? {
        match KeptWaiver::from_json(&stored.body) {
            Ok(KeptWaiver::Approved(waiver)) => waivers.push(waiver),
            Ok(KeptWaiver::Requested(_)) => {}
            Err(error) => {
                tracing::error!(waiver = stored.id, %error, "a waiver that was stored cannot be read");
            }
        }
    }
    Ok(waivers)
}
