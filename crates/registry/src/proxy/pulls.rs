//! What a pull means: what is here, what the upstream says, and which of them is served.

use std::sync::Arc;
use std::time::Duration;

use oci::{Digest, Reference, Tag};
use store::StoredManifest;
use tokio::time::{Instant, timeout_at};

use super::error::ProxyError;
use super::places::Words;
use super::refresh::Outcome;
use super::source::SourceError;
use super::{Ask, Found, Gone, Known, Proxy, Seen, Undecided};

/// What is told where no more questions may be asked.
pub(super) const QUESTIONS: Words = Words {
    all: "too many questions to upstreams are under way",
    upstream: "too many questions to this upstream are under way",
    payer: "too many questions to upstreams by this user or robot are under way",
};

/// What is told of a tag that stays although its upstream has it no more.
const GONE: &str = "the upstream does not have this tag any more";

impl Proxy {
    /// What memory answers by itself: a digest that is held or on its way, or a tag that is fresh.
    pub(crate) async fn remembered(&self, ask: &Ask, reference: &Reference) -> Option<Found> {
        let digest = match reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(tag) => {
                let known = self.inner.known.get(&(ask.repo().clone(), tag.clone()))?;
                (!known.gone && self.is_fresh(ask, &known)).then_some(known.digest)?
            }
        };
        let reference = Reference::Digest(digest);
        let store = &self.inner.store;
        let found = match store.remembered_manifest(&ask.permit, &reference).await {
            Some(manifest) => Found::Held(manifest, None),
            None => Found::Coming(self.inner.images.coming(ask.repo(), &digest)?),
        };
        self.inner.metrics.hit(&ask.proxied.upstream);
        Some(found)
    }

    /// What is known here without asking the upstream, for a pull.
    pub(crate) async fn look(&self, ask: &Ask, reference: &Reference) -> Result<Seen, ProxyError> {
        // A cold image that a whole cluster pulls is one look, not one for each node.
        if self.is_asking(ask, reference) && !self.is_known(ask, reference) {
            return Ok(Seen::Nothing);
        }
        let seen = self.seen(ask, reference).await?;
        match &seen {
            Seen::Enough(Found::Held(_, Some(_))) => self.inner.metrics.stale(&ask.proxied.upstream),
            Seen::Enough(_) => self.inner.metrics.hit(&ask.proxied.upstream),
            Seen::Old(_) | Seen::Nothing => {}
        }
        Ok(seen)
    }

    pub(super) async fn seen(&self, ask: &Ask, reference: &Reference) -> Result<Seen, ProxyError> {
        let tag = match reference {
            Reference::Digest(digest) => {
                let here = self.here(ask, digest).await?;
                return Ok(here.map_or(Seen::Nothing, Seen::Enough));
            }
            Reference::Tag(tag) => tag,
        };
        let Some(known) = self.known(ask, tag).await? else {
            return Ok(Seen::Nothing);
        };
        let Some(found) = self.here(ask, &known.digest).await? else {
            return Ok(Seen::Nothing);
        };
        if !self.is_fresh(ask, &known) {
            return Ok(match found {
                Found::Held(manifest, _) => Seen::Old(manifest),
                coming @ Found::Coming(_) => Seen::Enough(coming),
            });
        }
        Ok(Seen::Enough(if known.gone {
            stale(ask, found, GONE)
        } else {
            found
        }))
    }

    /// The manifest that a pull means, by `deadline`.
    pub(crate) async fn manifest(
        &self,
        ask: &Ask,
        reference: &Reference,
        seen: Seen,
        deadline: Instant,
    ) -> Result<Found, ProxyError> {
        match seen {
            Seen::Enough(found) => Ok(found),
            Seen::Old(held) => self.or_held(ask, reference, held, deadline).await,
            Seen::Nothing => {
                let outcome = self.question(ask, reference, None, deadline).await?;
                self.outcome(ask, outcome).await
            }
        }
    }

    /// What is here or on its way under a digest.
    async fn here(&self, ask: &Ask, digest: &Digest) -> Result<Option<Found>, ProxyError> {
        let reference = Reference::Digest(*digest);
        if let Some(manifest) = self.inner.store.manifest(&ask.permit, &reference).await? {
            return Ok(Some(Found::Held(manifest, None)));
        }
        Ok(self.inner.images.coming(ask.repo(), digest).map(Found::Coming))
    }

    /// What the upstream has now, if that is known soon; else what is held.
    async fn or_held(
        &self,
        ask: &Ask,
        reference: &Reference,
        held: Arc<StoredManifest>,
        deadline: Instant,
    ) -> Result<Found, ProxyError> {
        // Of an upstream that did not answer, nobody waits for the answer.
        let patience = if ask.proxied.upstream.breaker.is_closed() {
            self.inner.limits.revalidate_wait
        } else {
            Duration::ZERO
        };
        let soon = deadline.min(Instant::now() + patience);
        let outcome = self
            .question(ask, reference, Some((held.digest, patience)), soon)
            .await;
        let found = match outcome {
            Ok(outcome) => self.outcome(ask, outcome).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(Found::Coming(coming)) if ask.proxied.rule.undecided == Undecided::Hold => {
                // Who has something to run need not wait for what is new.
                match timeout_at(soon, coming.arrived()).await {
                    Ok(Ok(())) => Ok(Found::Held(Arc::clone(&coming.manifest), None)),
                    _ => Ok(self.stale(ask, Found::Held(held, None), "a newer image is being fetched")),
                }
            }
            Err(error) if error.leaves_what_is_held() && !is_dropped(ask, &error) => {
                Ok(self.stale(ask, Found::Held(held, None), &error.to_string()))
            }
            found => found,
        }
    }

    /// The same, counted.
    fn stale(&self, ask: &Ask, found: Found, why: &str) -> Found {
        self.inner.metrics.stale(&ask.proxied.upstream);
        stale(ask, found, why)
    }

    fn is_fresh(&self, ask: &Ask, known: &Known) -> bool {
        let age = self
            .inner
            .store
            .now()
            .micros()
            .saturating_sub(known.checked_at.micros());
        // One from the future is no excuse.
        u64::try_from(age).is_ok_and(|age| Duration::from_micros(age) < ask.proxied.rule.fresh)
    }

    /// Whether memory has what a tag was when the upstream was last asked.
    fn is_known(&self, ask: &Ask, reference: &Reference) -> bool {
        let key = |tag: &Tag| (ask.repo().clone(), tag.clone());
        reference
            .tag()
            .is_some_and(|tag| self.inner.known.contains_key(&key(tag)))
    }

    /// What is known of a tag: from memory, or from before the last start.
    async fn known(&self, ask: &Ask, tag: &Tag) -> Result<Option<Known>, ProxyError> {
        let key = (ask.repo().clone(), tag.clone());
        if let Some(known) = self.inner.known.get(&key) {
            return Ok(Some(known));
        }
        let Some(noted) = self.inner.store.upstream_tag(&ask.permit, tag).await? else {
            return Ok(None);
        };
        // Another upstream's tag is none of this one.
        if *noted.upstream != *ask.proxied.upstream.config.place {
            return Ok(None);
        }
        let known = Known {
            digest: noted.digest,
            checked_at: noted.checked_at,
            gone: noted.gone,
        };
        self.inner.known.insert(key, known);
        Ok(Some(known))
    }

    /// Asks the upstream, together with all who ask the same. Who holds something has patience from when it was first asked.
    pub(super) async fn question(
        &self,
        ask: &Ask,
        reference: &Reference,
        held: Option<(Digest, Duration)>,
        until: Instant,
    ) -> Result<Outcome, ProxyError> {
        let key = (ask.repo().clone(), reference.clone());
        if let Some(error) = self.inner.absent.get(&key) {
            return Err(error);
        }
        self.demand_writable()?;
        self.inner.metrics.miss(&ask.proxied.upstream);
        let work = || {
            let (proxy, ask, reference) = (self.clone(), ask.clone(), reference.clone());
            let held = held.map(|(digest, _)| digest);
            async move { proxy.refresh(ask, reference, held).await }
        };
        let joined = if let Some(joined) = self.inner.questions.under_way(&key) {
            joined
        } else {
            let place = self.inner.asking.take(&ask.proxied.upstream, ask.payer(), 1)?;
            let work = || {
                let work = work();
                async move {
                    let _place = place;
                    work.await
                }
            };
            let joined = self.inner.questions.join(&self.inner.runtime, key, work);
            joined.map_err(|_| ProxyError::TooMany(QUESTIONS.all))?
        };
        let until = held.map_or(until, |(_, patience)| until.min(joined.since + patience));
        match timeout_at(until, joined.done()).await {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => Err(ProxyError::Lost),
            Err(_) => Err(ProxyError::OnItsWay {
                upstream: Arc::clone(&ask.proxied.upstream.config.name),
            }),
        }
    }

    pub(super) async fn outcome(&self, ask: &Ask, outcome: Outcome) -> Result<Found, ProxyError> {
        match outcome {
            Outcome::Coming(coming) => Ok(Found::Coming(coming)),
            Outcome::Failed(error) => Err(error),
            Outcome::Gone(digest) => match self.here(ask, &digest).await? {
                Some(found) => Ok(self.stale(ask, found, GONE)),
                None => Err(ProxyError::Lost),
            },
            Outcome::Held(digest) => self.here(ask, &digest).await?.ok_or(ProxyError::Lost),
        }
    }
}

/// What is served although the upstream did not say that it is so.
fn stale(ask: &Ask, found: Found, why: &str) -> Found {
    match found {
        Found::Held(manifest, _) => {
            let name = &ask.proxied.upstream.config.name;
            let why = format!("stale: as it was last seen at upstream {name}; {why}");
            Found::Held(manifest, Some(why))
        }
        coming @ Found::Coming(_) => coming,
    }
}

/// Whether it is a tag that is to go here too.
fn is_dropped(ask: &Ask, error: &ProxyError) -> bool {
    let is_gone = matches!(
        error,
        ProxyError::Source {
            source: SourceError::NotFound,
            ..
        }
    );
    is_gone && ask.proxied.rule.gone == Gone::Drop
}
