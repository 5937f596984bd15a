//! What images that cannot follow a release of their base ask of their owners. An item is opened with the plan that says so, once for
//! each tag and release, and closed when the tag stands elsewhere. What became of it is told in the audit log, from which others are
//! told: once for all of a release whose images were all planned.

use oci::{Digest, RepoName};
use road::names::BaseName;
use road::work::{Task, Work, WorkState};
use sea_orm::{FromQueryResult, Value};
use serde_json::json;
use uuid::Uuid;

use super::{ItemState, RebaseItem};
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, Store, StoreError, Timestamp, blob, tag};

/// Items of work that one answer reads. Default: the only value.
pub const MAX_WORK: usize = 100_000;

/// How long items that are over are kept. Default: the only value.
pub const WORK_KEPT: std::time::Duration = std::time::Duration::from_hours(90 * 24);

/// How long after its repository did not take the new image a tag is tried again. Default: the only value.
pub const LET_IN_AGAIN: std::time::Duration = std::time::Duration::from_hours(24);

/// Releases of which it is told at once.
const TOLD_AT_ONCE: u64 = 100;

/// Items that one transaction forgets.
const FORGOTTEN_AT_ONCE: u64 = 500;

/// An item of work as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWork {
    /// Its id.
    pub id: Uuid,
    /// What is to be done with which tag.
    pub work: Work,
    /// What the tag named when it was found.
    pub digest: Digest,
    /// `C` or `D`; `A` or `B` of what its repository does not take.
    pub class: String,
    /// When it was found.
    pub opened_at: Timestamp,
    /// Since when it is over.
    pub closed_at: Option<Timestamp>,
    /// What the tag names now; none where it is gone.
    pub named: Option<Digest>,
}

#[derive(FromQueryResult)]
struct Row {
    id: String,
    base: String,
    repository: String,
    tag: String,
    digest: String,
    class: String,
    task: String,
    state: String,
    opened_at: i64,
    closed_at: i64,
    named: Option<String>,
}

const SELECT: &str = "SELECT w.id, w.base, w.repository, w.tag, w.digest, w.class, w.task, w.state, w.opened_at, w.closed_at, \
                      m.digest AS named FROM road_work w LEFT JOIN repository r ON r.name = w.repository \
                      LEFT JOIN tag t ON t.repository_id = r.id AND t.name = w.tag \
                      LEFT JOIN manifest m ON m.id = t.manifest_id";

/// What was over before a repository was made was of another one of its name, which was deleted.
const OF_THOSE_THAT_ARE_THERE: &str = "WHERE w.state = 'open' OR r.created_at <= w.opened_at";

impl Row {
    fn into_work(self) -> Result<StoredWork, StoreError> {
        let damaged = |what: &str| StoreError::damaged(format!("work {} has {what}", self.id));
        Ok(StoredWork {
            id: self.id.parse().map_err(|_| damaged("no id"))?,
            work: Work {
                base: self.base.parse().map_err(|_| damaged("no base"))?,
                repository: self.repository.parse().map_err(|_| damaged("no repository"))?,
                tag: tag::parse(&self.tag)?,
                task: serde_json::from_str(&self.task).map_err(|_| damaged("no task"))?,
                state: WorkState::from_name(&self.state).ok_or_else(|| damaged("no state"))?,
            },
            digest: blob::parse_digest(&self.digest)?,
            class: self.class,
            opened_at: Timestamp(self.opened_at),
            closed_at: (self.closed_at > 0).then_some(Timestamp(self.closed_at)),
            named: self.named.as_deref().map(blob::parse_digest).transpose()?,
        })
    }
}

impl Store {
    /// All work that is open, or all that is over too: by base, repository and tag; at most [`MAX_WORK`], open ones first.
    pub async fn work(&self, only_open: bool) -> Result<Vec<StoredWork>, StoreError> {
        let which = if only_open {
            "WHERE w.state = 'open'"
        } else {
            OF_THOSE_THAT_ARE_THERE
        };
        let sql = format!(
            "{SELECT} {which} ORDER BY CASE w.state WHEN 'open' THEN 0 ELSE 1 END, w.base, w.repository, w.tag, w.id LIMIT $1"
        );
        let rows: Vec<Row> =
            sql::all(self.inner.db.read(), &sql, [sql::to_db(MAX_WORK as u64).into()]).await?;
        Ok(whole(rows).collect())
    }

    /// What a release of a base asks for, and asked for.
    pub async fn work_of_release(&self, base: &BaseName, release: &Digest) -> Result<Vec<Work>, StoreError> {
        let sql = format!(
            "{SELECT} WHERE w.base = $1 AND w.release_digest = $2 ORDER BY w.repository, w.tag, w.id LIMIT $3"
        );
        let values: [Value; 3] = [
            base.as_str().into(),
            release.to_string().into(),
            sql::to_db(MAX_WORK as u64).into(),
        ];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), &sql, values).await?;
        Ok(whole(rows).map(|of| of.work).collect())
    }

    /// The bases and releases that ask for something now, as far as all of it was told before.
    pub async fn releases_with_work(&self) -> Result<Vec<(BaseName, Digest)>, StoreError> {
        let sql = "SELECT DISTINCT base, release_digest FROM road_work w WHERE state = 'open' AND NOT EXISTS (SELECT 1 FROM road_work u \
                   WHERE u.told = FALSE AND u.base = w.base AND u.release_digest = w.release_digest) ORDER BY base, release_digest";
        let rows: Vec<OfRelease> = sql::all(self.inner.db.read(), sql, []).await?;
        Ok(rows.into_iter().filter_map(OfRelease::parsed).collect())
    }

    /// Closes items.
    pub async fn close_work(&self, closed: Vec<(Uuid, WorkState)>) -> Result<(), StoreError> {
        if closed.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            Box::pin(async move {
                for (id, state) in &closed {
                    close(tx, "id = $3", *state, &[id.to_string()]).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Writes into the audit log of which releases work was opened or closed, each once; but not while tags that were found since
    /// `since` are still to be planned for the release, so that owners hear of all of it together. Answers of how many.
    pub async fn tell_of_work(&self, since: Timestamp) -> Result<usize, StoreError> {
        if untold(self.inner.db.read(), since).await?.is_empty() {
            return Ok(0);
        }
        self.write(move |tx| Box::pin(async move { tell(tx, since).await }))
            .await
    }

    /// Forgets some of what has been over for [`WORK_KEPT`].
    pub async fn forget_work(&self) -> Result<u64, StoreError> {
        let before = self.now().minus(WORK_KEPT).micros();
        let sql = format!("SELECT COUNT(*) AS number FROM ({FORGOTTEN}) forgotten");
        let values = [before.into(), sql::to_db(1).into()];
        let any: Option<sql::Number> = sql::first(self.inner.db.read(), &sql, values).await?;
        if any.is_none_or(|any| any.number == 0) {
            return Ok(0);
        }
        self.write(move |tx| {
            Box::pin(async move {
                let sql = format!("DELETE FROM road_work WHERE id IN ({FORGOTTEN})");
                let values = [before.into(), sql::to_db(FORGOTTEN_AT_ONCE).into()];
                sql::execute(tx.sql(), &sql, values).await
            })
        })
        .await
    }
}

/// What is over and told and was closed before a moment.
const FORGOTTEN: &str =
    "SELECT id FROM road_work WHERE state <> 'open' AND told = TRUE AND closed_at < $1 LIMIT $2";

/// Items as they are read. A damaged one is left out and logged: it must not keep the others from anything.
fn whole(rows: Vec<Row>) -> impl Iterator<Item = StoredWork> {
    rows.into_iter().filter_map(|row| {
        let id = row.id.clone();
        row.into_work()
            .inspect_err(|error| tracing::warn!(id, %error, "an item of work cannot be read and is left out"))
            .ok()
    })
}

#[derive(FromQueryResult)]
struct OfRelease {
    base: String,
    release_digest: String,
}

impl OfRelease {
    fn parsed(self) -> Option<(BaseName, Digest)> {
        Some((self.base.parse().ok()?, self.release_digest.parse().ok()?))
    }
}

/// The bases and releases that ask for something now.
pub(crate) async fn asking(
    on: &impl sea_orm::ConnectionTrait,
) -> Result<Vec<(BaseName, Digest)>, StoreError> {
    let sql = "SELECT DISTINCT base, release_digest FROM road_work WHERE state = 'open'";
    let rows: Vec<OfRelease> = sql::all(on, sql, []).await?;
    Ok(rows.into_iter().filter_map(OfRelease::parsed).collect())
}

/// Asked every second where something waits: the index has what was not told alone.
pub(super) const UNTOLD: &str = "SELECT DISTINCT w.base, w.release_digest FROM road_work w WHERE w.told = FALSE \
                                 AND NOT EXISTS (SELECT 1 FROM rebase_item i WHERE i.base = w.base \
                                 AND i.new_release = w.release_digest AND i.state = 'new' AND i.created_at > $1) \
                                 ORDER BY w.base, w.release_digest LIMIT $2";

async fn untold(on: &impl sea_orm::ConnectionTrait, since: Timestamp) -> Result<Vec<OfRelease>, StoreError> {
    let values = [since.micros().into(), sql::to_db(TOLD_AT_ONCE).into()];
    sql::all(on, UNTOLD, values).await
}

#[derive(FromQueryResult)]
struct Counted {
    state: String,
    number: i64,
}

async fn tell(tx: &Tx, since: Timestamp) -> Result<usize, StoreError> {
    let releases = untold(tx.sql(), since).await?;
    for of in &releases {
        let values = || [of.base.as_str().into(), of.release_digest.as_str().into()];
        let sql = "SELECT state, COUNT(*) AS number FROM road_work WHERE base = $1 AND release_digest = $2 GROUP BY state";
        let counts: Vec<Counted> = sql::all(tx.sql(), sql, values()).await?;
        let counts: serde_json::Map<String, serde_json::Value> = counts
            .into_iter()
            .map(|count| (count.state, count.number.into()))
            .collect();
        let body = json!({ "base": of.base, "release": of.release_digest, "images": counts });
        let sql = "UPDATE road_work SET told = TRUE WHERE base = $1 AND release_digest = $2";
        sql::execute(tx.sql(), sql, values()).await?;
        event::record(tx, &Actor::system("rebase"), EventKind::RoadWork, &of.base, body).await?;
    }
    Ok(releases.len())
}

/// What the plan of a tag says of work: opened, or closed if it can follow after all, or is left out. What its repository did not take is
/// closed only when it is let in ([`let_in`]): the plan says nothing of that. In the transaction that notes the plan.
pub(super) async fn planned(
    tx: &Tx,
    item: &RebaseItem,
    (class, task): (&str, Option<&Task>),
) -> Result<(), StoreError> {
    let of = &item.of;
    let Some(task) = task else {
        let can_follow = [ItemState::Asking, ItemState::Waiting, ItemState::LeftOut];
        if !can_follow.contains(&item.state) {
            return Ok(());
        }
        let key = [
            of.repository.to_string(),
            of.tag.to_string(),
            of.base.to_string(),
            of.new_release.to_string(),
        ];
        let which = if item.state == ItemState::Waiting {
            "repository = $3 AND tag = $4 AND base = $5 AND release_digest = $6 AND class NOT IN ('A', 'B')"
        } else {
            "repository = $3 AND tag = $4 AND base = $5 AND release_digest = $6"
        };
        return close(tx, which, WorkState::Left, &key).await;
    };
    let sql = "INSERT INTO road_work (id, base, repository, tag, digest, release_digest, class, task, state, told, opened_at, closed_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', FALSE, $9, 0) \
               ON CONFLICT (repository, tag, base, release_digest) DO UPDATE SET digest = excluded.digest, \
               class = excluded.class, task = excluded.task, state = 'open', closed_at = 0, \
               told = (road_work.told AND road_work.state = 'open' AND road_work.task = excluded.task), \
               opened_at = CASE road_work.state WHEN 'open' THEN road_work.opened_at ELSE excluded.opened_at END";
    let values: [Value; 9] = [
        Uuid::now_v7().to_string().into(),
        of.base.as_str().into(),
        of.repository.as_str().into(),
        of.tag.as_str().into(),
        of.old.to_string().into(),
        of.new_release.to_string().into(),
        class.into(),
        serde_json::to_string(task).unwrap_or_default().into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

/// The repository takes what was made for a tag: in the transaction that stores it.
pub(super) async fn let_in(tx: &Tx, item: Uuid) -> Result<(), StoreError> {
    let which = "class IN ('A', 'B') AND (repository, tag, base, release_digest) IN \
                 (SELECT repository, tag, base, new_release FROM rebase_item WHERE id = $3)";
    close(tx, which, WorkState::Left, &[item.to_string()]).await
}

/// Closes what is asked of a repository that is deleted, so that owners hear of it, and forgets what they have heard of. Some of it at
/// once; answers of how many.
pub(super) async fn forget_of(tx: &Tx, repo: &RepoName, most: i64) -> Result<u64, StoreError> {
    let sql = "UPDATE road_work SET state = 'gone', closed_at = $3, told = FALSE \
               WHERE id IN (SELECT id FROM road_work WHERE repository = $1 AND state = 'open' LIMIT $2)";
    let values = [repo.as_str().into(), most.into(), tx.now().micros().into()];
    let closed = sql::execute(tx.sql(), sql, values).await?;
    let sql = "DELETE FROM road_work WHERE id IN \
               (SELECT id FROM road_work WHERE repository = $1 AND state <> 'open' AND told = TRUE LIMIT $2)";
    let forgotten = sql::execute(tx.sql(), sql, [repo.as_str().into(), most.into()]).await?;
    Ok(closed + forgotten)
}

async fn close(tx: &Tx, which: &str, state: WorkState, key: &[String]) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE road_work SET state = $1, closed_at = $2, told = FALSE WHERE {which} AND state = 'open'"
    );
    let mut values: Vec<Value> = vec![state.as_str().into(), tx.now().micros().into()];
    values.extend(key.iter().map(|part| Value::from(part.as_str())));
    sql::execute_list(tx.sql(), &sql, values).await.map(drop)
}
