//! The upstreams, as the registry knows them and the API tells them.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::{Reference, RepoName};
use registry::{Registry, proxy::UpstreamCondition};
use web::wire::UpstreamEntry;
use web::{PrefetchRefused, Proxying, Tried};

use super::prefetching::{Prefetcher, Prefetching};
use super::trying::Trying;
use crate::config::Config;

/// A registry that pulls through others.
pub(super) struct Through {
    registry: Registry,
    /// Prefixes by the values of `?ns=` that mean them.
    namespaces: BTreeMap<String, String>,
    prefetcher: Prefetcher,
    trying: Trying,
}

impl Proxying for Through {
    fn upstreams(&self) -> Vec<UpstreamEntry> {
        let conditions = self.registry.upstreams().into_iter();
        conditions.map(|condition| self.entry(condition)).collect()
    }

    fn repository(&self, registry: &str, name: &str) -> Option<RepoName> {
        self.prefetcher.repository(registry, name)
    }

    fn prefetch(&self, images: Vec<(RepoName, Reference)>) -> Result<Vec<String>, PrefetchRefused> {
        self.prefetcher.fetch(images)
    }

    fn test<'a>(&'a self, upstream: &'a str, image: Option<&'a str>) -> Tried<'a> {
        Box::pin(self.trying.test(upstream, image))
    }
}

impl Through {
    pub(super) fn of(registry: &Registry, config: &Config, prefetching: &Prefetching) -> Arc<Self> {
        Arc::new(Self {
            registry: registry.clone(),
            namespaces: config.registry_config().namespaces,
            prefetcher: prefetching.prefetcher(),
            trying: Trying::of(config),
        })
    }

    fn entry(&self, condition: UpstreamCondition) -> UpstreamEntry {
        let UpstreamCondition {
            name,
            kind,
            prefix,
            place,
            reached,
            last_failure,
            budget,
            flights,
            hits,
            misses,
            stale,
            errors,
            fetched_bytes,
        } = condition;
        let is_own = |(_, of): &(&String, &String)| **of == *prefix.as_str();
        let namespaces = self
            .namespaces
            .iter()
            .filter(is_own)
            .map(|(namespace, _)| namespace.clone());
        let (last_error_at, last_error) = last_failure.unzip();
        UpstreamEntry {
            prefetches: self.prefetcher.shown(&name),
            name: name.to_string(),
            kind: kind.as_str().to_owned(),
            namespaces: namespaces.collect(),
            prefix: prefix.to_string(),
            url: place.to_string(),
            reached: reached.map(|(is_reached, _)| is_reached),
            since: reached.map(|(_, since)| since.into()),
            last_error,
            last_error_at: last_error_at.map(Into::into),
            requests_left: budget.requests,
            bytes_left: budget.bytes,
            flights,
            hits,
            misses,
            stale,
            errors,
            fetched_bytes,
        }
    }
}
