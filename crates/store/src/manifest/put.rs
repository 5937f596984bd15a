//! Storing a manifest: every rule is asked and every row written in one transaction.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use access::permit::Push;
use access::{Permit, PrincipalId};
use bytes::Bytes;
use oci::{Digest, Manifest, ManifestKind, RepoName, Tag};
use sea_orm::{FromQueryResult, Value};
use serde_json::json;

use super::{PutError, PutManifest, PutOutcome, StoredManifest, kind_number};
use crate::blob::link::{self, Linkable};
use crate::blob::{self, BlobRow, Witnesses};
use crate::cache::{Fact, Key};
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::job::{self, JobKind, JobPriority};
use crate::quota::{self, QuotaKind};
use crate::repository::{self, Delta, Repository};
use crate::rule::Rules;
use crate::{Actor, Store, StoreError, StoreLimits, attachment, base, referrer, tag};

mod taken;

/// Blobs of a manifest that are remembered when it is pushed; of the few images that have more the rest is looked up.
const TAUGHT_BLOBS: usize = 128;

/// What a manifest names, each once.
struct Named {
    /// Blobs with the size that the manifest states.
    blobs: HashMap<Digest, u64>,
    /// Manifests.
    children: BTreeSet<Digest>,
}

impl Named {
    /// A child of an index that is not called a manifest is a blob: build caches keep their layers like that.
    fn by(manifest: &Manifest) -> Self {
        let is_manifest = |media_type: &str| oci::media_type::MANIFESTS.contains(&media_type);
        let (children, others): (Vec<_>, Vec<_>) = manifest
            .manifests
            .iter()
            .partition(|child| is_manifest(child.media_type.as_str()));
        let foreign = |descriptor: &&oci::Descriptor| !descriptor.is_foreign();
        let blobs = manifest.blobs().chain(others.into_iter().filter(foreign));
        Self {
            blobs: blobs
                .map(|descriptor| (descriptor.digest, descriptor.size))
                .collect(),
            children: children.into_iter().map(|child| child.digest).collect(),
        }
    }
}

impl Store {
    /// Stores a manifest and sets its tags, all in one transaction.
    ///
    /// Blobs that are not in the repository yet are linked if the pusher may have them (see [`Store::mount_blob`]).
    /// Foreign layers are not asked for. Children of an index must be manifests of the repository, or blobs where the
    /// index does not call them manifests. A digest that the repository has already is fine: only tags are set then.
    pub async fn put_manifest(
        &self,
        permit: &Permit<Push>,
        put: PutManifest,
        may_pull: &(dyn Fn(&RepoName) -> bool + Sync),
    ) -> Result<PutOutcome, PutError> {
        let limit = self.limits().tags_per_put;
        if put.tags.len() > limit {
            return Err(PutError::TooManyTags {
                count: put.tags.len(),
                limit,
            });
        }
        self.demand_room().await?;
        let named = Named::by(&put.manifest);
        let blobs: Vec<Digest> = named.blobs.keys().copied().collect();
        let witnesses = self.witnesses(permit, &blobs, None, may_pull).await?;
        let push = Pushing {
            actor: Actor::holder(permit, "request"),
            repo: permit.repo().clone(),
            principal: permit.principal_id(),
            rules: self.rules(permit.repo()),
            limits: self.limits().clone(),
            witnesses,
            named,
            is_partial: false,
            put,
        };
        self.write(move |tx| Box::pin(async move { push.carry_out(tx).await }))
            .await
    }
}

/// One push of a manifest, with all that its transaction needs.
struct Pushing {
    repo: RepoName,
    principal: Option<PrincipalId>,
    actor: Actor,
    rules: Arc<Rules>,
    limits: StoreLimits,
    witnesses: Witnesses,
    named: Named,
    /// An index may come before its children.
    is_partial: bool,
    put: PutManifest,
}

#[derive(FromQueryResult)]
struct ChildRow {
    digest: String,
    depth: i64,
}

impl Pushing {
    async fn carry_out(&self, tx: &Tx) -> Result<PutOutcome, PutError> {
        let mut repository = repository::find_or_create(tx, &self.repo).await?;
        let blobs = self.resolve_blobs(tx, &repository).await?;
        let depth = self.depth(tx, &repository).await?;
        let existing = find(tx, repository.id, &self.put.digest).await?;
        let created = existing.is_none();
        let manifest = match existing {
            Some(id) => id,
            None => self.insert(tx, &mut repository, &blobs, depth).await?,
        };
        self.set_tags(tx, &repository, manifest).await?;
        if self.put.is_refused {
            return Err(PutError::Refused);
        }
        self.teach_blobs(tx, &blobs);
        self.have_judged(tx, repository.id).await?;
        base::release::names_changed(tx, self.repo()).await?;
        Ok(PutOutcome {
            created,
            subject: self.put.manifest.subject.as_ref().map(|subject| subject.digest),
        })
    }

    fn repo(&self) -> &RepoName {
        &self.repo
    }

    /// Every blob that is named must be one that the repository has or may get.
    async fn resolve_blobs(&self, tx: &Tx, repository: &Repository) -> Result<Vec<Linkable>, PutError> {
        let wanted: Vec<Digest> = self.named.blobs.keys().copied().collect();
        let found = link::resolve(tx.sql(), repository.id, self.principal, &wanted, &self.witnesses).await?;
        for blob in &found {
            let stated = self.named.blobs.get(&blob.digest).copied().unwrap_or(blob.size);
            if stated != blob.size {
                return Err(PutError::SizeMismatch {
                    digest: blob.digest,
                    stated,
                    actual: blob.size,
                });
            }
        }
        if found.len() < wanted.len() {
            let known: BTreeSet<Digest> = found.iter().map(|blob| blob.digest).collect();
            let unknown: BTreeSet<Digest> = wanted
                .into_iter()
                .filter(|digest| !known.contains(digest))
                .collect();
            return Err(PutError::BlobsUnknown(unknown.into_iter().collect()));
        }
        Ok(found)
    }

    /// Every child must be there; an index is one deeper than its deepest child.
    async fn depth(&self, tx: &Tx, repository: &Repository) -> Result<u32, PutError> {
        if self.put.manifest.kind == ManifestKind::Image {
            return Ok(0);
        }
        let children: Vec<Digest> = self.named.children.iter().copied().collect();
        let mut unknown = self.named.children.clone();
        let mut deepest = 0;
        for chunk in children.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT digest, depth FROM manifest WHERE repository_id = $1 AND digest IN ({})",
                sql::placeholders(2, chunk.len())
            );
            let digests = chunk.iter().map(|digest| Value::from(digest.to_string()));
            let values = std::iter::once(repository.id.into()).chain(digests);
            for row in sql::all::<ChildRow>(tx.sql(), &sql, values).await? {
                unknown.remove(&blob::parse_digest(&row.digest)?);
                deepest = deepest.max(row.depth);
            }
        }
        if !unknown.is_empty() && !self.is_partial {
            return Err(PutError::ChildrenUnknown(unknown.into_iter().collect()));
        }
        let (depth, limit) = (
            u32::try_from(deepest + 1).unwrap_or(u32::MAX),
            self.limits.manifest_depth,
        );
        if depth > limit {
            Err(PutError::TooDeep { depth, limit })
        } else {
            Ok(depth)
        }
    }

    async fn insert(
        &self,
        tx: &Tx,
        repository: &mut Repository,
        blobs: &[Linkable],
        depth: u32,
    ) -> Result<i64, PutError> {
        self.check_referrers(tx, repository).await?;
        for blob in blobs.iter().filter(|blob| !blob.counted) {
            if link::link(tx, self.repo(), repository, blob, self.rules.quota_bytes).await? {
                let subject = blob::subject(self.repo(), &blob.digest);
                let body = json!({ "size": blob.size, "manifest": self.put.digest });
                event::record(tx, &self.actor, EventKind::BlobMount, &subject, body).await?;
            }
        }
        let size = self.put.bytes.len() as u64;
        let wanted = sql::from_db(repository.bytes).saturating_add(size);
        quota::check(QuotaKind::Bytes, self.rules.quota_bytes, wanted)?;

        let content = hold_content(tx, &self.put).await?;
        let id = self.insert_row(tx, repository.id, content, depth).await?;
        self.insert_references(tx, repository.id, id).await?;
        count_names(tx, repository.id, blobs).await?;
        let delta = Delta {
            bytes: sql::to_db(size),
            manifests: 1,
            ..Delta::default()
        };
        repository::count(tx, repository.id, delta).await?;
        let key = Key::manifest(self.repo(), &self.put.digest);
        tx.touch(key);
        tx.teach(key, Fact::Manifest(Arc::new(self.stored(tx))));

        let subject = blob::subject(self.repo(), &self.put.digest);
        let body = json!({
            "media_type": self.put.manifest.media_type,
            "size": size,
            "subject": self.put.manifest.subject.as_ref().map(|subject| subject.digest),
        });
        event::record(tx, &self.actor, EventKind::ManifestPush, &subject, body).await?;
        Ok(id)
    }

    /// The manifest as it will be read.
    fn stored(&self, tx: &Tx) -> StoredManifest {
        let manifest = &self.put.manifest;
        StoredManifest {
            digest: self.put.digest,
            media_type: manifest.media_type.clone(),
            kind: manifest.kind,
            artifact_type: manifest.artifact_type.clone(),
            subject: manifest.subject.as_ref().map(|subject| subject.digest),
            // Not a piece of a buffer that the request still has.
            bytes: Bytes::copy_from_slice(&self.put.bytes),
            pushed_at: tx.now(),
        }
    }

    /// The image is to be judged, and anew whatever it refers to: a signature may come late.
    async fn have_judged(&self, tx: &Tx, repository: i64) -> Result<(), StoreError> {
        if self.put.manifest.kind == ManifestKind::Image {
            let subject = blob::subject(self.repo(), &self.put.digest);
            job::enqueue(tx, JobKind::Judge, &subject, JobPriority::Push).await?;
        }
        attachment::wake_around(tx, self.repo(), repository, &self.put.digest).await
    }

    /// Whoever pulls the image will ask for its blobs.
    fn teach_blobs(&self, tx: &Tx, blobs: &[Linkable]) {
        for blob in blobs {
            tx.touch(Key::standing(self.repo(), &blob.digest));
        }
        for blob in blobs.iter().take(TAUGHT_BLOBS) {
            let row = BlobRow {
                size: blob.size,
                location: blob.location,
                idle_since: None,
            };
            tx.teach(Key::blob(self.repo(), &blob.digest), Fact::Blob(row));
        }
    }

    async fn check_referrers(&self, tx: &Tx, repository: &Repository) -> Result<(), PutError> {
        let Some(subject) = &self.put.manifest.subject else {
            return Ok(());
        };
        let limit = self.limits.referrers_per_subject;
        let sql = "SELECT COUNT(*) AS number FROM \
                   (SELECT id FROM manifest WHERE repository_id = $1 AND subject = $2 LIMIT $3) AS referrers";
        let values = [
            repository.id.into(),
            subject.digest.to_string().into(),
            sql::to_db(limit).into(),
        ];
        let present = sql::first::<sql::Number, 3>(tx.sql(), sql, values)
            .await?
            .map_or(0, |row| row.number);
        if sql::from_db(present) >= limit {
            return Err(PutError::TooManyReferrers {
                subject: subject.digest,
                limit,
            });
        }
        Ok(())
    }

    async fn insert_row(
        &self,
        tx: &Tx,
        repository: i64,
        content: i64,
        depth: u32,
    ) -> Result<i64, StoreError> {
        let (put, manifest) = (&self.put, &self.put.manifest);
        let annotations = referrer::kept_annotations(manifest);
        let sql = "INSERT INTO manifest (repository_id, digest, content_id, media_type, kind, artifact_type, subject, \
                   annotations, config_digest, depth, size, pushed_at, pushed_by) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id";
        let values: [Value; 13] = [
            repository.into(),
            put.digest.to_string().into(),
            content.into(),
            manifest.media_type.as_str().into(),
            kind_number(manifest.kind).into(),
            manifest.artifact_type.clone().into(),
            manifest
                .subject
                .as_ref()
                .map(|subject| subject.digest.to_string())
                .into(),
            annotations.into(),
            manifest
                .config
                .as_ref()
                .map(|config| config.digest.to_string())
                .into(),
            i64::from(depth).into(),
            sql::to_db(put.bytes.len() as u64).into(),
            tx.now().micros().into(),
            self.actor.name().into(),
        ];
        let made: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
        Ok(made
            .ok_or_else(|| StoreError::damaged("an insert answered no row"))?
            .id)
    }

    async fn insert_references(&self, tx: &Tx, repository: i64, manifest: i64) -> Result<(), StoreError> {
        let blobs = self.named.blobs.keys().map(|digest| (BLOB, digest));
        let children = self.named.children.iter().map(|digest| (CHILD, digest));
        let references: Vec<(i64, &Digest)> = blobs.chain(children).collect();
        for chunk in references.chunks(sql::CHUNK) {
            let sql = format!(
                "INSERT INTO manifest_reference (manifest_id, kind, digest, repository_id) VALUES {}",
                sql::tuples(chunk.len(), 4)
            );
            let row = |&(kind, digest): &(i64, &Digest)| -> [Value; 4] {
                [
                    manifest.into(),
                    kind.into(),
                    digest.to_string().into(),
                    repository.into(),
                ]
            };
            sql::execute_list(tx.sql(), &sql, chunk.iter().flat_map(row)).await?;
        }
        Ok(())
    }

    /// A tag that points here already stays as it is; an immutable one that points elsewhere too.
    async fn set_tags(&self, tx: &Tx, repository: &Repository, manifest: i64) -> Result<(), PutError> {
        let tags: BTreeSet<&Tag> = self.put.tags.iter().collect();
        let mut added = 0;
        for tag in tags {
            let current = tag::find(tx.sql(), repository.id, tag).await?;
            if current.as_ref().is_some_and(|row| row.manifest_id == manifest) {
                continue;
            }
            if let Some(row) = &current
                && self.rules.is_immutable(tag)
            {
                let current = blob::parse_digest(&row.digest)?;
                return Err(PutError::TagImmutable {
                    tag: tag.clone(),
                    current,
                });
            }
            if current.is_none() {
                added += 1;
                let wanted = sql::from_db(repository.tags + added);
                quota::check(QuotaKind::Tags, self.rules.quota_tags, wanted)?;
            }
            let previous = current.as_ref().map(|row| row.digest.as_str());
            let (repo, target) = ((self.repo(), repository.id), (manifest, &self.put.digest));
            tag::set(tx, repo, tag, target, previous, &self.actor).await?;
        }
        if added > 0 {
            repository::count(
                tx,
                repository.id,
                Delta {
                    tags: added,
                    ..Delta::default()
                },
            )
            .await?;
        }
        Ok(())
    }
}

/// Stores a manifest that the registry itself makes about one of its images, whose blobs are linked already. The quota of the
/// repository refuses it like any other. Answers its row, and whether it is new.
pub(crate) async fn put_own(
    tx: &Tx,
    repository: &mut Repository,
    repo: &RepoName,
    put: PutManifest,
    (limits, rules): (StoreLimits, Arc<Rules>),
) -> Result<(i64, bool), PutError> {
    if let Some(id) = find(tx, repository.id, &put.digest).await? {
        return Ok((id, false));
    }
    let push = Pushing {
        repo: repo.clone(),
        principal: None,
        actor: Actor::system("sbom"),
        rules,
        limits,
        witnesses: Witnesses::new(),
        named: Named::by(&put.manifest),
        is_partial: false,
        put,
    };
    let blobs = push.resolve_blobs(tx, repository).await?;
    let id = push.insert(tx, repository, &blobs, 0).await?;
    push.teach_blobs(tx, &blobs);
    Ok((id, true))
}

/// Stores a manifest that the registry makes of others, sets its tags and has it judged, by all rules of a push. Blobs that the
/// repository does not have are linked if the `witness`, another repository, has them.
pub(crate) async fn put_made(
    tx: &Tx,
    repo: &RepoName,
    actor: &Actor,
    put: PutManifest,
    witness: Option<i64>,
    (limits, rules): (StoreLimits, Arc<Rules>),
) -> Result<PutOutcome, PutError> {
    let named = Named::by(&put.manifest);
    let witnesses = named
        .blobs
        .keys()
        .filter_map(|digest| Some((*digest, witness?)))
        .collect();
    let push = Pushing {
        repo: repo.clone(),
        principal: None,
        actor: actor.clone(),
        rules,
        limits,
        witnesses,
        named,
        is_partial: false,
        put,
    };
    push.carry_out(tx).await
}

/// Kind of a reference: to a blob.
pub(super) const BLOB: i64 = 0;
/// Kind of a reference: to a manifest.
pub(super) const CHILD: i64 = 1;

/// The row of a manifest of a repository, if it has it.
pub(crate) async fn find(tx: &Tx, repository: i64, digest: &Digest) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM manifest WHERE repository_id = $1 AND digest = $2";
    let row: Option<sql::Id> =
        sql::first(tx.sql(), sql, [repository.into(), digest.to_string().into()]).await?;
    Ok(row.map(|row| row.id))
}

/// Keeps the bytes, or counts one more holder of bytes that are kept already.
async fn hold_content(tx: &Tx, put: &PutManifest) -> Result<i64, StoreError> {
    let sql = "UPDATE manifest_content SET holders = holders + 1 WHERE digest = $1 RETURNING id";
    if let Some(row) = sql::first::<sql::Id, 1>(tx.sql(), sql, [put.digest.to_string().into()]).await? {
        return Ok(row.id);
    }
    let sql = "INSERT INTO manifest_content (digest, holders, bytes) VALUES ($1, 1, $2) RETURNING id";
    let values = [put.digest.to_string().into(), put.bytes.to_vec().into()];
    let made: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
    Ok(made
        .ok_or_else(|| StoreError::damaged("an insert answered no row"))?
        .id)
}

/// One more manifest of the repository names these blobs.
async fn count_names(tx: &Tx, repository: i64, blobs: &[Linkable]) -> Result<(), StoreError> {
    for chunk in blobs.chunks(sql::CHUNK) {
        let sql = format!(
            "UPDATE repository_blob SET names = names + 1 WHERE repository_id = $1 AND blob_id IN ({})",
            sql::placeholders(2, chunk.len())
        );
        let ids = chunk.iter().map(|blob| Value::from(blob.id));
        sql::execute_list(tx.sql(), &sql, std::iter::once(repository.into()).chain(ids)).await?;
    }
    Ok(())
}
