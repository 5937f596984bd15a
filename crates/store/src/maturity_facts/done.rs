//! What was done: rebases, exemptions, what owners were told.

use oci::{Digest, RepoName, Tag};
use road::names::BaseName;
use sea_orm::FromQueryResult;

use crate::db::sql;
use crate::event::line;
use crate::paving::{self, StoredRoadEntry};
use crate::{ItemState, LogLine, Store, StoreError, Timestamp, blob, tag};

/// Tags of a repository that were to follow their base that are told of: the latest. Default: the only value.
pub const MAX_FOLLOWED_BASES: usize = 500;

/// Models of one repository that are told of: the latest. Default: the only value.
const MAX_MODELS: u64 = 100;

/// A tag that was to follow a release of its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedBase {
    /// Its id.
    pub id: String,
    /// Where.
    pub repository: RepoName,
    /// Which tag.
    pub tag: Tag,
    /// Which base.
    pub base: BaseName,
    /// The release that it stood on.
    pub old_release: Digest,
    /// The release to go to.
    pub new_release: Digest,
    /// What became of it.
    pub state: ItemState,
    /// Whether a person had to let it.
    pub was_approved: bool,
    /// When it was found.
    pub created_at: Timestamp,
    /// When it came to its end.
    pub settled_at: Option<Timestamp>,
}

/// The artifact of a trained model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownModel {
    /// Its manifest.
    pub digest: Digest,
    /// When it came.
    pub pushed_at: Timestamp,
    /// How many tags it has that are a version: any but `latest`.
    pub versions: u64,
}

#[derive(FromQueryResult)]
struct ItemRow {
    id: String,
    repository: String,
    tag: String,
    base: String,
    old_release: String,
    new_release: String,
    state: String,
    approved_by: String,
    created_at: i64,
    settled_at: i64,
}

#[derive(FromQueryResult)]
struct FirstRow {
    seq: i64,
    at: i64,
}

#[derive(FromQueryResult)]
struct ModelRow {
    digest: String,
    pushed_at: i64,
    versions: i64,
}

impl ItemRow {
    fn into_followed(self) -> Result<FollowedBase, StoreError> {
        let damaged = || StoreError::damaged(format!("a tag that is to follow ({}) cannot be read", self.id));
        Ok(FollowedBase {
            repository: self.repository.parse().map_err(|_| damaged())?,
            tag: tag::parse(&self.tag)?,
            base: self.base.parse().map_err(|_| damaged())?,
            old_release: blob::parse_digest(&self.old_release)?,
            new_release: blob::parse_digest(&self.new_release)?,
            state: serde_json::from_value(self.state.as_str().into()).map_err(|_| damaged())?,
            was_approved: !self.approved_by.is_empty(),
            created_at: Timestamp(self.created_at),
            settled_at: (self.settled_at != 0).then_some(Timestamp(self.settled_at)),
            id: self.id,
        })
    }
}

impl Store {
    /// Tags that were found since a moment to be able to follow a release of their base, the latest first: of one repository at most
    /// [`MAX_FOLLOWED_BASES`], of all as many times a hundred.
    pub async fn followed_bases(
        &self,
        repo: Option<&RepoName>,
        since: Timestamp,
    ) -> Result<Vec<FollowedBase>, StoreError> {
        let limit = match repo {
            Some(_) => MAX_FOLLOWED_BASES,
            None => MAX_FOLLOWED_BASES * 100,
        };
        let sql = "SELECT id, repository, tag, base, old_release, new_release, state, approved_by, created_at, settled_at \
                   FROM rebase_item WHERE ($1 = '' OR repository = $1) AND created_at >= $2 ORDER BY id DESC LIMIT $3";
        // By the index of repositories where one is asked for.
        let sql = match repo {
            Some(_) => sql.replace("($1 = '' OR repository = $1)", "repository = $1"),
            None => sql.to_owned(),
        };
        let values = [
            repo.map_or("", RepoName::as_str).into(),
            since.micros().into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<ItemRow> = sql::all(self.inner.db.read(), &sql, values).await?;
        rows.into_iter().map(ItemRow::into_followed).collect()
    }

    /// The catalogue of the road, with the exemptions that were taken back.
    pub async fn road_entries_ever(&self) -> Result<Vec<StoredRoadEntry>, StoreError> {
        paving::with_removed(self.inner.db.read()).await
    }

    /// Artifacts of trained models in a repository, the latest first: those whose type says so.
    pub async fn known_models(&self, repo: &RepoName) -> Result<Vec<KnownModel>, StoreError> {
        let sql = "SELECT m.digest AS digest, m.pushed_at AS pushed_at, \
                   (SELECT COUNT(*) FROM tag t WHERE t.manifest_id = m.id AND t.name <> 'latest') AS versions \
                   FROM manifest m JOIN repository r ON r.id = m.repository_id \
                   WHERE r.name = $1 AND m.kind = 0 AND m.subject IS NULL AND m.artifact_type LIKE '%model%' \
                   ORDER BY m.pushed_at DESC, m.id DESC LIMIT $2";
        let values = [repo.as_str().into(), sql::to_db(MAX_MODELS).into()];
        let rows: Vec<ModelRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let read = |row: ModelRow| {
            Ok(KnownModel {
                digest: blob::parse_digest(&row.digest)?,
                pushed_at: Timestamp(row.pushed_at),
                versions: sql::from_db(row.versions),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// When something was first decided of an image of a repository.
    pub async fn decided_since(&self, repo: &RepoName) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT at AS number FROM event WHERE subject >= $1 AND subject < $2 AND kind || '' = 'image.decide' \
                   ORDER BY at LIMIT 1";
        let (from, until) = (format!("{repo}@"), format!("{repo}@~"));
        let row: Option<sql::Number> =
            sql::first(self.inner.db.read(), sql, [from.into(), until.into()]).await?;
        Ok(row.map(|row| Timestamp(row.number)))
    }

    /// The first line of the audit log about a subject that is of a kind, with its moment.
    pub async fn first_line(
        &self,
        subject: &str,
        kind: &str,
    ) -> Result<Option<(i64, Timestamp)>, StoreError> {
        let sql = "SELECT seq, at FROM event WHERE subject = $1 AND kind || '' = $2 ORDER BY seq LIMIT 1";
        let row: Option<FirstRow> =
            sql::first(self.inner.db.read(), sql, [subject.into(), kind.into()]).await?;
        Ok(row.map(|row| (row.seq, Timestamp(row.at))))
    }

    /// Since when every pull is in the log. `None`: none was ever dropped from it.
    pub async fn pulls_known_since(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT at AS number FROM pull_log WHERE seq = (SELECT MIN(seq) FROM pull_log) AND seq > 1";
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, []).await?;
        Ok(row.map(|row| Timestamp(row.number)))
    }

    /// The last lines of the audit log of these kinds since a moment, the latest first.
    pub async fn last_lines(
        &self,
        kinds: &[&str],
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LogLine>, StoreError> {
        let mut found = Vec::new();
        for kind in kinds {
            // A kind at a time: its index gives the latest ones.
            let sql = "SELECT seq, at, kind, subject, actor, cause, body FROM event WHERE kind = $1 AND at >= $2 \
                       ORDER BY seq DESC LIMIT $3";
            let values = [
                (*kind).into(),
                since.micros().into(),
                sql::to_db(limit as u64).into(),
            ];
            let rows: Vec<line::Row> = sql::all(self.inner.db.read(), sql, values).await?;
            found.extend(rows.into_iter().map(line::Row::into_line));
        }
        found.sort_by_key(|line: &LogLine| std::cmp::Reverse(line.seq));
        found.truncate(limit);
        Ok(found)
    }

    /// The number of the last line of the audit log about a subject that is of one of these kinds.
    pub async fn last_line(&self, subject: &str, kinds: &[&str]) -> Result<Option<i64>, StoreError> {
        let sql = format!(
            "SELECT seq AS number FROM event WHERE subject = $1 AND kind || '' IN ({}) ORDER BY seq DESC LIMIT 1",
            sql::placeholders(2, kinds.len())
        );
        let values = std::iter::once(subject)
            .chain(kinds.iter().copied())
            .map(sea_orm::Value::from);
        let rows: Vec<sql::Number> = sql::all(self.inner.db.read(), &sql, values).await?;
        Ok(rows.first().map(|row| row.number))
    }
}
