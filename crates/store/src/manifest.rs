//! Manifests: kept byte for byte, served from memory.
//!
//! The bytes are kept once for all repositories (`manifest_content`), what they mean once per repository (`manifest`),
//! what they name in `manifest_reference`. `manifest/put.rs` has the rules that a push meets, `manifest/delete.rs`
//! what happens on the way out.

use std::sync::Arc;

use access::Permit;
use access::permit::Pull;
use bytes::Bytes;
use oci::{Digest, Manifest, ManifestKind, MediaType, Reference, RepoName, Tag};
use sea_orm::{ConnectionTrait, FromQueryResult};
use thiserror::Error;

use crate::blob::{self, LinkError};
use crate::cache::Key;
use crate::db::sql;
use crate::{QuotaExceeded, Store, StoreError, Timestamp};

mod delete;
mod list;
mod put;

pub(crate) use delete::remove_rows;
pub use list::ListedManifest;
pub(crate) use put::{find, put_made, put_own};

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
    /// Whether policy refuses it. It is asked for all the same whether the pusher may name what it names: why it is refused
    /// would tell about blobs of others.
    pub is_refused: bool,
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
    /// Policy refuses it, and nothing else speaks against it.
    #[error("refused by policy")]
    Refused,
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

impl From<LinkError> for PutError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Quota(error) => Self::Quota(error),
            LinkError::Store(error) => Self::Store(error),
        }
    }
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
    /// An index still names the manifest.
    #[error("index {index} of this repository names it; delete that first")]
    InIndex {
        /// One of the indexes.
        index: Digest,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoredManifest {
    /// Bytes that it takes in memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        let texts = self.media_type.as_str().len() + self.artifact_type.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.bytes.len() + texts
    }
}

/// Number of a kind in the database.
pub(crate) fn kind_number(kind: ManifestKind) -> i64 {
    match kind {
        ManifestKind::Image => 0,
        ManifestKind::Index => 1,
    }
}

impl Store {
    /// The manifest, if the repository has it. Answered from memory when it was asked for before.
    pub async fn manifest(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Result<Option<Arc<StoredManifest>>, StoreError> {
        let repo = permit.repo();
        match reference {
            Reference::Digest(digest) => self.manifest_by_digest(repo, digest).await,
            Reference::Tag(tag) => match self.resolve_tag(repo, tag).await? {
                Some(digest) => self.manifest_by_digest(repo, &digest).await,
                None => Ok(None),
            },
        }
    }

    /// The manifest, if the repository has it and memory knows it. No database call.
    pub async fn remembered_manifest(
        &self,
        permit: &Permit<Pull>,
        reference: &Reference,
    ) -> Option<Arc<StoredManifest>> {
        let (repo, caches) = (permit.repo(), &self.inner.caches);
        let digest = match reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(tag) => caches.tags.get(&caches.epochs, Key::tag(repo, tag)).await?,
        };
        caches
            .manifests
            .get(&caches.epochs, Key::manifest(repo, &digest))
            .await
    }

    /// Whether the database is being asked for it already. Whoever asks too waits for that answer and asks nothing.
    pub fn is_asking_for(&self, permit: &Permit<Pull>, reference: &Reference) -> bool {
        let (repo, caches) = (permit.repo(), &self.inner.caches);
        match reference {
            Reference::Digest(digest) => caches.manifests.is_loading(Key::manifest(repo, digest)),
            Reference::Tag(tag) => caches.tags.is_loading(Key::tag(repo, tag)),
        }
    }

    async fn resolve_tag(&self, repo: &RepoName, tag: &Tag) -> Result<Option<Digest>, StoreError> {
        let caches = &self.inner.caches;
        let load = || self.load_tag(repo, tag);
        caches
            .tags
            .get_or_load(&caches.epochs, Key::tag(repo, tag), load)
            .await
    }

    /// Asks the database what the tag points to, and keeps that manifest: whoever asked will want it next.
    async fn load_tag(&self, repo: &RepoName, tag: &Tag) -> Result<Option<Digest>, StoreError> {
        let caches = &self.inner.caches;
        let moment = caches.epochs.moment();
        let Some(manifest) = load_tagged(self.inner.db.read(), repo, tag).await? else {
            return Ok(None);
        };
        let digest = manifest.digest;
        let key = Key::manifest(repo, &digest);
        caches.manifests.keep(&caches.epochs, moment, key, manifest).await;
        Ok(Some(digest))
    }

    pub(crate) async fn manifest_by_digest(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<Arc<StoredManifest>>, StoreError> {
        let caches = &self.inner.caches;
        let load = || load(self.inner.db.read(), repo, digest);
        caches
            .manifests
            .get_or_load(&caches.epochs, Key::manifest(repo, digest), load)
            .await
    }
}

#[derive(FromQueryResult)]
pub(crate) struct Row {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) kind: i64,
    pub(crate) artifact_type: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) pushed_at: i64,
    pub(crate) bytes: Vec<u8>,
}

impl Row {
    pub(crate) fn into_manifest(self) -> Result<Arc<StoredManifest>, StoreError> {
        let digest = blob::parse_digest(&self.digest)?;
        let damaged = |what: &str| StoreError::damaged(format!("manifest {digest} has no {what}"));
        Ok(Arc::new(StoredManifest {
            digest,
            media_type: self.media_type.parse().map_err(|_| damaged("media type"))?,
            kind: if self.kind == kind_number(ManifestKind::Index) {
                ManifestKind::Index
            } else {
                ManifestKind::Image
            },
            artifact_type: self.artifact_type,
            subject: self.subject.as_deref().map(blob::parse_digest).transpose()?,
            bytes: self.bytes.into(),
            pushed_at: Timestamp(self.pushed_at),
        }))
    }
}

async fn load_tagged(
    on: &impl ConnectionTrait,
    repo: &RepoName,
    tag: &Tag,
) -> Result<Option<Arc<StoredManifest>>, StoreError> {
    let from = "repository r JOIN tag t ON t.repository_id = r.id JOIN manifest m ON m.id = t.manifest_id";
    load_from(on, from, "t.name", repo, tag.as_str()).await
}

/// The manifest of a repository, as it is now.
pub(crate) async fn load(
    on: &impl ConnectionTrait,
    repo: &RepoName,
    digest: &Digest,
) -> Result<Option<Arc<StoredManifest>>, StoreError> {
    let from = "repository r JOIN manifest m ON m.repository_id = r.id";
    load_from(on, from, "m.digest", repo, &digest.to_string()).await
}

/// The manifest `m` of `from` in a repository for which `column` is `value`.
async fn load_from(
    on: &impl ConnectionTrait,
    from: &str,
    column: &str,
    repo: &RepoName,
    value: &str,
) -> Result<Option<Arc<StoredManifest>>, StoreError> {
    let sql = format!(
        "SELECT m.digest, m.media_type, m.kind, m.artifact_type, m.subject, m.pushed_at, c.bytes FROM {from} \
         JOIN manifest_content c ON c.id = m.content_id WHERE r.name = $1 AND {column} = $2"
    );
    let row: Option<Row> = sql::first(on, &sql, [repo.as_str().into(), value.into()]).await?;
    row.map(Row::into_manifest).transpose()
}

#[cfg(test)]
mod tests;
