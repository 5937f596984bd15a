//! What a mirror keeps beside images: who may pull what at its centre, what the centre refuses, and what goes first when the disk
//! is full.
//!
//! The data directory of a mirror is marked as one: everybody may pull from its store, because whoever stands before it asks the
//! centre who may. So it must never be that of a registry, and [`Store::become_mirror`] refuses one that is.

use access::{Grant, RoleSet, Subject};
use oci::{Digest, RepoName, RepoPattern};
use sea_orm::FromQueryResult;

use crate::db::{sql, sqlite};
use crate::setting::{self, Setting};
use crate::{Actor, AdminError, Store, StoreError, Timestamp, blob, grant};

mod evict;

pub use evict::KeptImage;

/// Somebody may pull from a repository, says the centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorPermit {
    /// Keyed hash of the credentials.
    pub who: [u8; 32],
    /// Where.
    pub repo: RepoName,
    /// When the centre said so last.
    pub at: Timestamp,
}

/// Something is refused, says the centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorRefusal {
    /// Where.
    pub repo: RepoName,
    /// What: a manifest or a blob.
    pub digest: Digest,
    /// For people.
    pub message: String,
    /// For programs: JSON.
    pub detail: String,
    /// When the centre said so last.
    pub at: Timestamp,
}

#[derive(FromQueryResult)]
struct PermitRow {
    who: String,
    repository: String,
    at: i64,
}

#[derive(FromQueryResult)]
struct RefusalRow {
    repository: String,
    digest: String,
    message: String,
    detail: String,
    at: i64,
}

impl PermitRow {
    fn into_permit(self) -> Option<MirrorPermit> {
        Some(MirrorPermit {
            who: setting::decode(&self.who)?,
            repo: self.repository.parse().ok()?,
            at: Timestamp(self.at),
        })
    }
}

impl RefusalRow {
    fn into_refusal(self) -> Option<MirrorRefusal> {
        Some(MirrorRefusal {
            repo: self.repository.parse().ok()?,
            digest: blob::parse_digest(&self.digest).ok()?,
            message: self.message,
            detail: self.detail,
            at: Timestamp(self.at),
        })
    }
}

impl Store {
    /// Makes an empty store that of a mirror, or finds that it is one; answers what credentials are hashed with.
    ///
    /// # Errors
    /// [`AdminError::Invalid`]: the store is that of a registry.
    pub async fn become_mirror(&self) -> Result<[u8; 32], AdminError> {
        if let Some(text) = setting::get(self.inner.db.read(), Setting::MirrorKey).await? {
            let key = setting::decode(&text);
            return Ok(key.ok_or_else(|| StoreError::damaged("the mirror's key is not 64 hex digits"))?);
        }
        let limit = self.limits().grants;
        self.change_access(move |tx| {
            Box::pin(async move {
                let sql =
                    "SELECT (SELECT COUNT(*) FROM principal) + (SELECT COUNT(*) FROM repository) AS number";
                let used: Option<sql::Number> = sql::first(tx.sql(), sql, []).await?;
                if used.is_some_and(|row| row.number > 0) {
                    let reason = "the data directory is that of a registry: name another one for the mirror"
                        .to_owned();
                    return Err(AdminError::Invalid { reason });
                }
                let key: [u8; 32] = crate::entropy::bytes();
                setting::set(tx.sql(), Setting::MirrorKey, hex::encode(key)).await?;
                let everybody = Grant {
                    subject: Subject::Anonymous,
                    pattern: RepoPattern::everything(),
                    roles: RoleSet::of(access::Role::Pull),
                };
                grant::set(tx, &Actor::system("mirror"), &everybody, limit).await?;
                Ok(key)
            })
        })
        .await
    }

    /// Whether the store is that of a mirror.
    pub async fn is_mirror(&self) -> Result<bool, StoreError> {
        Ok(setting::get(self.inner.db.read(), Setting::MirrorKey)
            .await?
            .is_some())
    }

    /// The latest `most` permits. Those that cannot be read are none.
    pub async fn mirror_permits(&self, most: u64) -> Result<Vec<MirrorPermit>, StoreError> {
        let sql = "SELECT who, repository, at FROM mirror_permit ORDER BY at DESC LIMIT $1";
        let rows: Vec<PermitRow> = sql::all(self.inner.db.read(), sql, [sql::to_db(most).into()]).await?;
        Ok(rows.into_iter().filter_map(PermitRow::into_permit).collect())
    }

    /// Keeps permits, those that are there with a new moment.
    pub async fn note_mirror_permits(&self, permits: Vec<MirrorPermit>) -> Result<(), StoreError> {
        if permits.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            Box::pin(async move {
                tx.pass_by_followers();
                let sql = "INSERT INTO mirror_permit (who, repository, at) VALUES ($1, $2, $3) \
                           ON CONFLICT (who, repository) DO UPDATE SET at = excluded.at";
                for permit in &permits {
                    let values = [
                        hex::encode(permit.who).into(),
                        permit.repo.as_str().into(),
                        permit.at.micros().into(),
                    ];
                    sql::execute(tx.sql(), sql, values).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Takes a permit back.
    pub async fn drop_mirror_permit(&self, who: [u8; 32], repo: &RepoName) -> Result<(), StoreError> {
        let repo = repo.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM mirror_permit WHERE who = $1 AND repository = $2";
                let values = [hex::encode(who).into(), repo.as_str().into()];
                sql::execute(tx.sql(), sql, values).await.map(drop)
            })
        })
        .await
    }

    /// All refusals, the latest `most`. Those that cannot be read are none.
    pub async fn mirror_refusals(&self, most: u64) -> Result<Vec<MirrorRefusal>, StoreError> {
        let sql =
            "SELECT repository, digest, message, detail, at FROM mirror_refusal ORDER BY at DESC LIMIT $1";
        let rows: Vec<RefusalRow> = sql::all(self.inner.db.read(), sql, [sql::to_db(most).into()]).await?;
        Ok(rows.into_iter().filter_map(RefusalRow::into_refusal).collect())
    }

    /// Keeps a refusal.
    pub async fn note_mirror_refusal(&self, refusal: MirrorRefusal) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO mirror_refusal (repository, digest, message, detail, at) \
                           VALUES ($1, $2, $3, $4, $5) ON CONFLICT (repository, digest) DO UPDATE SET \
                           message = excluded.message, detail = excluded.detail, at = excluded.at";
                let values = [
                    refusal.repo.as_str().into(),
                    refusal.digest.to_string().into(),
                    refusal.message.into(),
                    refusal.detail.into(),
                    refusal.at.micros().into(),
                ];
                sql::execute(tx.sql(), sql, values).await.map(drop)
            })
        })
        .await
    }

    /// Takes a refusal back.
    pub async fn drop_mirror_refusal(&self, repo: &RepoName, digest: &Digest) -> Result<(), StoreError> {
        let (repo, digest) = (repo.clone(), *digest);
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM mirror_refusal WHERE repository = $1 AND digest = $2";
                let values = [repo.as_str().into(), digest.to_string().into()];
                sql::execute(tx.sql(), sql, values).await.map(drop)
            })
        })
        .await
    }

    /// The images of a repository that have a blob, at most `limit`.
    pub async fn images_with(
        &self,
        repo: &RepoName,
        blob: &Digest,
        limit: usize,
    ) -> Result<Vec<Digest>, StoreError> {
        let sql = "SELECT m.digest AS text FROM manifest_reference f JOIN manifest m ON m.id = f.manifest_id \
                   JOIN repository r ON r.id = f.repository_id \
                   WHERE r.name = $1 AND f.digest = $2 AND f.kind = 0 LIMIT $3";
        let values = [
            repo.as_str().into(),
            blob.to_string().into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
        rows.iter().map(|row| blob::parse_digest(&row.text)).collect()
    }

    /// Forgets permits from before `since`, and of permits and refusals what is more than `most`; a mirror that judges nothing has
    /// no use for jobs either.
    pub async fn tidy_mirror(&self, since: Timestamp, most: u64) -> Result<(), StoreError> {
        let most = sql::to_db(most);
        self.write(move |tx| {
            Box::pin(async move {
                tx.pass_by_followers();
                let sql = "DELETE FROM mirror_permit WHERE at < $1";
                sql::execute(tx.sql(), sql, [since.micros().into()]).await?;
                for table in ["mirror_permit", "mirror_refusal"] {
                    let sql = format!(
                        "DELETE FROM {table} WHERE at < (SELECT at FROM {table} ORDER BY at DESC LIMIT 1 OFFSET $1)"
                    );
                    sql::execute(tx.sql(), &sql, [most.into()]).await?;
                }
                sql::execute(tx.sql(), "DELETE FROM job", []).await.map(drop)
            })
        })
        .await
    }

    /// Cuts the oldest lines off the audit log of a mirror, once there are a tenth more than `keep`; answers how many went. What
    /// comes and goes here is the disk's business and nobody's decision; of a registry no line is ever taken away.
    pub async fn trim_mirror_log(&self, keep: u64) -> Result<u64, StoreError> {
        let lines = "SELECT COUNT(*) AS number FROM event";
        let lines: Option<sql::Number> = sql::first(self.inner.db.read(), lines, []).await?;
        let lines = lines.map_or(0, |row| sql::from_db(row.number));
        if lines <= keep.saturating_add(keep / 10) || !self.is_mirror().await? {
            return Ok(0);
        }
        self.write(move |tx| {
            Box::pin(async move {
                tx.pass_by_followers();
                sqlite::let_go(tx.sql(), "event").await?;
                let sql = "DELETE FROM event WHERE seq <= (SELECT seq FROM event ORDER BY seq DESC LIMIT 1 OFFSET $1)";
                let gone = sql::execute(tx.sql(), sql, [sql::to_db(keep).into()]).await?;
                sqlite::refuse(tx.sql(), "event", "DELETE").await?;
                Ok(gone)
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests;
