//! Manifests: kept byte for byte, served from memory.

use access::Permit;
use access::permit::{Delete, Pull, Push};
use bytes::Bytes;
use oci::{Digest, Manifest, ManifestKind, MediaType, Reference, RepoName, Tag};
use thiserror::Error;

use crate::{QuotaExceeded, Store, StoreError, Timestamp};

/// A manifest as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// What it was pushed as, in the algorithm of the pusher's choice.
    pub digest: Digest,
    /// The Content-Type it was pushed with.
    pub media_type: MediaType,
    /// Image or index.
    pub kind: ManifestKind,
    /// What the artifact is, by the rule of the referrers API.
    pub artifact_type: Option<String>,
    /// What it refers to, if anything.
    pub subject: Option<Digest>,
    /// Exactly the bytes that were pushed.
    pub bytes: Bytes,
    /// When it was pushed to this repository.
    pub pushed_at: Timestamp,
}

/// A manifest to be stored; the caller has checked that `digest` is the digest of `bytes` and that `manifest` is what
/// they say.
#[derive(Debug, Clone)]
pub struct PutManifest {
    /// Digest of `bytes`.
    pub digest: Digest,
    /// What came over the wire.
    pub bytes: Bytes,
    /// What it means.
    pub manifest: Manifest,
    /// Tags to set to it in the same transaction; all or none.
    pub tags: Vec<Tag>,
}

/// What a PUT did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOutcome {
    /// Whether the repository did not have the manifest before.
    pub created: bool,
    /// The subject, to be acknowledged with `OCI-Subject`.
    pub subject: Option<Digest>,
}

/// Why a manifest was not stored. Nothing of it was.
#[derive(Debug, Clone, Error)]
pub enum PutError {
    /// Blobs that the repository does not have and the pusher may not take from elsewhere.
    #[error("{} blobs named by the manifest are unknown here, the first is {}; push them first", .0.len(), first(.0))]
    BlobsUnknown(Vec<Digest>),
    /// Children of an index that the repository does not have.
    #[error("{} manifests named by the index are unknown here, the first is {}; push them first", .0.len(), first(.0))]
    ChildrenUnknown(Vec<Digest>),
    /// A blob is named with another size than it has.
    #[error("the manifest says that {digest} has {stated} bytes, it has {actual}")]
    SizeMismatch {
        /// Which one.
        digest: Digest,
        /// The size in the descriptor.
        stated: u64,
        /// The size of what is stored.
        actual: u64,
    },
    /// The repository may not hold so much.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// The tag exists, points elsewhere and may not be moved.
    #[error("tag {tag} is immutable here and points to {current}; choose a new tag")]
    TagImmutable {
        /// Which tag.
        tag: Tag,
        /// Where it points to.
        current: Digest,
    },
    /// Indexes are nested too deeply.
    #[error("indexes may be nested {limit} deep, this would be {depth}")]
    TooDeep {
        /// How deep it would be.
        depth: u32,
        /// [`crate::StoreLimits::manifest_depth`].
        limit: u32,
    },
    /// The subject has too many referrers.
    #[error("{subject} has {limit} referrers already; delete some")]
    TooManyReferrers {
        /// The subject.
        subject: Digest,
        /// [`crate::StoreLimits::referrers_per_subject`].
        limit: u64,
    },
    /// More tags in one request than allowed.
    #[error("one request may set {limit} tags, this one sets {count}")]
    TooManyTags {
        /// How many there were.
        count: usize,
        /// [`crate::StoreLimits::tags_per_put`].
        limit: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn first(digests: &[Digest]) -> String {
    digests.first().map(ToString::to_string).unwrap_or_default()
}

/// Why something was not deleted.
#[derive(Debug, Clone, Error)]
pub enum DeleteError {
    /// The repository does not have it.
    #[error("the repository does not have it")]
    Unknown,
    /// A rule for the repository switches deletion off.
    #[error("deletion is switched off for this repository; an administrator can allow it with a rule")]
    Disabled,
    /// A tag that would go is immutable.
    #[error("tag {tag} is immutable here and cannot be deleted")]
    TagImmutable {
        /// Which tag.
        tag: Tag,
    },
    /// A manifest still names the blob.
    #[error("manifest {manifest} of this repository names it; delete that first")]
    InUse {
        /// One of the manifests.
        manifest: Digest,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The manifest, if the repository has it. Answered from memory when it was asked for before.
    pub async fn manifest(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Result<Option<std::sync::Arc<StoredManifest>>, StoreError> {
        let _ = (permit, reference);
        todo!()
    }

    /// Stores a manifest and sets its tags, all in one transaction.
    ///
    /// Blobs that are not in the repository yet are linked if the pusher may have them (see [`Store::mount_blob`]).
    /// Foreign layers are not asked for; children of an index must be manifests of the repository.
    pub async fn put_manifest(
        &self,
        permit: &Permit<Push>,
        put: PutManifest,
        may_pull: &(dyn Fn(&RepoName) -> bool + Sync),
    ) -> Result<PutOutcome, PutError> {
        let _ = (permit, put, may_pull);
        todo!()
    }

    /// Deletes a manifest and every tag that points to it.
    pub async fn delete_manifest(&self, permit: &Permit<Delete>, digest: &Digest) -> Result<(), DeleteError> {
        let _ = (permit, digest);
        todo!()
    }
}
