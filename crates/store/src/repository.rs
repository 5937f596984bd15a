//! Repositories: names with counters.

use access::Permit;
use access::permit::{Administer, Pull};
use oci::RepoName;

use crate::manifest::DeleteError;
use crate::{Page, Store, StoreError, Timestamp};

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepositoryStats {
    /// Bytes of its distinct blobs and manifests; what the quota counts.
    pub bytes: u64,
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Blobs.
    pub blobs: u64,
    /// When the first thing was pushed.
    pub created_at: Timestamp,
}

impl Store {
    /// Names of the repositories that `visible` allows, in byte order, from the first one behind `after`. At most
    /// `limit` and never more than [`crate::StoreLimits::page_items`].
    pub async fn repositories(
        &self,
        visible: &(dyn Fn(&RepoName) -> bool + Sync),
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<RepoName>, StoreError> {
        let _ = (visible, after, limit);
        todo!()
    }

    /// What the repository holds; `None` when there is no such repository.
    pub async fn repository_stats(&self, permit: &Permit<Pull>) -> Result<Option<RepositoryStats>, StoreError> {
        let _ = permit;
        todo!()
    }

    /// Deletes the repository with all its tags, manifests and blob links, in small transactions, tags first.
    /// Refused when a rule switches deletion off or keeps a tag.
    pub async fn delete_repository(&self, permit: &Permit<Administer>) -> Result<(), DeleteError> {
        let _ = permit;
        todo!()
    }
}
