//! Rebases: images that the registry made of others, and the tags that follow.
//!
//! First the new image is stored beside the old one, in one transaction with the line of the journal that says so; no tag knows of
//! it. When it was looked into and decided, the tag moves, or does not and the journal says why. A kill between any two steps
//! leaves the one before; carrying out the same plan again makes the same image and no second line.

mod follow;
mod found;
mod item;
mod journal;
mod own;
mod patch_key;
mod switch;
mod work;

use std::sync::Arc;

use bytes::Bytes;
use oci::{Digest, Manifest, RepoName, Tag};
use sea_orm::Value;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::blob::{self, link, state};
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::files::{Committed, Location};
use crate::job::{self, JobPriority};
use crate::manifest::put_made;
use crate::{
    Actor, PutError, PutManifest, Rules, Store, StoreError, StoreLimits, Timestamp, repository, tag,
};
use follow::{follow, take_back};
use item::made;
pub use item::{ItemState, MAX_ITEMS, NewRebaseItem, Placed, RebaseItem, RebaseOf, Thawed};
pub(crate) use journal::forget;
use journal::{COLUMNS, Row, WaitingRow, check_named, check_none_waits, find, insert, same};
pub use own::{MadeImage, OwnReferrer, RebasedFrom};
pub(crate) use work::asking;
pub use work::{LET_IN_AGAIN, MAX_WORK, StoredWork, WORK_KEPT};

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
    /// Who asked for it, or approved it: whoever may not push there any more moves no tag.
    pub by: String,
}

/// Whether it speaks against the release that a tag does not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The new image is worse: others do not follow before somebody has looked.
    Release,
    /// Only this tag is concerned.
    Tag,
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
    /// What was made of what: the image, and of an index each image in it that follows.
    pub images: Vec<MadeImage>,
    /// What the registry states of the new image, signed with its own key.
    pub referrers: Vec<OwnReferrer>,
    /// The tag that is to follow by it, of those that follow a base together.
    pub item: Option<RebaseOf>,
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
    /// All rebases are stopped.
    #[error("{by} has stopped all rebases: `roadbed rebase resume` lets them go on")]
    Stopped {
        /// Who stopped them.
        by: String,
    },
    /// What the image was put on does not count any more: this signer, whom the catalogue declares for the base, does not stand for it.
    /// The message is read by whoever may pull the image, and names nobody.
    #[error("what it would go to is not signed any more by whom the catalogue declares for the base")]
    Withdrawn(String),
    /// A tag that is to follow stands where this cannot be done.
    #[error("it is {state}: it cannot be {what}")]
    Item {
        /// Where it stands.
        state: &'static str,
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

impl Store {
    /// Stores what a plan makes and writes it into the journal. The same plan again answers the line that there is.
    pub async fn make_rebase(&self, actor: &Actor, new: NewRebase) -> Result<Rebase, RebaseError> {
        let own = new.referrers.iter().flat_map(|referrer| &referrer.blobs);
        let blobs = new.blobs.iter().chain(own).cloned().collect();
        let bounds = (self.limits().clone(), self.rules(&new.repository));
        let actor = actor.clone();
        self.with_own_blobs(blobs, is_refused, move |tx, files| {
            Box::pin(async move { make(tx, &actor, new, &files, bounds).await })
        })
        .await
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
        let sql = "SELECT r.id, r.repository, r.old_digest, r.new_digest, r.actor, COALESCE(i.approved_by, '') AS approved_by \
                   FROM rebase r LEFT JOIN rebase_item i ON i.rebase = r.id WHERE r.state = 'made' ORDER BY r.id LIMIT $1";
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
                switch::check(tx).await?;
                // The image was made when the release counted; its signature may have been taken back since.
                if let Some(signer) = own::missing_signer(tx, &rebase).await? {
                    return Err(RebaseError::Withdrawn(signer));
                }
                let rules = store.rules(&rebase.repository);
                let to = follow(tx, &rebase, (limits, rules)).await?;
                let actor = Actor::system("rebase");
                change(
                    tx,
                    &actor,
                    rebase,
                    (RebaseState::Moved, Blame::Tag),
                    (Some(to), ""),
                )
                .await
            })
        })
        .await
    }

    /// Writes down that the tag does not follow, and why. Nothing happens to one that stands elsewhere by now.
    pub async fn refuse_rebase(&self, id: Uuid, blame: Blame, reason: &str) -> Result<(), RebaseError> {
        let reason = policy::yaml::one_line(reason, 2_000);
        self.write(move |tx| {
            Box::pin(async move {
                let rebase = find(tx.sql(), id).await?.ok_or(RebaseError::Unknown)?;
                if rebase.state == RebaseState::Made {
                    let actor = Actor::system("rebase");
                    change(tx, &actor, rebase, (RebaseState::Refused, blame), (None, &reason)).await?;
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
                change(tx, &actor, rebase, (RebaseState::Undone, Blame::Tag), (None, "")).await
            })
        })
        .await
    }
}

type Bounds = (StoreLimits, Arc<Rules>);

/// The rules speak against it, so nothing was written.
fn is_refused(error: &RebaseError) -> bool {
    !error.is_of_store()
}

/// Answers also which of the files are those of their blobs.
async fn make(
    tx: &Tx,
    actor: &Actor,
    new: NewRebase,
    files: &[Committed],
    bounds: Bounds,
) -> Result<(Rebase, Vec<Location>), RebaseError> {
    let digest = new.manifests.last().ok_or(RebaseError::Empty)?.0;
    if let Some(of) = &new.item {
        item::check_waits(tx, of.item).await?;
    }
    if let Some(rebase) = same(tx, &new, &digest).await? {
        if let Some(of) = &new.item {
            made(tx, of, rebase.id).await?;
            let state = (rebase.state, false, rebase.reason.as_str());
            item::follow(tx, rebase.id, state).await?;
        }
        return Ok((rebase, Vec::new()));
    }
    switch::check(tx).await?;
    check_none_waits(tx, &new).await?;
    check_named(tx, &new.repository, &new.tag, new.old).await?;
    let mut ours = link_blobs(tx, &new, &files[..new.blobs.len()], &bounds.1).await?;
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
    own::note(tx, &new.repository, &new.images).await?;
    ours.extend(
        own::put(
            tx,
            &new.repository,
            &new.referrers,
            (&files[new.blobs.len()..], bounds),
        )
        .await?,
    );
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
    if let Some(of) = &new.item {
        made(tx, of, rebase.id).await?;
    }
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

async fn change(
    tx: &Tx,
    actor: &Actor,
    rebase: Rebase,
    (state, blame): (RebaseState, Blame),
    (moved, reason): (Option<Tag>, &str),
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
    item::follow(tx, rebase.id, (state, blame == Blame::Release, reason)).await?;
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

#[cfg(test)]
mod tests;
