//! One question to an upstream, for all who ask the same: what is this tag now, or this digest?

use std::sync::Arc;

use oci::{Digest, Manifest, ManifestError, Reference, RepoName, Tag};
use store::StoredManifest;

use super::error::ProxyError;
use super::images::{Coming, Fetched, needed};
use super::lookalike::lookalikes;
use super::places::asker;
use super::question::question;
use super::source::{SourceError, SourceHead, SourceManifest};
use super::{Ask, Found, Gone, Known, Proxy, Seen, manifest_type};
use crate::traffic::turnstile::Turn;

/// Names that a new one is nearly called like, of which the first is told that whoever pulls may see.
const LIKE: usize = 8;

/// What came of a question.
#[derive(Clone)]
pub(super) enum Outcome {
    /// It is here.
    Held(Digest),
    /// It is here, and the upstream does not have it any more.
    Gone(Digest),
    /// Its blobs are on their way.
    Coming(Arc<Coming>),
    /// There is none.
    Failed(ProxyError),
}

impl Proxy {
    /// Asks the upstream. `held` is what the tag was when it was last asked, where that is here.
    pub(super) async fn refresh(self, ask: Ask, reference: Reference, held: Option<Digest>) -> Outcome {
        if let Some(outcome) = self.came_meanwhile(&ask, &reference).await {
            return outcome;
        }
        let outcome = match (reference.tag(), held) {
            (Some(tag), Some(held)) => self.revalidate(&ask, tag, &reference, held).await,
            _ => self.fetch(&ask, &reference, held).await,
        };
        outcome.unwrap_or_else(|error| {
            self.note_failure(&ask, reference, &error);
            Outcome::Failed(error)
        })
    }

    /// What somebody else was told between the look of whoever asks and this question.
    async fn came_meanwhile(&self, ask: &Ask, reference: &Reference) -> Option<Outcome> {
        let key = (ask.repo().clone(), reference.clone());
        if let Some(error) = self.inner.absent.get(&key) {
            return Some(Outcome::Failed(error));
        }
        match self.seen(ask, reference).await {
            Ok(Seen::Enough(Found::Coming(coming))) => Some(Outcome::Coming(coming)),
            Ok(Seen::Enough(Found::Held(manifest, None))) => Some(Outcome::Held(manifest.digest)),
            Ok(Seen::Enough(Found::Held(manifest, Some(_)))) => Some(Outcome::Gone(manifest.digest)),
            Ok(Seen::Old(_) | Seen::Nothing) | Err(_) => None,
        }
    }

    fn note_failure(&self, ask: &Ask, reference: Reference, error: &ProxyError) {
        self.inner.metrics.error(&ask.proxied.upstream);
        if error.is_a_no() {
            let key = (ask.repo().clone(), reference);
            self.inner.absent.insert(key, error.clone());
        } else {
            tracing::debug!(
                upstream = ask.proxied.upstream.name(), repository = %ask.repo(), %reference,
                error = error as &dyn std::error::Error,
                "an upstream did not answer"
            );
        }
    }

    /// Asks whether a tag is still what it was.
    async fn revalidate(
        &self,
        ask: &Ask,
        tag: &Tag,
        reference: &Reference,
        held: Digest,
    ) -> Result<Outcome, ProxyError> {
        let upstream = &ask.proxied.upstream;
        let asked = upstream.config.source.head_manifest(&ask.proxied.name, reference);
        let told = question(
            upstream,
            &path(ask, reference),
            self.inner.limits.manifest_time,
            asked,
        )
        .await;
        if let Ok(SourceHead { digest: Some(now) }) = &told {
            self.inner.images.named(ask.repo(), tag, now).await;
        }
        match told {
            Ok(SourceHead { digest: Some(now) }) if now == held => {
                self.renew(ask, tag, held).await?;
                Ok(Outcome::Held(held))
            }
            Ok(SourceHead { digest: Some(now) }) => {
                if let Some(coming) = self.inner.images.coming(ask.repo(), &now) {
                    if coming.tag(tag) {
                        return Ok(Outcome::Coming(coming));
                    }
                    // It is being stored just now.
                    coming.arrived().await?;
                }
                if self.is_refused(ask, now) {
                    // As where a rule keeps the tag: it stays what it was.
                    self.remember(ask, tag, held, false);
                    return Ok(Outcome::Held(held));
                }
                match self.retag(ask, tag, now).await? {
                    Some(now) => Ok(Outcome::Held(now)),
                    None => self.fetch(ask, reference, Some(held)).await,
                }
            }
            // Some do not say what it is called, some do not know the question.
            Ok(SourceHead { digest: None })
            | Err(ProxyError::Source {
                source: SourceError::Broken(_),
                ..
            }) => self.fetch(ask, reference, Some(held)).await,
            Err(
                error @ ProxyError::Source {
                    source: SourceError::NotFound,
                    ..
                },
            ) => self.gone(ask, tag, held, error).await,
            Err(error) => Err(error),
        }
    }

    /// The tag is what it was.
    async fn renew(&self, ask: &Ask, tag: &Tag, held: Digest) -> Result<(), ProxyError> {
        let here = Reference::Tag(tag.clone());
        // Where the database is away, what is known is enough.
        if let Ok(stands) = self.inner.store.manifest(&ask.permit, &here).await
            && stands.is_none_or(|manifest| manifest.digest != held)
            && self.retag(ask, tag, held).await?.is_some()
        {
            return Ok(());
        }
        self.remember(ask, tag, held, false);
        // Without it the upstream is asked once more after a start.
        let intake = ask.intake();
        let noted = self.inner.store.note_upstream_tag(&intake, tag, &held, false);
        if let Err(error) = noted.await {
            tracing::warn!(%error, repository = %ask.repo(), %tag, "what a tag is at its upstream was not noted");
        }
        Ok(())
    }

    /// Sets a tag to what is here already; answers what the tag is then, unless that is not here.
    async fn retag(&self, ask: &Ask, tag: &Tag, now: Digest) -> Result<Option<Digest>, ProxyError> {
        let found = self
            .inner
            .store
            .manifest(&ask.permit, &Reference::Digest(now))
            .await?;
        let Some(stored) = found else { return Ok(None) };
        let parsed = Manifest::parse(
            &stored.bytes,
            Some(&stored.media_type),
            &self.inner.manifest_limits,
        );
        // One that was taken under other limits is fetched anew, and then refused.
        let Ok(manifest) = parsed else { return Ok(None) };
        let fetched = fetched(ask, manifest, stored);
        let kept = self.inner.images.take_in(fetched, vec![tag.clone()]).await?;
        let is = kept.unwrap_or(now);
        self.remember(ask, tag, is, false);
        Ok(Some(is))
    }

    /// The upstream does not have the tag any more.
    async fn gone(
        &self,
        ask: &Ask,
        tag: &Tag,
        held: Digest,
        error: ProxyError,
    ) -> Result<Outcome, ProxyError> {
        match ask.proxied.rule.gone {
            Gone::Keep => {
                self.remember(ask, tag, held, true);
                let intake = ask.intake();
                let noted = self.inner.store.note_upstream_tag(&intake, tag, &held, true);
                noted.await?;
                Ok(Outcome::Gone(held))
            }
            Gone::Drop => {
                self.inner.known.invalidate(&(ask.repo().clone(), tag.clone()));
                self.inner.store.drop_upstream_tag(&ask.intake(), tag).await?;
                Err(error)
            }
        }
    }

    /// Fetches a manifest and has it come in.
    async fn fetch(
        &self,
        ask: &Ask,
        reference: &Reference,
        held: Option<Digest>,
    ) -> Result<Outcome, ProxyError> {
        let upstream = &ask.proxied.upstream;
        let (source, most) = (&upstream.config.source, self.inner.manifest_limits.bytes);
        let _turn = self.turn(ask, reference, held.is_some()).await?;
        let asked = source.manifest(&ask.proxied.name, reference, most);
        let came = question(
            upstream,
            &path(ask, reference),
            self.inner.limits.manifest_time,
            asked,
        )
        .await?;
        self.inner.metrics.fetched(upstream, came.bytes.len() as u64);
        let (stored, manifest) = self.read(ask, reference, came)?;
        self.compare_name(ask).await;
        let (digest, tag) = (stored.digest, reference.tag());
        let is_here = self.inner.store.has_manifest(ask.repo(), &digest).await?;
        let needs_nothing = needed(&manifest).is_empty();
        let fetched = fetched(ask, manifest, stored);
        if is_here || needs_nothing {
            let tags = tag.into_iter().cloned().collect();
            let kept = self.inner.images.take_in(fetched, tags).await?;
            let is = kept.unwrap_or(digest);
            if let Some(tag) = tag {
                self.remember(ask, tag, is, false);
            }
            return Ok(Outcome::Held(is));
        }
        if let Some(tag) = tag {
            self.inner.images.named(ask.repo(), tag, &digest).await;
        }
        let coming = self.inner.images.begin(fetched, tag)?;
        self.remember_refusal(ask, tag.filter(|_| held.is_none()), &coming);
        // Where something else is held, that is what the tag is until this one is here.
        if let (Some(tag), None) = (tag, held) {
            self.remember(ask, tag, digest, false);
        }
        Ok(Outcome::Coming(coming))
    }

    /// The turn of a manifest at its upstream. What nobody waits for any more when it comes is not fetched; but where something is held,
    /// nobody waits for what is new, and it has to come all the same.
    async fn turn(&self, ask: &Ask, reference: &Reference, is_held: bool) -> Result<Turn, ProxyError> {
        let upstream = &ask.proxied.upstream;
        if let Some(turn) = upstream.fetches.try_pass() {
            return Ok(turn);
        }
        let longest = self.inner.limits.manifest_time;
        let turn = upstream.fetches.wait(asker(ask.payer()), longest).await;
        let turn = turn.map_err(|shed| ProxyError::no_turn(upstream, shed))?;
        let key = (ask.repo().clone(), reference.clone());
        if !is_held && self.inner.questions.give_up(&key) {
            return Err(ProxyError::Lost);
        }
        Ok(turn)
    }

    /// What policy refuses is not fetched anew for everybody who asks for it, by its digest or by a tag that was nothing before: that
    /// would use up what may be asked of an upstream.
    fn remember_refusal(&self, ask: &Ask, tag: Option<&Tag>, coming: &Arc<Coming>) {
        let (absent, coming, repo) = (self.inner.absent.clone(), Arc::clone(coming), ask.repo().clone());
        let mut references = vec![Reference::Digest(coming.manifest.digest)];
        references.extend(tag.cloned().map(Reference::Tag));
        self.inner.runtime.spawn(async move {
            if let Err(error @ ProxyError::Refused { .. }) = coming.arrived().await {
                for reference in references {
                    absent.insert((repo.clone(), reference), error.clone());
                }
            }
        });
    }

    /// Whether policy has refused it a moment ago.
    fn is_refused(&self, ask: &Ask, digest: Digest) -> bool {
        let key = (ask.repo().clone(), Reference::Digest(digest));
        let known = self.inner.absent.get(&key);
        matches!(known, Some(ProxyError::Refused { .. }))
    }

    fn remember(&self, ask: &Ask, tag: &Tag, digest: Digest, gone: bool) {
        let known = Known {
            digest,
            checked_at: self.inner.store.now(),
            gone,
        };
        self.inner.known.insert((ask.repo().clone(), tag.clone()), known);
    }

    /// What the bytes are, if they are what was asked for.
    fn read(
        &self,
        ask: &Ask,
        reference: &Reference,
        came: SourceManifest,
    ) -> Result<(Arc<StoredManifest>, Manifest), ProxyError> {
        let refuse = |source| ProxyError::Source {
            upstream: Arc::clone(&ask.proxied.upstream.config.name),
            source,
        };
        let limits = &self.inner.manifest_limits;
        if came.bytes.len() > limits.bytes {
            let most = limits.bytes as u64;
            return Err(refuse(SourceError::TooLarge { most }));
        }
        let digest = Digest::of(came.digest.algorithm(), &came.bytes);
        if digest != came.digest || reference.digest().is_some_and(|wanted| wanted != digest) {
            let offence = format!("a manifest there has digest {digest}, not the one that it is called");
            return Err(refuse(SourceError::Broken(offence.into())));
        }
        let media_type = manifest_type(came.media_type.as_deref());
        let manifest = Manifest::parse(&came.bytes, media_type.as_ref(), limits)
            .map_err(|error| refuse(SourceError::Broken(of_manifest(&error).into())))?;
        let stored = StoredManifest {
            digest,
            media_type: manifest.media_type.clone(),
            kind: manifest.kind,
            artifact_type: manifest.artifact_type.clone(),
            subject: manifest.subject.as_ref().map(|subject| subject.digest),
            bytes: came.bytes,
            pushed_at: self.inner.store.now(),
        };
        Ok((Arc::new(stored), manifest))
    }

    /// Looks whether a repository that comes for the first time is nearly called like one that is here.
    async fn compare_name(&self, ask: &Ask) {
        let repo = ask.repo();
        if self.inner.names.contains_key(repo) {
            return;
        }
        let prefix = &ask.proxied.upstream.config.prefix;
        let below = self
            .inner
            .store
            .repositories_below(prefix.as_str(), self.inner.limits.names);
        let Ok(here) = below.await else { return };
        if here.contains(repo) {
            self.inner.names.insert(repo.clone(), Arc::default());
            return;
        }
        let there: Vec<RepoName> = here
            .iter()
            .filter_map(|name| name.as_str().strip_prefix(prefix.as_str())?.strip_prefix('/'))
            .filter_map(|name| name.parse().ok())
            .collect();
        let like = lookalikes(ask.proxied.name.as_str(), &there).take(LIKE);
        let like: Arc<[RepoName]> = like
            .filter_map(|name| format!("{prefix}/{name}").parse().ok())
            .collect();
        self.inner.names.insert(repo.clone(), Arc::clone(&like));
        if let Some(like) = like.first() {
            tracing::warn!(repository = %repo, %like, "a new name of an upstream is nearly one that is in use");
            if let Err(error) = self.inner.store.note_lookalike(&ask.intake(), like).await {
                tracing::warn!(%error, "that was not noted");
            }
        }
    }
}

/// What is wrong with a manifest, for who pulls it.
fn of_manifest(error: &ManifestError) -> String {
    match error {
        ManifestError::Schema1 => {
            "a manifest there has schema version 1, which is not taken: ask whoever publishes it for a later one".to_owned()
        }
        ManifestError::UnsupportedMediaType { media_type } => {
            format!("what is there has media type `{media_type}`, which is no manifest that is taken here")
        }
        error => error.explain(),
    }
}

/// What is asked for, for the memory of what fails.
fn path(ask: &Ask, reference: &Reference) -> String {
    format!("{}/manifests/{reference}", ask.proxied.name)
}

fn fetched(ask: &Ask, manifest: Manifest, stored: Arc<StoredManifest>) -> Fetched {
    Fetched {
        proxied: ask.proxied.clone(),
        intake: ask.intake(),
        caller: ask.caller.clone(),
        manifest,
        stored,
    }
}
