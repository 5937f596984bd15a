//! Tags that were found to stand on another release than they could, and which of a repository's tags are looked at at all.

use std::collections::{BTreeMap, HashSet};

use oci::{Digest, RepoName, Tag};
use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;

use super::follow::stem;
use super::{LET_IN_AGAIN, MAX_ITEMS, NewRebaseItem, WORK_KEPT};
use crate::base::release::are_signed;
use crate::db::{Tx, sql};
use crate::{Store, StoreError, Timestamp, blob, tag};

#[derive(FromQueryResult)]
struct TagRow {
    tag: String,
    digest: String,
}

/// What was made of what, and which tag names it.
#[derive(Debug, FromQueryResult)]
struct MadeRow {
    tag: String,
    old_digest: String,
    new_digest: String,
    state: String,
    moved: String,
}

impl Store {
    /// Notes tags that are to follow; what is known already stays as it is, but for what could not follow and is to be planned again:
    /// because its work was closed since or is forgotten, or because its repository did not take the new image [a while
    /// ago](LET_IN_AGAIN). Answers how many are to be planned. What somebody approved for an earlier release and has not
    /// begun is approved for this one too, if the base's declared signer has signed it.
    pub async fn add_rebase_items(&self, items: Vec<NewRebaseItem>) -> Result<u64, StoreError> {
        if items.is_empty() {
            return Ok(0);
        }
        self.write(move |tx| Box::pin(async move { add(tx, &items).await }))
            .await
    }

    /// When the first of the tags whose repositories did not take the new image is to be tried again.
    pub async fn next_let_in(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT settled_at AS number FROM rebase_item WHERE state = 'impossible' AND class IN ('A', 'B') \
                   ORDER BY settled_at LIMIT 1";
        let first: Option<sql::Number> = sql::first(self.inner.db.read(), sql, []).await?;
        Ok(first.map(|first| Timestamp(first.number).plus(LET_IN_AGAIN)))
    }

    /// The tags of a repository with what they name, without those in whose place a rebased one is (`1.4` where there is `1.4-p1`, or
    /// `1.4-p2` that was made of it).
    pub async fn tags_to_follow(&self, repo: &RepoName) -> Result<Vec<(Tag, Digest)>, StoreError> {
        let sql = "SELECT t.name AS tag, m.digest FROM tag t JOIN repository r ON r.id = t.repository_id \
                   JOIN manifest m ON m.id = t.manifest_id WHERE r.name = $1 ORDER BY t.name LIMIT $2";
        let values: [Value; 2] = [repo.as_str().into(), sql::to_db(MAX_ITEMS as u64).into()];
        let tags: Vec<TagRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let sql = "SELECT tag, old_digest, new_digest, state, moved FROM rebase \
                   WHERE repository = $1 AND state IN ('moved', 'undone')";
        let made: Vec<MadeRow> = sql::all(self.inner.db.read(), sql, [repo.as_str().into()]).await?;
        let replaced = replaced(&tags, &made);
        let follow = tags.iter().filter(|row| !replaced.contains(row.tag.as_str()));
        follow
            .map(|row| Ok((tag::parse(&row.tag)?, blob::parse_digest(&row.digest)?)))
            .collect()
    }
}

/// Tags in whose place another one is: one that names what was made of their image, in however many steps. A step that was taken
/// back still leads to the next one: both would be rebased otherwise.
fn replaced<'t>(tags: &'t [TagRow], made: &[MadeRow]) -> HashSet<&'t str> {
    let there: HashSet<&str> = tags.iter().map(|row| row.tag.as_str()).collect();
    let mut made_of: BTreeMap<(&str, &str), Vec<&MadeRow>> = BTreeMap::new();
    for row in made {
        made_of
            .entry((stem(&row.tag), &row.old_digest))
            .or_default()
            .push(row);
    }
    let is_replaced = |row: &TagRow| {
        let of = stem(&row.tag);
        let (mut seen, mut left) = (HashSet::new(), vec![row.digest.as_str()]);
        while let Some(digest) = left.pop() {
            for step in made_of.get(&(of, digest)).into_iter().flatten() {
                let is_of_tag = digest != row.digest || step.tag == row.tag;
                if !is_of_tag || !seen.insert(step.new_digest.as_str()) {
                    continue;
                }
                if step.state == "moved" && step.moved != row.tag && there.contains(step.moved.as_str()) {
                    return true;
                }
                left.push(&step.new_digest);
            }
        }
        false
    };
    let replaced = tags.iter().filter(|row| is_replaced(row));
    replaced.map(|row| row.tag.as_str()).collect()
}

/// Which of the tags that cannot follow are to be planned again. `$10`: what was shut out until then is tried again. `$11`: work that
/// was closed before then may be forgotten, and its tag may stand again where it stood.
const AGAIN: &str = "rebase_item.state = 'impossible' AND ((rebase_item.class IN ('A', 'B') AND rebase_item.settled_at <= $10) \
                     OR EXISTS (SELECT 1 FROM road_work w WHERE w.repository = rebase_item.repository AND w.tag = rebase_item.tag \
                     AND w.base = rebase_item.base AND w.release_digest = rebase_item.new_release AND w.state <> 'open' \
                     AND w.closed_at >= rebase_item.settled_at) \
                     OR (rebase_item.settled_at <= $11 AND NOT EXISTS (SELECT 1 FROM road_work w \
                     WHERE w.repository = rebase_item.repository AND w.tag = rebase_item.tag AND w.base = rebase_item.base \
                     AND w.release_digest = rebase_item.new_release)))";

async fn add(tx: &Tx, items: &[NewRebaseItem]) -> Result<u64, StoreError> {
    let sql = format!(
        "INSERT INTO rebase_item (id, base, repository, tag, old_digest, old_release, new_release, state, class, reason, \
         rebase, approved_by, created_at, started_at, settled_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'new', '', '', '', $9, $8, 0, 0) \
         ON CONFLICT (repository, tag, old_digest, old_release, new_release) DO UPDATE SET state = 'new', settled_at = 0, \
         created_at = excluded.created_at WHERE {AGAIN}"
    );
    let (mut new, mut signed) = (0, BTreeMap::new());
    for item in items {
        let release = (item.base.as_str(), item.new_release);
        let is_signed = match signed.get(&release) {
            Some(is_signed) => *is_signed,
            None => are_signed(tx.sql(), release.0, &release.1.to_string()).await?,
        };
        signed.insert(release, is_signed);
        let approved_by = if is_signed {
            approved(tx, item).await?
        } else {
            String::new()
        };
        let values: [Value; 11] = [
            Uuid::now_v7().to_string().into(),
            item.base.as_str().into(),
            item.repository.as_str().into(),
            item.tag.as_str().into(),
            item.old.to_string().into(),
            item.old_release.to_string().into(),
            item.new_release.to_string().into(),
            tx.now().micros().into(),
            approved_by.into(),
            tx.now().minus(LET_IN_AGAIN).micros().into(),
            tx.now().minus(WORK_KEPT).micros().into(),
        ];
        new += sql::execute(tx.sql(), &sql, values).await?;
    }
    Ok(new)
}

/// Who approved that the image of the tag follows the base to an earlier release, which has not begun. The last word counts: an
/// approval that somebody followed by a "no" is none. What was left out before it was planned (it has no class) says nothing.
async fn approved(tx: &Tx, item: &NewRebaseItem) -> Result<String, StoreError> {
    let sql = "SELECT CASE WHEN started_at = 0 AND state IN ('waiting', 'left-out') THEN approved_by ELSE '' END AS text \
               FROM rebase_item WHERE repository = $1 AND tag = $2 AND old_digest = $3 AND base = $4 \
               AND state <> 'new' AND (state <> 'left-out' OR class <> '') ORDER BY id DESC LIMIT 1";
    let values: [Value; 4] = [
        item.repository.as_str().into(),
        item.tag.as_str().into(),
        item.old.to_string().into(),
        item.base.as_str().into(),
    ];
    let row: Option<sql::Text> = sql::first(tx.sql(), sql, values).await?;
    Ok(row.map(|row| row.text).unwrap_or_default())
}
