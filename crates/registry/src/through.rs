//! What is asked of upstreams besides pulls: how they are, and what is to come before somebody pulls it.

use std::sync::Arc;

use oci::{Platform, Reference, RepoName, Tag};
use store::Timestamp;

use crate::{
    proxy::{Ask, OfUpstream, PrefetchError, Prefetched, Proxy, UpstreamCondition},
    service::Registry,
};

impl Registry {
    /// How the upstreams are that are pulled through.
    pub fn upstreams(&self) -> Vec<UpstreamCondition> {
        self.proxy().map(Proxy::conditions).unwrap_or_default()
    }

    /// The upstreams that are not reached, and since when.
    pub fn unreached_upstreams(&self) -> Vec<(Arc<str>, Timestamp)> {
        self.proxy().map(Proxy::unreached).unwrap_or_default()
    }

    /// Which upstream a repository is; `None`: none.
    pub fn upstream_of(&self, repo: &RepoName) -> Option<OfUpstream> {
        self.proxy()?.upstream_of(repo)
    }

    /// Brings in what nobody has asked for yet: an image, the images of an index for some platforms (without any: for all), or
    /// another artifact.
    ///
    /// # Errors
    /// It is no upstream's, may not be pulled, or did not come.
    pub async fn prefetch(
        &self,
        repo: &RepoName,
        reference: &Reference,
        platforms: &[Platform],
    ) -> Result<Prefetched, PrefetchError> {
        let (proxy, ask) = self.own_ask(repo)?;
        Ok(proxy.prefetch(&ask, reference, platforms).await?)
    }

    /// The tags that a repository has at its upstream, at most `most`.
    ///
    /// # Errors
    /// As for [`Registry::prefetch`].
    pub async fn tags_at_upstream(&self, repo: &RepoName, most: usize) -> Result<Vec<Tag>, PrefetchError> {
        let (proxy, ask) = self.own_ask(repo)?;
        Ok(proxy.tags_there(&ask, most).await?)
    }

    /// What the server itself asks of an upstream.
    fn own_ask(&self, repo: &RepoName) -> Result<(&Proxy, Ask), PrefetchError> {
        let permit = self.store().access().for_prefetch(repo);
        self.pulled_through(&permit).ok_or_else(|| PrefetchError {
            message: format!("{repo} is below no upstream"),
            retry_after: None,
        })
    }
}
