//! Bringing in what nobody has asked for yet: by the way of a pull, but with the patience of somebody who waits for nothing.

use std::sync::Arc;
use std::time::Duration;

use oci::{Descriptor, Digest, Manifest, ManifestKind, Platform, Reference, RepoName, Tag};
use store::StoredManifest;
use thiserror::Error;
use tokio::time::Instant;

use super::error::ProxyError;
use super::question::question;
use super::source::SourceError;
use super::{Ask, Found, Proxy, Seen};

/// What was brought in, or was here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefetched {
    /// What it is.
    pub digest: Digest,
    /// Images: of an index, those of the platforms that were wanted.
    pub images: u64,
    /// The archive, where it is a Helm chart.
    pub chart: Option<Digest>,
}

/// Why something was not brought in.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub struct PrefetchError {
    /// For people.
    pub message: String,
    /// When it is worth trying again, as far as anybody said.
    pub retry_after: Option<Duration>,
}

impl From<ProxyError> for PrefetchError {
    fn from(error: ProxyError) -> Self {
        let retry_after = match &error {
            ProxyError::Shut { retry_after, .. }
            | ProxyError::Failing { retry_after, .. }
            | ProxyError::NoTurn { retry_after, .. }
            | ProxyError::Source {
                source: SourceError::OverBudget { retry_after },
                ..
            } => Some(*retry_after),
            ProxyError::Source {
                source: SourceError::Throttled { retry_after },
                ..
            } => *retry_after,
            _ => None,
        };
        let message = match &error {
            // Operators read it.
            ProxyError::Source { upstream, source } => format!("upstream {upstream}: {source}"),
            error => error.to_string(),
        };
        Self { message, retry_after }
    }
}

impl Proxy {
    /// Brings in an image, the images of an index that are for `platforms` (without any: all), or another artifact.
    pub(crate) async fn prefetch(
        &self,
        ask: &Ask,
        reference: &Reference,
        platforms: &[Platform],
    ) -> Result<Prefetched, ProxyError> {
        let brought = self.bring_in(ask, reference, platforms).await;
        self.inner
            .metrics
            .prefetched(&ask.proxied.upstream, brought.is_ok());
        brought
    }

    /// The tags of a repository of an upstream, at most `most`.
    pub(crate) async fn tags_there(&self, ask: &Ask, most: usize) -> Result<Vec<Tag>, ProxyError> {
        ask.allow()?;
        let upstream = &ask.proxied.upstream;
        let asked = upstream.config.source.tags(&ask.proxied.name, most);
        let path = format!("{}/tags", ask.proxied.name);
        let tags = question(upstream, &path, self.inner.limits.manifest_time, asked).await;
        tags.inspect_err(|_| self.inner.metrics.error(upstream))
    }

    async fn bring_in(
        &self,
        ask: &Ask,
        reference: &Reference,
        platforms: &[Platform],
    ) -> Result<Prefetched, ProxyError> {
        ask.allow()?;
        let top = self.bring(ask, reference).await?;
        let limits = &self.inner.manifest_limits;
        let Ok(manifest) = Manifest::parse(&top.bytes, Some(&top.media_type), limits) else {
            return Err(ProxyError::Lost);
        };
        let mut brought = Prefetched {
            digest: top.digest,
            images: 1,
            chart: manifest.chart_archive().map(|archive| archive.digest),
        };
        if manifest.kind == ManifestKind::Index {
            brought.images = 0;
            for child in manifest
                .manifests
                .iter()
                .filter(|child| is_wanted(child, platforms))
            {
                self.bring(ask, &Reference::Digest(child.digest)).await?;
                brought.images += 1;
            }
        }
        Ok(brought)
    }

    /// One manifest with what it needs, as it is at the upstream now.
    async fn bring(&self, ask: &Ask, reference: &Reference) -> Result<Arc<StoredManifest>, ProxyError> {
        // Those before it in the upstream's line may take as long.
        let patience = self.inner.limits.manifest_time * 2;
        let deadline = Instant::now() + patience;
        let found = match self.seen(ask, reference).await? {
            Seen::Enough(found) => found,
            Seen::Old(held) => {
                let held = Some((held.digest, patience));
                let outcome = self.question(ask, reference, held, deadline).await?;
                self.outcome(ask, outcome).await?
            }
            Seen::Nothing => {
                let outcome = self.question(ask, reference, None, deadline).await?;
                self.outcome(ask, outcome).await?
            }
        };
        match found {
            Found::Held(manifest, _) => Ok(manifest),
            Found::Coming(coming) => {
                // Flights have deadlines of their own.
                coming.arrived().await?;
                Ok(Arc::clone(&coming.manifest))
            }
        }
    }
}

/// Whether a child of an index is for one of the platforms. Attestations are for none.
fn is_wanted(child: &Descriptor, platforms: &[Platform]) -> bool {
    if !oci::media_type::MANIFESTS.contains(&child.media_type.as_str()) {
        return false;
    }
    let Some(platform) = &child.platform else {
        return platforms.is_empty();
    };
    if platform.os == "unknown" {
        return false;
    }
    let is_for = |wanted: &Platform| {
        wanted.os == platform.os
            && wanted.architecture == platform.architecture
            && (wanted.variant.is_none() || wanted.variant == platform.variant)
    };
    platforms.is_empty() || platforms.iter().any(is_for)
}

/// Which upstream a repository is, for who has things brought in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfUpstream {
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// The one name of the repository here.
    pub repo: RepoName,
    /// Whether the upstream's rules let it be pulled.
    pub is_allowed: bool,
}

impl Proxy {
    /// Which upstream a repository is.
    pub(crate) fn upstream_of(&self, repo: &RepoName) -> Option<OfUpstream> {
        let repo = self.canonical(repo).unwrap_or_else(|| repo.clone());
        let proxied = self.of(&repo)?;
        Some(OfUpstream {
            upstream: Arc::clone(&proxied.upstream.config.name),
            is_allowed: proxied.is_allowed(),
            repo,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::OpenGate;
    use crate::proxy::fake::{Fake, World, upstream};
    use crate::proxy::{ProxyLimits, UpstreamConfig};

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/');
        let mut next = || parts.next().map(str::to_owned);
        Platform {
            os: next().unwrap(),
            architecture: next().unwrap(),
            variant: next(),
            ..Platform::default()
        }
    }

    async fn world(change: impl FnOnce(&mut UpstreamConfig)) -> (Arc<Fake>, World, Proxy) {
        let fake = Fake::new();
        let world = World::new(&fake).await;
        let mut config = upstream("hub", &fake);
        change(&mut config);
        let proxy = world.proxy(config, Arc::new(OpenGate), ProxyLimits::default());
        (fake, world, proxy)
    }

    fn ask(world: &World, proxy: &Proxy) -> Ask {
        let repo = "hub/app".parse().unwrap();
        Ask {
            proxied: proxy.of(&repo).unwrap(),
            ..world.ask("hub/app")
        }
    }

    #[tokio::test]
    async fn an_image_is_here_before_anybody_asks_and_once() {
        let (fake, world, proxy) = world(|_| {}).await;
        let digest = fake.image("1", b"config", &[b"layer"]);
        let ask = ask(&world, &proxy);
        for _ in 0..2 {
            let brought = proxy.prefetch(&ask, &"1".parse().unwrap(), &[]).await.unwrap();
            assert_eq!((brought.digest, brought.images, brought.chart), (digest, 1, None));
        }
        assert_eq!(fake.asked().blobs, 2, "each once");
        assert!(world.store.has_manifest(ask.repo(), &digest).await.unwrap());
    }

    #[tokio::test]
    async fn of_an_index_the_platforms_come_that_are_wanted() {
        let (fake, world, proxy) = world(|_| {}).await;
        let (amd64, arm64) = (
            fake.image("a", b"amd64", &[b"one"]),
            fake.image("b", b"arm64", &[b"two"]),
        );
        let child = |digest: Digest, os: &str, architecture: &str, variant: Option<&str>| {
            let size = fake.size_of(&digest);
            serde_json::json!({
                "mediaType": oci::media_type::OCI_IMAGE_MANIFEST, "digest": digest, "size": size,
                "platform": { "os": os, "architecture": architecture, "variant": variant },
            })
        };
        let attestation = fake.image("c", b"attestation", &[b"three"]);
        let index = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": oci::media_type::OCI_IMAGE_INDEX,
            "manifests": [
                child(amd64, "linux", "amd64", None),
                child(arm64, "linux", "arm64", Some("v8")),
                child(attestation, "unknown", "unknown", None),
            ],
        });
        fake.tag(
            "2",
            index.to_string().as_bytes(),
            oci::media_type::OCI_IMAGE_INDEX,
        );
        let ask = ask(&world, &proxy);
        let tag = "2".parse().unwrap();
        let wanted = [platform("linux/arm64")];
        let brought = proxy.prefetch(&ask, &tag, &wanted).await.unwrap();
        assert_eq!(brought.images, 1);
        assert!(world.store.has_manifest(ask.repo(), &arm64).await.unwrap());
        assert!(!world.store.has_manifest(ask.repo(), &amd64).await.unwrap());
        let brought = proxy.prefetch(&ask, &tag, &[]).await.unwrap();
        assert_eq!(brought.images, 2, "all but what runs nowhere");
    }

    #[tokio::test]
    async fn what_fails_says_when_it_is_worth_trying_again() {
        let (fake, world, proxy) = world(|config| config.deny = vec!["evil".parse().unwrap()]).await;
        let ask = ask(&world, &proxy);
        let retry_after = Duration::from_secs(77);
        fake.change(|state| state.error = Some(SourceError::OverBudget { retry_after }));
        let error = proxy
            .prefetch(&ask, &"1".parse().unwrap(), &[])
            .await
            .unwrap_err();
        assert_eq!(PrefetchError::from(error).retry_after, Some(retry_after));
        let of = proxy.upstream_of(&"hub/evil".parse().unwrap()).unwrap();
        assert!(!of.is_allowed);
        assert_eq!(proxy.upstream_of(&"local/app".parse().unwrap()), None);
    }
}
