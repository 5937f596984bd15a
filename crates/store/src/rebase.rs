//! Rebases: images that the registry made of others, and the tags that follow.
//!
//! First the new image is stored beside the old one, in one transaction with the line of the journal that says so; no tag knows of
//! it. When it was looked into and decided, the tag moves, or does not and the journal says why. A kill between any two steps
//! leaves the one before; carrying out the same plan again makes the same image and no second line.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Digest, Manifest, RepoName, Tag};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::blob::{self, link, state};
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::files::{Committed, Location};
use crate::job::{self, JobPriority};
use crate::manifest::{self, put_made};
use crate::{
    Actor, PutError, PutManifest, Rules, Store, StoreError, StoreLimits, Timestamp, repository, tag,
};

/// Rebases of one tag that may wait for their decision at a time. Default: the only value.
const WAITING_OF_A_TAG: u64 = 1;

/// Suffixes that are tried for a tag, `-p1` and on.
const MAX_SUFFIX: u32 = 10_000;

/// How the tag follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagMove {
    /// `1.4` stays, the new image is `1.4-p1`.
    Suffix,
    /// `1.4` is the new image.
    InPlace,
}

/// Where a rebase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebaseState {
    /// The image is stored, and waits to be decided.
    Made,
    /// The tag has followed.
    Moved,
    /// The tag has not followed, and will not.
    Refused,
    /// The tag has gone back.
    Undone,
}

impl RebaseState {
    fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Moved => "moved",
            Self::Refused => "refused",
            Self::Undone => "undone",
        }
    }
}

/// A rebase as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebase {
    /// Its id.
    pub id: Uuid,
    /// Where the image lies.
    pub repository: RepoName,
    /// The tag that follows.
    pub tag: Tag,
    /// What it named.
    pub old: Digest,
    /// What was made of that.
    pub new: Digest,
    /// How the tag follows.
    pub how: TagMove,
    /// Where it stands.
    pub state: RebaseState,
    /// The tag that names the new image; none until it has followed.
    pub moved: Option<Tag>,
    /// Why it stands there, for what was refused.
    pub reason: String,
    /// The plan, JSON.
    pub plan: String,
    /// Who asked for it.
    pub actor: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// When its state last changed.
    pub changed_at: Timestamp,
}

/// A rebase that waits for its decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRebase {
    /// Its id.
    pub id: Uuid,
    /// Where the image lies.
    pub repository: RepoName,
    /// What the tag named.
    pub old: Digest,
    /// What was made of that.
    pub new: Digest,
}

#[derive(FromQueryResult)]
struct WaitingRow {
    id: String,
    repository: String,
    old_digest: String,
    new_digest: String,
}

impl WaitingRow {
    fn into_waiting(self) -> Result<WaitingRebase, StoreError> {
        let damaged = |what: &str| StoreError::damaged(format!("rebase {} has {what}", self.id));
        Ok(WaitingRebase {
            id: self.id.parse().map_err(|_| damaged("no id"))?,
            repository: self.repository.parse().map_err(|_| damaged("no repository"))?,
            old: blob::parse_digest(&self.old_digest)?,
            new: blob::parse_digest(&self.new_digest)?,
        })
    }
}

/// A rebase that is to be carried out.
#[derive(Debug, Clone)]
pub struct NewRebase {
    /// Where the image lies.
    pub repository: RepoName,
    /// The tag that is to follow.
    pub tag: Tag,
    /// What it names.
    pub old: Digest,
    /// How it is to follow.
    pub how: TagMove,
    /// The plan, JSON.
    pub plan: String,
    /// The repository of the base: its blobs may be linked.
    pub base: RepoName,
    /// Manifests with their digests, children before their index; the last one is what the tag will name.
    pub manifests: Vec<(Digest, Bytes, Manifest)>,
    /// Bytes of the blobs that are new.
    pub blobs: Vec<Bytes>,
}

/// Why a rebase goes no further.
#[derive(Debug, Clone, Error)]
pub enum RebaseError {
    /// No such rebase.
    #[error("there is no such rebase")]
    Unknown,
    /// The tag names something else by now.
    #[error("tag {tag} has moved to {now} meanwhile: plan again")]
    Moved {
        /// Which tag.
        tag: Tag,
        /// What it names; empty for nothing.
        now: String,
    },
    /// Another one of the same tag waits.
    #[error("another rebase of tag {0} waits for its decision")]
    Waiting(Tag),
    /// It stands where this cannot be done.
    #[error("the rebase is {}: {what}", .state.name())]
    State {
        /// Where it stands.
        state: RebaseState,
        /// What cannot be done.
        what: &'static str,
    },
    /// No suffix is free.
    #[error("tag {0} has {MAX_SUFFIX} rebased images already")]
    Suffixes(Tag),
    /// Nothing to write.
    #[error("the plan has no image")]
    Empty,
    /// The registry's rules speak against it.
    #[error(transparent)]
    Put(#[from] PutError),
    /// The tag cannot be deleted.
    #[error(transparent)]
    Delete(#[from] crate::DeleteError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RebaseError {
    /// Whether the store failed, so that trying again may help.
    pub fn is_of_store(&self) -> bool {
        matches!(
            self,
            Self::Store(_) | Self::Put(PutError::Store(_)) | Self::Delete(crate::DeleteError::Store(_))
        )
    }
}

#[derive(FromQueryResult)]
struct Row {
    id: String,
    repository: String,
    tag: String,
    old_digest: String,
    new_digest: String,
    how: String,
    state: String,
    moved: String,
    reason: String,
    plan: String,
    actor: String,
    made_at: i64,
    changed_at: i64,
}

const COLUMNS: &str = "id, repository, tag, old_digest, new_digest, how, state, moved, reason, plan, actor, made_at, changed_at";

impl Row {
    fn into_rebase(self) -> Result<Rebase, StoreError> {
        let damaged = |what: &str| StoreError::damaged(format!("rebase {} has {what}", self.id));
        let word = |text: &str| serde_json::Value::String(text.to_owned());
        Ok(Rebase {
            id: self.id.parse().map_err(|_| damaged("no id"))?,
            repository: self.repository.parse().map_err(|_| damaged("no repository"))?,
            tag: tag::parse(&self.tag)?,
            old: blob::parse_digest(&self.old_digest)?,
            new: blob::parse_digest(&self.new_digest)?,
            how: serde_json::from_value(word(&self.how)).map_err(|_| damaged("no way for its tag"))?,
            state: serde_json::from_value(word(&self.state)).map_err(|_| damaged("no state"))?,
            moved: (!self.moved.is_empty())
                .then(|| tag::parse(&self.moved))
                .transpose()?,
            reason: self.reason,
            plan: self.plan,
            actor: self.actor,
            made_at: Timestamp(self.made_at),
            changed_at: Timestamp(self.changed_at),
        })
    }
}

impl Store {
    /// Stores what a plan makes and writes it into the journal. The same plan again answers the line that there is.
    pub async fn make_rebase(&self, actor: &Actor, new: NewRebase) -> Result<Rebase, RebaseError> {
        let mut claims = Vec::new();
        let mut committed = Vec::new();
        for bytes in &new.blobs {
            let (claim, file) = self.own_blob(bytes.clone()).await?;
            claims.push(claim);
            committed.push(file);
        }
        let bounds = (self.limits().clone(), self.rules(&new.repository));
        let (actor, files) = (actor.clone(), committed.clone());
        let written = self
            .write(move |tx| Box::pin(async move { make(tx, &actor, new, &files, bounds).await }))
            .await;
        let ours = match &written {
            Ok((_, ours)) => ours.as_slice(),
            Err(_) => &[],
        };
        for file in committed.iter().filter(|file| !ours.contains(&file.location)) {
            self.remove_blob_file(*file).await;
        }
        written.map(|(rebase, _)| rebase)
    }

    /// The journal of a repository, newest first.
    pub async fn rebases(&self, repo: &RepoName, limit: usize) -> Result<Vec<Rebase>, StoreError> {
        // Plans are long, and who looks at many wants none.
        let columns = COLUMNS.replace("plan", "'' AS plan");
        let sql = format!("SELECT {columns} FROM rebase WHERE repository = $1 ORDER BY id DESC LIMIT $2");
        let values = [repo.as_str().into(), sql::to_db(limit as u64).into()];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), &sql, values).await?;
        rows.into_iter().map(Row::into_rebase).collect()
    }

    /// What waits for its decision, the oldest first, without its plan: which repository, the id, the old image and the new one.
    pub async fn waiting_rebases(&self, limit: usize) -> Result<Vec<WaitingRebase>, StoreError> {
        let sql = "SELECT id, repository, old_digest, new_digest FROM rebase WHERE state = 'made' ORDER BY id LIMIT $1";
        let rows: Vec<WaitingRow> =
            sql::all(self.inner.db.read(), sql, [sql::to_db(limit as u64).into()]).await?;
        rows.into_iter().map(WaitingRow::into_waiting).collect()
    }

    /// A line of the journal.
    pub async fn rebase(&self, id: Uuid) -> Result<Option<Rebase>, StoreError> {
        find(self.inner.db.read(), id).await
    }

    /// Lets the tag follow a rebase that was decided well, if it still names what it named.
    pub async fn move_rebase(&self, id: Uuid) -> Result<Rebase, RebaseError> {
        let limits = self.limits().clone();
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let rebase = find(tx.sql(), id).await?.ok_or(RebaseError::Unknown)?;
                if rebase.state != RebaseState::Made {
                    let what = "its tag follows once";
                    return Err(RebaseError::State {
                        state: rebase.state,
                        what,
                    });
                }
                let rules = store.rules(&rebase.repository);
                let to = follow(tx, &rebase, (limits, rules)).await?;
                change(
                    tx,
                    &Actor::system("rebase"),
                    rebase,
                    RebaseState::Moved,
                    Some(to),
                    "",
                )
                .await
            })
        })
        .await
    }

    /// Writes down that the tag does not follow, and why. Nothing happens to one that stands elsewhere by now.
    pub async fn refuse_rebase(&self, id: Uuid, reason: &str) -> Result<(), RebaseError> {
        let reason = policy::yaml::one_line(reason, 2_000);
        self.write(move |tx| {
            Box::pin(async move {
                let rebase = find(tx.sql(), id).await?.ok_or(RebaseError::Unknown)?;
                if rebase.state == RebaseState::Made {
                    change(
                        tx,
                        &Actor::system("rebase"),
                        rebase,
                        RebaseState::Refused,
                        None,
                        &reason,
                    )
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Takes the tag back: to what it named before, or off the new image where it got a tag of its own.
    pub async fn undo_rebase(&self, actor: &Actor, id: Uuid) -> Result<Rebase, RebaseError> {
        let limits = self.limits().clone();
        let (store, actor) = (self.clone(), actor.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let rebase = find(tx.sql(), id).await?.ok_or(RebaseError::Unknown)?;
                let rules = store.rules(&rebase.repository);
                match rebase.state {
                    RebaseState::Made => {}
                    RebaseState::Moved => take_back(tx, &actor, &rebase, (limits, rules)).await?,
                    state => {
                        return Err(RebaseError::State {
                            state,
                            what: "there is nothing to undo",
                        });
                    }
                }
                change(tx, &actor, rebase, RebaseState::Undone, None, "").await
            })
        })
        .await
    }
}

async fn find(on: &impl ConnectionTrait, id: Uuid) -> Result<Option<Rebase>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM rebase WHERE id = $1");
    let row: Option<Row> = sql::first(on, &sql, [id.to_string().into()]).await?;
    row.map(Row::into_rebase).transpose()
}

/// One that was made of the same for the same in the same way, and stands: what was moved must be named still.
async fn same(tx: &Tx, new: &NewRebase, digest: &Digest) -> Result<Option<Rebase>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM rebase WHERE repository = $1 AND tag = $2 AND old_digest = $3 AND new_digest = $4 AND how = $5 \
         AND state IN ('made', 'moved') ORDER BY id DESC LIMIT 1"
    );
    let values: [Value; 5] = [
        new.repository.as_str().into(),
        new.tag.as_str().into(),
        new.old.to_string().into(),
        digest.to_string().into(),
        way(new.how).into(),
    ];
    let row: Option<Row> = sql::first(tx.sql(), &sql, values).await?;
    let Some(rebase) = row.map(Row::into_rebase).transpose()? else {
        return Ok(None);
    };
    if let Some(moved) = &rebase.moved
        && named(tx, &rebase.repository, moved).await? != Some(rebase.new)
    {
        return Ok(None);
    }
    Ok(Some(rebase))
}

fn way(how: TagMove) -> &'static str {
    match how {
        TagMove::Suffix => "suffix",
        TagMove::InPlace => "in-place",
    }
}

async fn check_none_waits(tx: &Tx, new: &NewRebase) -> Result<(), RebaseError> {
    let sql = "SELECT COUNT(*) AS number FROM rebase WHERE repository = $1 AND tag = $2 AND state = 'made'";
    let values = [new.repository.as_str().into(), new.tag.as_str().into()];
    let waiting: Option<sql::Number> = sql::first(tx.sql(), sql, values).await?;
    if waiting.is_some_and(|waiting| sql::from_db(waiting.number) >= WAITING_OF_A_TAG) {
        return Err(RebaseError::Waiting(new.tag.clone()));
    }
    Ok(())
}

/// What a tag names.
async fn named(tx: &Tx, repo: &RepoName, name: &Tag) -> Result<Option<Digest>, StoreError> {
    let Some(repository) = repository::find(tx.sql(), repo).await? else {
        return Ok(None);
    };
    let row = tag::find(tx.sql(), repository.id, name).await?;
    row.map(|row| blob::parse_digest(&row.digest)).transpose()
}

async fn check_named(tx: &Tx, repo: &RepoName, name: &Tag, expected: Digest) -> Result<(), RebaseError> {
    let now = named(tx, repo, name).await?;
    if now == Some(expected) {
        return Ok(());
    }
    let now = now.map(|now| now.to_string()).unwrap_or_default();
    Err(RebaseError::Moved {
        tag: name.clone(),
        now,
    })
}

type Bounds = (StoreLimits, Arc<Rules>);

/// Answers also which of the files are those of their blobs.
async fn make(
    tx: &Tx,
    actor: &Actor,
    new: NewRebase,
    files: &[Committed],
    bounds: Bounds,
) -> Result<(Rebase, Vec<Location>), RebaseError> {
    let digest = new.manifests.last().ok_or(RebaseError::Empty)?.0;
    if let Some(rebase) = same(tx, &new, &digest).await? {
        return Ok((rebase, Vec::new()));
    }
    check_none_waits(tx, &new).await?;
    check_named(tx, &new.repository, &new.tag, new.old).await?;
    let ours = link_blobs(tx, &new, files, &bounds.1).await?;
    let base = repository::find(tx.sql(), &new.base).await?;
    let witness = base.map(|base| base.id);
    for (digest, bytes, manifest) in &new.manifests {
        let put = PutManifest {
            digest: *digest,
            bytes: bytes.clone(),
            manifest: manifest.clone(),
            tags: Vec::new(),
            is_refused: false,
        };
        put_made(tx, &new.repository, actor, put, witness, bounds.clone()).await?;
    }
    let rebase = Rebase {
        id: Uuid::now_v7(),
        repository: new.repository,
        tag: new.tag,
        old: new.old,
        new: digest,
        how: new.how,
        state: RebaseState::Made,
        moved: None,
        reason: String::new(),
        plan: new.plan,
        actor: actor.name().to_owned(),
        made_at: tx.now(),
        changed_at: tx.now(),
    };
    insert(tx, &rebase).await?;
    let body = json!({ "id": rebase.id, "tag": rebase.tag.as_str(), "from": rebase.old, "to": rebase.new });
    let subject = blob::subject(&rebase.repository, &rebase.new);
    event::record(tx, actor, EventKind::RebaseMake, &subject, body).await?;
    Ok((rebase, ours))
}

async fn link_blobs(
    tx: &Tx,
    new: &NewRebase,
    files: &[Committed],
    rules: &Rules,
) -> Result<Vec<Location>, RebaseError> {
    let mut repository = repository::find_or_create(tx, &new.repository).await?;
    let mut ours = Vec::new();
    for file in files {
        let (blob, is_ours) = state::adopt(tx, file).await?;
        if is_ours {
            ours.push(file.location);
        }
        link::link(tx, &new.repository, &mut repository, &blob, rules.quota_bytes)
            .await
            .map_err(PutError::from)?;
        job::enqueue_scan(tx, &blob.digest, JobPriority::Push).await?;
    }
    Ok(ours)
}

async fn insert(tx: &Tx, rebase: &Rebase) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO rebase ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    );
    let values: [Value; 13] = [
        rebase.id.to_string().into(),
        rebase.repository.as_str().into(),
        rebase.tag.as_str().into(),
        rebase.old.to_string().into(),
        rebase.new.to_string().into(),
        way(rebase.how).into(),
        rebase.state.name().into(),
        "".into(),
        "".into(),
        rebase.plan.clone().into(),
        rebase.actor.clone().into(),
        rebase.made_at.micros().into(),
        rebase.changed_at.micros().into(),
    ];
    sql::execute(tx.sql(), &sql, values).await.map(drop)
}

async fn change(
    tx: &Tx,
    actor: &Actor,
    rebase: Rebase,
    state: RebaseState,
    moved: Option<Tag>,
    reason: &str,
) -> Result<Rebase, RebaseError> {
    let sql = "UPDATE rebase SET state = $2, moved = $3, reason = $4, changed_at = $5 WHERE id = $1";
    let values: [Value; 5] = [
        rebase.id.to_string().into(),
        state.name().into(),
        moved.as_ref().map_or("", Tag::as_str).into(),
        reason.into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    let kind = match state {
        RebaseState::Moved | RebaseState::Made => EventKind::RebaseMove,
        RebaseState::Refused => EventKind::RebaseRefuse,
        RebaseState::Undone => EventKind::RebaseUndo,
    };
    let body = json!({ "id": rebase.id, "tag": moved.as_ref().map(Tag::as_str), "from": rebase.old, "to": rebase.new, "reason": reason });
    let subject = tag::subject(&rebase.repository, &rebase.tag);
    event::record(tx, actor, kind, &subject, body).await?;
    Ok(Rebase {
        state,
        moved,
        reason: reason.to_owned(),
        changed_at: tx.now(),
        ..rebase
    })
}

/// Sets the tag that the way says. Rules of the repository, immutable tags among them, are asked as of any push.
async fn follow(tx: &Tx, rebase: &Rebase, bounds: Bounds) -> Result<Tag, RebaseError> {
    check_named(tx, &rebase.repository, &rebase.tag, rebase.old).await?;
    let to = match rebase.how {
        TagMove::InPlace => rebase.tag.clone(),
        TagMove::Suffix => free_suffix(tx, rebase).await?,
    };
    set(tx, &Actor::system("rebase"), (rebase, rebase.new), &to, bounds).await?;
    Ok(to)
}

async fn set(
    tx: &Tx,
    actor: &Actor,
    (rebase, digest): (&Rebase, Digest),
    to: &Tag,
    bounds: Bounds,
) -> Result<(), RebaseError> {
    let stored = manifest::load(tx.sql(), &rebase.repository, &digest).await?;
    let stored = stored.ok_or(RebaseError::Moved {
        tag: to.clone(),
        now: String::new(),
    })?;
    let read = Manifest::parse(
        &stored.bytes,
        Some(&stored.media_type),
        &oci::ManifestLimits::default(),
    );
    let read = read.map_err(|error| StoreError::damaged(error.to_string()))?;
    let put = PutManifest {
        digest,
        bytes: stored.bytes.clone(),
        manifest: read,
        tags: vec![to.clone()],
        is_refused: false,
    };
    put_made(tx, &rebase.repository, actor, put, None, bounds).await?;
    Ok(())
}

/// `1.4-p1`, or the next one that nothing has. Of `1.4-p1` it is `1.4-p2`.
async fn free_suffix(tx: &Tx, rebase: &Rebase) -> Result<Tag, RebaseError> {
    let whole = rebase.tag.as_str();
    let stem = match whole.rsplit_once("-p") {
        Some((stem, number)) if !stem.is_empty() && number.parse::<u32>().is_ok() => stem,
        _ => whole,
    };
    let taken = tag::beginning_with(tx, &rebase.repository, &format!("{stem}-p")).await?;
    for number in 1..=MAX_SUFFIX {
        let name = format!("{stem}-p{number}");
        if !taken.contains(&name) {
            return name
                .parse()
                .map_err(|_| RebaseError::Suffixes(rebase.tag.clone()));
        }
    }
    Err(RebaseError::Suffixes(rebase.tag.clone()))
}

async fn take_back(tx: &Tx, actor: &Actor, rebase: &Rebase, bounds: Bounds) -> Result<(), RebaseError> {
    let Some(moved) = &rebase.moved else {
        return Ok(());
    };
    check_named(tx, &rebase.repository, moved, rebase.new).await?;
    match rebase.how {
        TagMove::InPlace => set(tx, actor, (rebase, rebase.old), moved, bounds).await,
        TagMove::Suffix if !bounds.1.deletion => Err(crate::DeleteError::Disabled.into()),
        TagMove::Suffix if bounds.1.is_immutable(moved) => {
            Err(crate::DeleteError::TagImmutable { tag: moved.clone() }.into())
        }
        TagMove::Suffix => tag::remove(tx, &rebase.repository, moved, actor)
            .await
            .map_err(RebaseError::from),
    }
}
