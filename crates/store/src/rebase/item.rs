//! Tags that are to follow a release of their base, each once: what becomes of it is kept until there are newer ones, so that a server
//! that is killed goes on where it was, and so that it can be told what was and what was not possible.

use oci::{Digest, RepoName, Tag};
use road::names::BaseName;
use road::work::Task;
use sea_orm::{FromQueryResult, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{RebaseError, RebaseState, work};
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, Store, StoreError, Timestamp, blob, tag};

/// Tags of one base that are to follow and are looked at together; of those that are over as many are. Default: the only value. More
/// wait until others are over.
pub const MAX_ITEMS: usize = 200_000;

/// Releases of one base to which tags were to follow and of which there are reports. Default: the only value.
const MAX_REPORTED_RELEASES: u64 = 100;

/// Where a tag stands that is to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemState {
    /// It was found and is not planned yet.
    New,
    /// Somebody must approve it.
    Asking,
    /// It follows when it is its turn.
    Waiting,
    /// The new image is stored and waits to be decided.
    Made,
    /// The tag has followed.
    Moved,
    /// The new image came out worse, or somebody took it back. Holds up those behind it until somebody rejects it.
    Failed,
    /// Somebody does not want it.
    Rejected,
    /// It cannot follow without a rebuild.
    Impossible,
    /// It does not follow for another reason: its owner never wants it, or the tag or the release moved on.
    LeftOut,
}

impl ItemState {
    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Asking => "asking",
            Self::Waiting => "waiting",
            Self::Made => "made",
            Self::Moved => "moved",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Impossible => "impossible",
            Self::LeftOut => "left-out",
        }
    }
}

/// A tag that is to follow. (repository, tag, old image, old release, new release) is there once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRebaseItem {
    /// Of which base.
    pub base: BaseName,
    /// Where the image lies.
    pub repository: RepoName,
    /// The tag.
    pub tag: Tag,
    /// What it names.
    pub old: Digest,
    /// The release that this stands on.
    pub old_release: Digest,
    /// The release to go to.
    pub new_release: Digest,
}

/// The same as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebaseItem {
    /// Its id.
    pub id: Uuid,
    /// What is to follow what.
    pub of: NewRebaseItem,
    /// Where it stands.
    pub state: ItemState,
    /// `A` to `D`; empty until it was planned.
    pub class: String,
    /// Why it stands there.
    pub reason: String,
    /// The line of the journal.
    pub rebase: Option<Uuid>,
    /// Who approved it; empty for nobody.
    pub approved_by: String,
    /// What stays in the application's own layers, in words; empty for nothing.
    pub remains: String,
    /// The tag that names the new image, once it has followed.
    pub moved: Option<Tag>,
    /// When it was found.
    pub created_at: Timestamp,
    /// When the new image was stored.
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    pub settled_at: Option<Timestamp>,
}

/// What a plan says of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where it goes.
    pub state: ItemState,
    /// `A` to `D`; empty for none.
    pub class: String,
    /// Why.
    pub reason: String,
    /// What stays in the application's own layers, in words; empty for nothing.
    pub remains: String,
    /// What it asks of its owner, where it cannot follow by itself.
    pub task: Option<Task>,
}

/// The tag that is to follow by a rebase, of those that follow a base together.
#[derive(Debug, Clone)]
pub struct RebaseOf {
    /// Its id.
    pub item: Uuid,
    /// What overrides a freeze, where there is one.
    pub thaw: Option<Thawed>,
}

/// An incident that overrides a freeze.
#[derive(Debug, Clone)]
pub struct Thawed {
    /// Which incident.
    pub incident: String,
    /// Until when nothing would be done without it.
    pub frozen_until: String,
}

#[derive(FromQueryResult)]
struct Row {
    id: String,
    base: String,
    repository: String,
    tag: String,
    old_digest: String,
    old_release: String,
    new_release: String,
    state: String,
    class: String,
    reason: String,
    rebase: String,
    approved_by: String,
    remains: String,
    created_at: i64,
    started_at: i64,
    settled_at: i64,
    moved: Option<String>,
}

const COLUMNS: &str = "id, base, repository, tag, old_digest, old_release, new_release, state, class, reason, rebase, \
                       approved_by, remains, created_at, started_at, settled_at, \
                       (SELECT b.moved FROM rebase b WHERE b.id = rebase_item.rebase) AS moved";

impl Row {
    fn into_item(self) -> Result<RebaseItem, StoreError> {
        let damaged =
            |what: &str| StoreError::damaged(format!("a tag that is to follow ({}) has {what}", self.id));
        let moved = self.moved.as_deref().filter(|moved| !moved.is_empty());
        let moment = |micros: i64| (micros != 0).then_some(Timestamp(micros));
        Ok(RebaseItem {
            id: self.id.parse().map_err(|_| damaged("no id"))?,
            of: NewRebaseItem {
                base: self.base.parse().map_err(|_| damaged("no base"))?,
                repository: self.repository.parse().map_err(|_| damaged("no repository"))?,
                tag: tag::parse(&self.tag)?,
                old: blob::parse_digest(&self.old_digest)?,
                old_release: blob::parse_digest(&self.old_release)?,
                new_release: blob::parse_digest(&self.new_release)?,
            },
            state: serde_json::from_value(self.state.into())
                .map_err(|_| StoreError::damaged("a tag that is to follow has no state"))?,
            class: self.class,
            reason: self.reason,
            rebase: self.rebase.parse().ok(),
            approved_by: self.approved_by,
            remains: self.remains,
            moved: moved.map(tag::parse).transpose()?,
            created_at: Timestamp(self.created_at),
            started_at: moment(self.started_at),
            settled_at: moment(self.settled_at),
        })
    }
}

impl Store {
    /// Tags that are to follow a base to one of these releases: at most `limit` that are not over, those that hold up others first, then
    /// those that wait, in the order in which they were found; and at most `limit` that are over, those that have followed first, the
    /// latest of them first.
    pub async fn rebase_items(
        &self,
        base: &BaseName,
        releases: &[Digest],
        limit: usize,
    ) -> Result<Vec<RebaseItem>, StoreError> {
        let open = "('failed', 'made', 'new', 'waiting', 'asking')";
        let of_open = format!(
            "state IN {open} ORDER BY CASE state WHEN 'waiting' THEN 1 WHEN 'asking' THEN 2 ELSE 0 END, id"
        );
        let of_over = format!(
            "state NOT IN {open} ORDER BY CASE state WHEN 'moved' THEN 0 ELSE 1 END, settled_at DESC, id"
        );
        let places = sql::placeholders(3, releases.len());
        let mut all = Vec::new();
        for which in [of_open, of_over] {
            let sql = format!(
                "SELECT {COLUMNS} FROM rebase_item WHERE base = $1 AND new_release IN ({places}) AND {which} LIMIT $2"
            );
            let mut values: Vec<Value> = vec![base.as_str().into(), sql::to_db(limit as u64).into()];
            values.extend(releases.iter().map(|release| Value::from(release.to_string())));
            all.extend(rows(self, &sql, values).await?);
        }
        Ok(all)
    }

    /// The releases of a base that tags were to follow to, also those that are none to follow to any more: the last
    /// hundred, the latest first.
    pub async fn reported_releases(&self, base: &BaseName) -> Result<Vec<Digest>, StoreError> {
        let sql = "SELECT new_release AS text FROM rebase_item WHERE base = $1 \
                   GROUP BY new_release ORDER BY MAX(id) DESC LIMIT $2";
        let values: [Value; 2] = [base.as_str().into(), sql::to_db(MAX_REPORTED_RELEASES).into()];
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
        rows.into_iter()
            .map(|row| blob::parse_digest(&row.text))
            .collect()
    }

    /// Tags that stand in a state, in the order in which they were found.
    pub async fn rebase_items_in(
        &self,
        state: ItemState,
        limit: usize,
    ) -> Result<Vec<RebaseItem>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM rebase_item WHERE state = $1 ORDER BY id LIMIT $2");
        let values = vec![state.as_str().into(), sql::to_db(limit as u64).into()];
        rows(self, &sql, values).await
    }

    /// The bases of which a tag stands in one of these states.
    pub async fn bases_with_items_in(&self, states: &[ItemState]) -> Result<Vec<BaseName>, StoreError> {
        let places = sql::placeholders(1, states.len());
        let sql =
            format!("SELECT DISTINCT base AS text FROM rebase_item WHERE state IN ({places}) ORDER BY base");
        let states = states.iter().map(|state| Value::from(state.as_str()));
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), &sql, states).await?;
        let parse = |row: sql::Text| {
            let damaged = |_| StoreError::damaged("a tag that is to follow has no base");
            row.text.parse().map_err(damaged)
        };
        rows.into_iter().map(parse).collect()
    }

    /// One of them.
    pub async fn rebase_item(&self, id: Uuid) -> Result<Option<RebaseItem>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM rebase_item WHERE id = $1");
        let row: Option<Row> = sql::first(self.inner.db.read(), &sql, [id.to_string().into()]).await?;
        row.map(Row::into_item).transpose()
    }

    /// How many were started since a moment.
    pub async fn rebases_started_since(&self, since: Timestamp) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) AS number FROM rebase_item WHERE started_at > $1";
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, [since.micros().into()]).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }

    /// Notes what a plan said of one that was new, or that it does not follow after all.
    pub async fn place_rebase_item(
        &self,
        id: Uuid,
        state: ItemState,
        class: &str,
        reason: &str,
    ) -> Result<(), StoreError> {
        let placed = Placed {
            state,
            class: class.to_owned(),
            reason: policy::yaml::one_line(reason, 2_000),
            remains: String::new(),
            task: None,
        };
        self.write(move |tx| Box::pin(async move { place(tx, id, &placed).await.map(drop) }))
            .await
    }

    /// The same of a plan, with what the image asks of its owner.
    pub async fn place_rebase_plan(&self, id: Uuid, placed: Placed) -> Result<(), StoreError> {
        let placed = Placed {
            reason: policy::yaml::one_line(&placed.reason, 2_000),
            remains: policy::yaml::one_line(&placed.remains, 2_000),
            ..placed
        };
        self.write(move |tx| {
            Box::pin(async move {
                if let Some(item) = place(tx, id, &placed).await? {
                    work::planned(tx, &item, (&placed.class, placed.task.as_ref())).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Leaves out what waits to follow to a release that is none to follow to any more. Answers how many.
    pub async fn leave_out_rebase_items(
        &self,
        base: &BaseName,
        releases: &[Digest],
    ) -> Result<u64, StoreError> {
        let (base, releases) = (base.clone(), releases.to_vec());
        self.write(move |tx| Box::pin(async move { leave_out(tx, &base, &releases).await }))
            .await
    }

    /// Approves or rejects one. Approved is what asks, rejected what has not begun; a failed one that is rejected holds up nobody any
    /// more.
    pub async fn rule_on_rebase_item(
        &self,
        actor: &Actor,
        id: Uuid,
        approved: bool,
    ) -> Result<RebaseItem, RebaseError> {
        let actor = actor.clone();
        self.write(move |tx| Box::pin(async move { rule(tx, &actor, id, approved).await }))
            .await
    }

    /// The releases to which somebody lets the image of a tag go. An index has one for each of its platforms.
    pub async fn approved_releases(&self, of: &NewRebaseItem) -> Result<Vec<Digest>, StoreError> {
        let sql = "SELECT new_release AS text FROM rebase_item \
                   WHERE repository = $1 AND tag = $2 AND old_digest = $3 AND approved_by <> ''";
        let values: Vec<Value> = vec![
            of.repository.as_str().into(),
            of.tag.as_str().into(),
            of.old.to_string().into(),
        ];
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
        rows.into_iter()
            .map(|row| blob::parse_digest(&row.text))
            .collect()
    }
}

async fn rows(store: &Store, sql: &str, values: Vec<Value>) -> Result<Vec<RebaseItem>, StoreError> {
    let rows: Vec<Row> = sql::all(store.inner.db.read(), sql, values).await?;
    rows.into_iter().map(Row::into_item).collect()
}

/// Answers what was placed; nothing where it stands elsewhere by now.
async fn place(tx: &Tx, id: Uuid, placed: &Placed) -> Result<Option<RebaseItem>, StoreError> {
    let state = placed.state;
    let is_over = matches!(
        state,
        ItemState::Impossible | ItemState::LeftOut | ItemState::Failed
    );
    // What somebody approved holds for a later release too, unless its application did not want it after all.
    let sql = "UPDATE rebase_item SET state = $2, class = $3, reason = $4, settled_at = $5, \
               remains = CASE $6 WHEN '' THEN remains ELSE $6 END, approved_by = CASE $2 WHEN 'left-out' THEN '' ELSE approved_by END \
               WHERE id = $1 AND state IN ('new', 'waiting')";
    let settled = if is_over { tx.now().micros() } else { 0 };
    let values: [Value; 6] = [
        id.to_string().into(),
        state.as_str().into(),
        placed.class.as_str().into(),
        placed.reason.as_str().into(),
        settled.into(),
        placed.remains.as_str().into(),
    ];
    if sql::execute(tx.sql(), sql, values).await? == 0 {
        return Ok(None);
    }
    let Some(item) = find(tx, id).await? else {
        return Ok(None);
    };
    let kind = match state {
        ItemState::Asking => EventKind::RebaseAsk,
        ItemState::Impossible | ItemState::Failed => EventKind::RebaseRefuse,
        _ => return Ok(Some(item)),
    };
    let of = &item.of;
    let body = json!({
        "item": id, "base": of.base, "class": placed.class, "from": of.old_release, "to": of.new_release, "reason": placed.reason,
    });
    let subject = tag::subject(&of.repository, &of.tag);
    event::record(tx, &Actor::system("rebase"), kind, &subject, body).await?;
    Ok(Some(item))
}

async fn find(tx: &Tx, id: Uuid) -> Result<Option<RebaseItem>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM rebase_item WHERE id = $1");
    let row: Option<Row> = sql::first(tx.sql(), &sql, [id.to_string().into()]).await?;
    row.map(Row::into_item).transpose()
}

async fn leave_out(tx: &Tx, base: &BaseName, releases: &[Digest]) -> Result<u64, StoreError> {
    let places = sql::placeholders(4, releases.len());
    let sql = format!(
        "UPDATE rebase_item SET state = 'left-out', reason = $2, settled_at = $3 \
         WHERE base = $1 AND state IN ('new', 'asking', 'waiting') AND new_release NOT IN ({places})"
    );
    let reason = "the base has moved on, or its release does not count any more";
    let mut values: Vec<Value> = vec![base.as_str().into(), reason.into(), tx.now().micros().into()];
    values.extend(releases.iter().map(|release| Value::from(release.to_string())));
    sql::execute_list(tx.sql(), &sql, values).await
}

async fn rule(tx: &Tx, actor: &Actor, id: Uuid, approved: bool) -> Result<RebaseItem, RebaseError> {
    let item = find(tx, id).await?.ok_or(RebaseError::Unknown)?;
    let can_be_rejected = matches!(
        item.state,
        ItemState::New | ItemState::Waiting | ItemState::Failed
    );
    let may = item.state == ItemState::Asking || (!approved && can_be_rejected);
    if !may {
        return Err(RebaseError::Item {
            state: item.state.as_str(),
            what: if approved { "approved" } else { "rejected" },
        });
    }
    let (state, kind) = if approved {
        (ItemState::Waiting, EventKind::RebaseApprove)
    } else {
        (ItemState::Rejected, EventKind::RebaseReject)
    };
    let by = if approved { actor.name() } else { "" };
    let reason = if approved {
        String::new()
    } else {
        format!("rejected by {}", actor.name())
    };
    let settled = if approved { 0 } else { tx.now().micros() };
    let sql =
        "UPDATE rebase_item SET state = $2, approved_by = $3, reason = $4, settled_at = $5 WHERE id = $1";
    let values: [Value; 5] = [
        id.to_string().into(),
        state.as_str().into(),
        by.into(),
        reason.clone().into(),
        settled.into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    let of = &item.of;
    let body = json!({ "item": id, "base": of.base, "from": of.old_release, "to": of.new_release, "was": item.state.as_str() });
    event::record(tx, actor, kind, &tag::subject(&of.repository, &of.tag), body).await?;
    Ok(RebaseItem {
        state,
        reason,
        approved_by: by.to_owned(),
        ..item
    })
}

/// Between the plan and now somebody may have rejected it.
pub(super) async fn check_waits(tx: &Tx, item: Uuid) -> Result<(), RebaseError> {
    let item = find(tx, item).await?.ok_or(RebaseError::Unknown)?;
    match item.state {
        ItemState::Waiting | ItemState::Made | ItemState::Moved => Ok(()),
        state => Err(RebaseError::Item {
            state: state.as_str(),
            what: "carried out",
        }),
    }
}

/// The new image is stored: in the transaction that stores it. Once, it is told what overrode a freeze.
pub(super) async fn made(tx: &Tx, of: &RebaseOf, rebase: Uuid) -> Result<(), StoreError> {
    let sql = "UPDATE rebase_item SET state = 'made', rebase = $2, reason = '', \
               started_at = CASE started_at WHEN 0 THEN $3 ELSE started_at END WHERE id = $1 AND state = 'waiting'";
    let values: [Value; 3] = [
        of.item.to_string().into(),
        rebase.to_string().into(),
        tx.now().micros().into(),
    ];
    let has_begun = sql::execute(tx.sql(), sql, values).await? > 0;
    if has_begun {
        work::let_in(tx, of.item).await?;
    }
    match (&of.thaw, has_begun) {
        (Some(thaw), true) => note_thaw(tx, of.item, thaw).await,
        _ => Ok(()),
    }
}

async fn note_thaw(tx: &Tx, item: Uuid, thaw: &Thawed) -> Result<(), StoreError> {
    let Some(item) = find(tx, item).await? else {
        return Ok(());
    };
    let body = json!({
        "item": item.id, "base": item.of.base, "incident": thaw.incident, "frozen_until": thaw.frozen_until,
    });
    let subject = tag::subject(&item.of.repository, &item.of.tag);
    event::record(
        tx,
        &Actor::system("rebase"),
        EventKind::RebaseThaw,
        &subject,
        body,
    )
    .await
}

/// What becomes of a rebase becomes of the tag that is to follow by it: in the transaction that changes the journal.
pub(super) async fn follow(
    tx: &Tx,
    rebase: Uuid,
    (state, is_worse, reason): (RebaseState, bool, &str),
) -> Result<(), StoreError> {
    let now = match state {
        RebaseState::Made => return Ok(()),
        RebaseState::Moved => ItemState::Moved,
        RebaseState::Refused if is_worse => ItemState::Failed,
        RebaseState::Refused => ItemState::LeftOut,
        RebaseState::Undone => ItemState::Failed,
    };
    let reason = match state {
        RebaseState::Undone => "somebody took it back",
        _ => reason,
    };
    let sql = "UPDATE rebase_item SET state = $2, reason = $3, settled_at = $4 WHERE rebase = $1";
    let values: [Value; 4] = [
        rebase.to_string().into(),
        now.as_str().into(),
        reason.into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}
