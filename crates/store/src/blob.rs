//! Blobs as a repository sees them.

use std::io;
use std::ops::Range;

use access::Permit;
use access::permit::{Delete, Pull, Push};
use bytes::Bytes;
use futures_core::Stream;
use oci::{Digest, RepoName};

use crate::manifest::DeleteError;
use crate::{Store, StoreError};

/// A blob that has just become part of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobInfo {
    /// What it is called.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// A blob that may be read. Cheap to clone; keeps the bytes readable even if the blob is deleted meanwhile.
#[derive(Debug, Clone)]
pub struct BlobHandle {
    digest: Digest,
    size: u64,
}

impl BlobHandle {
    /// What it is called.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of `range`, which must lie within `0..size` (it is cut to it otherwise).
    ///
    /// # Errors
    /// An item is an error when the file is gone or shorter than its row says; the stream ends after it.
    pub fn stream(&self, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static + use<> {
        let _ = range;
        futures_util::stream::empty()
    }
}

impl Store {
    /// The blob, if the repository has it. Quarantined and lost ones count as unknown, so that clients push them again.
    /// Answered from memory when it was asked for before.
    pub async fn blob(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<Option<BlobHandle>, StoreError> {
        let _ = (permit, digest);
        todo!()
    }

    /// Links a blob that exists elsewhere, if the caller may have it: it is linked here already, they pushed it
    /// themselves, it is in the repository of `from`, or in one that `may_pull` allows (the first
    /// [`crate::StoreLimits::mount_candidates`] are looked at). `None` means: not possible, upload it (also when the
    /// quota is used up: the upload then says so).
    pub async fn mount_blob(
        &self,
        permit: &Permit<Push>,
        digest: &Digest,
        from: Option<&Permit<Pull>>,
        may_pull: &(dyn Fn(&RepoName) -> bool + Sync),
    ) -> Result<Option<BlobInfo>, StoreError> {
        let _ = (permit, digest, from, may_pull);
        todo!()
    }

    /// Unlinks a blob from the repository. One that a manifest of the repository names stays
    /// ([`DeleteError::InUse`]).
    pub async fn delete_blob(&self, permit: &Permit<Delete>, digest: &Digest) -> Result<(), DeleteError> {
        let _ = (permit, digest);
        todo!()
    }
}
