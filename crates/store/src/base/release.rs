//! Releases of bases, as they were found in their repositories.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Digest, RepoName};
use road::application::Statement;
use road::lineage::{MAX_LAYERS, MAX_RELEASES, Pushed};
use road::names::BaseName;
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;
use time::OffsetDateTime;

use crate::application::words;
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, Store, StoreError, Timestamp, blob};

/// Releases of one base that are known: of more, the oldest are forgotten. Default: the only value. Whoever pushes to one base
/// must not take the place of the releases of all others.
pub const MAX_RELEASES_OF_A_BASE: usize = 5_000;

/// Names of releases, and indexes that hold them, that are read for all bases together.
const MAX_NAMES: u64 = 1_000_000;

/// What was learned about an image while it was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageNote {
    /// `linux/amd64`.
    pub platform: String,
    /// Its layers from the bottom up, by what was computed of them; empty where one of them could not be read.
    pub diff_ids: Vec<Digest>,
    /// What it says about its application.
    pub words: Option<Statement>,
    /// The trusted signers of it.
    pub signed_by: Vec<String>,
    /// When it was made, by its configuration; 1970 where that does not say.
    pub made_at: OffsetDateTime,
}

#[derive(FromQueryResult)]
struct ReleaseRow {
    base: String,
    digest: String,
    platform: String,
    diff_ids: String,
    released_at: i64,
    signed_by: String,
    made_at: Option<i64>,
}

#[derive(FromQueryResult)]
struct NameRow {
    base: String,
    name: String,
    digest: String,
}

#[derive(FromQueryResult)]
struct ManifestRow {
    id: i64,
    repository_id: i64,
    pushed_at: i64,
}

impl Store {
    /// Keeps what matters of it: an image in the repository of a base is a release, and what an image says of its application
    /// counts where nobody else says anything. What is known already is only looked up.
    pub async fn note_image(
        &self,
        repo: &RepoName,
        digest: &Digest,
        note: ImageNote,
    ) -> Result<(), StoreError> {
        let on = self.inner.db.read();
        let is_release = match base_of(on, repo).await? {
            Some(base) => is_usable(&note) && known(on, &base, digest).await? != Some(kept(&note)),
            None => false,
        };
        let is_news = match &note.words {
            Some(said) => words::is_news(on, repo, said).await?,
            None => false,
        };
        if !is_release && !is_news {
            return Ok(());
        }
        let (repo, digest) = (repo.clone(), *digest);
        self.write(move |tx| Box::pin(async move { keep(tx, &repo, &digest, &note).await }))
            .await
    }
}

fn is_usable(note: &ImageNote) -> bool {
    (1..=MAX_LAYERS).contains(&note.diff_ids.len())
}

/// What is kept of it.
fn kept(note: &ImageNote) -> KnownRow {
    let ids: Vec<String> = note.diff_ids.iter().map(Digest::to_string).collect();
    let made_at = note.made_at.unix_timestamp_nanos() / 1_000;
    KnownRow {
        diff_ids: ids.join(" "),
        signed_by: note.signed_by.join(" "),
        made_at: Some(i64::try_from(made_at).unwrap_or_default()),
    }
}

/// The base that is released to a repository.
pub(crate) async fn base_of(
    on: &impl ConnectionTrait,
    repo: &RepoName,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT name AS text FROM base_image WHERE repository = $1";
    let row: Option<sql::Text> = sql::first(on, sql, [repo.as_str().into()]).await?;
    Ok(row.map(|row| row.text))
}

/// What releases of a base are called, or which index names them, has changed, if the repository is that of a base.
pub(crate) async fn names_changed(tx: &Tx, repo: &RepoName) -> Result<(), StoreError> {
    if base_of(tx.sql(), repo).await?.is_some() {
        tx.touch_entries();
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
struct KnownRow {
    diff_ids: String,
    signed_by: String,
    made_at: Option<i64>,
}

async fn known(
    on: &impl ConnectionTrait,
    base: &str,
    digest: &Digest,
) -> Result<Option<KnownRow>, StoreError> {
    let sql = "SELECT diff_ids, signed_by, made_at FROM base_release WHERE base = $1 AND digest = $2";
    sql::first(on, sql, [base.into(), digest.to_string().into()]).await
}

/// Whether releases (digests, separated by spaces; one at least) are those of a base by the word of its declared signer.
pub(crate) async fn are_signed(
    on: &impl ConnectionTrait,
    base: &str,
    releases: &str,
) -> Result<bool, StoreError> {
    let Some(signer) = declared(on, base).await?.and_then(|entry| entry.signer) else {
        return Ok(false);
    };
    for release in releases.split_whitespace() {
        let release = known(on, base, &blob::parse_digest(release)?).await?;
        let by = release.map(|release| release.signed_by).unwrap_or_default();
        if !by.split_whitespace().any(|name| name == signer) {
            return Ok(false);
        }
    }
    Ok(!releases.is_empty())
}

/// A base as the catalogue has it.
pub(crate) async fn declared(
    on: &impl ConnectionTrait,
    base: &str,
) -> Result<Option<road::base::BaseImage>, StoreError> {
    let sql = "SELECT body AS text FROM base_image WHERE name = $1";
    let row = sql::first::<sql::Text, 1>(on, sql, [base.into()]).await?;
    let entry = row.map(|row| serde_json::from_str(&row.text)).transpose();
    entry.map_err(|error| StoreError::damaged(format!("base {base}: {error}")))
}

async fn keep(tx: &Tx, repo: &RepoName, digest: &Digest, note: &ImageNote) -> Result<(), StoreError> {
    let sql = "SELECT m.id, m.repository_id, m.pushed_at FROM manifest m \
               JOIN repository r ON r.id = m.repository_id WHERE r.name = $1 AND m.digest = $2";
    let values = [repo.as_str().into(), digest.to_string().into()];
    // It may have been deleted meanwhile.
    let Some(manifest) = sql::first::<ManifestRow, 2>(tx.sql(), sql, values).await? else {
        return Ok(());
    };
    if let Some(said) = &note.words {
        words::keep(tx, (manifest.repository_id, manifest.id), digest, said).await?;
    }
    let Some(base) = base_of(tx.sql(), repo).await?.filter(|_| is_usable(note)) else {
        return Ok(());
    };
    let row = kept(note);
    if known(tx.sql(), &base, digest).await?.as_ref() == Some(&row) {
        return Ok(());
    }
    let sql = "INSERT INTO base_release (base, digest, platform, diff_ids, released_at, signed_by, made_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) \
               ON CONFLICT (base, digest) DO UPDATE SET platform = excluded.platform, diff_ids = excluded.diff_ids, \
               signed_by = excluded.signed_by, made_at = excluded.made_at";
    let values = [
        base.as_str().into(),
        digest.to_string().into(),
        note.platform.as_str().into(),
        row.diff_ids.into(),
        manifest.pushed_at.into(),
        row.signed_by.into(),
        row.made_at.into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    forget_oldest(tx, &base).await?;
    tx.touch_entries();
    let (actor, subject) = (Actor::system("judge"), blob::subject(repo, digest));
    let mut about = json!({ "base": base, "platform": note.platform, "layers": note.diff_ids.len(), "signed_by": note.signed_by });
    // It is told why nothing follows to it.
    if let Some(why) = why_not(tx, &base, digest, (note, manifest.pushed_at)).await? {
        about["moves_nothing"] = why.into();
    }
    event::record(tx, &actor, EventKind::BaseRelease, &subject, about).await
}

#[derive(FromQueryResult)]
struct OtherRow {
    base: String,
    digest: String,
    signed_by: String,
}

/// Why images do not follow to a release, which was pushed then.
async fn why_not(
    tx: &Tx,
    base: &str,
    digest: &Digest,
    (note, pushed_at): (&ImageNote, i64),
) -> Result<Option<String>, StoreError> {
    let Some(entry) = declared(tx.sql(), base).await? else {
        return Ok(None);
    };
    let signer = entry.signer.as_ref();
    if let Some(signer) = signer.filter(|signer| !note.signed_by.contains(signer)) {
        return Ok(Some(format!(
            "it is not signed by {signer}, whom the catalogue declares for base {base}"
        )));
    }
    // The same digest in other bases: layers alone would have all releases read.
    let sql = "SELECT o.base, o.digest, o.signed_by FROM base_image b JOIN base_release o ON o.base = b.name \
               WHERE o.digest = $1 AND b.name <> $2 AND o.released_at < $3 ORDER BY o.released_at LIMIT 1";
    let values = [digest.to_string().into(), base.into(), pushed_at.into()];
    if let Some(first) = sql::first::<OtherRow, 3>(tx.sql(), sql, values).await? {
        let of = first.base;
        let declares = |entry: road::base::BaseImage| entry.signer.is_some();
        let is_open = signer.is_none() && !declared(tx.sql(), &of).await?.is_some_and(declares);
        if is_open || are_signed(tx.sql(), &of, &first.digest).await? {
            return Ok(Some(format!(
                "base {of} had it first: a copy is no release of base {base}"
            )));
        }
    }
    if entry.channels.values().any(|channel| channel == digest) {
        return Ok(None);
    }
    let sql = "SELECT base, digest, signed_by FROM base_release WHERE base = $1 AND platform = $2 AND digest <> $3 \
               AND released_at <= $4 AND made_at > $5 ORDER BY made_at DESC LIMIT $6";
    let values = [
        base.into(),
        note.platform.as_str().into(),
        digest.to_string().into(),
        pushed_at.into(),
        kept(note).made_at.into(),
        sql::to_db(MAX_RELEASES_OF_A_BASE as u64).into(),
    ];
    let newer: Vec<OtherRow> = sql::all(tx.sql(), sql, values).await?;
    let counts = |other: &&OtherRow| {
        let mut by = other.signed_by.split_whitespace();
        signer.is_none_or(|signer| by.any(|name| name == signer))
    };
    Ok(newer.iter().find(counts).map(|other| {
        let (made, than) = (note.made_at, &other.digest);
        format!(
            "it was made at {made}, before release {than} that counts: let a channel name it if it is meant"
        )
    }))
}

/// Keeps the newest of them.
async fn forget_oldest(tx: &Tx, base: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM base_release WHERE base = $1 AND digest IN (SELECT digest FROM base_release \
               WHERE base = $1 ORDER BY released_at DESC, digest LIMIT 1000 OFFSET $2)";
    let limit = sql::to_db(MAX_RELEASES_OF_A_BASE as u64);
    sql::execute(tx.sql(), sql, [base.into(), limit.into()])
        .await
        .map(drop)
}

/// Forgets the releases of a base.
pub(crate) async fn forget(tx: &Tx, base: &BaseName) -> Result<(), StoreError> {
    let sql = "DELETE FROM base_release WHERE base = $1";
    sql::execute(tx.sql(), sql, [base.as_str().into()])
        .await
        .map(drop)
}

/// All releases of all bases, at most as many as can be known at a time: the newest.
pub(crate) async fn all(on: &impl ConnectionTrait) -> Result<Vec<Pushed>, StoreError> {
    let sql = "SELECT base, digest, platform, diff_ids, released_at, signed_by, made_at FROM base_release \
               ORDER BY released_at DESC, digest LIMIT $1";
    let rows: Vec<ReleaseRow> = sql::all(on, sql, [sql::to_db(MAX_RELEASES as u64).into()]).await?;
    let (tags, holders) = (tags(on).await?, holders(on).await?);
    let pushed = |row: ReleaseRow| {
        let digest = blob::parse_digest(&row.digest)?;
        let key = (row.base, row.digest);
        let known_as = holders.get(&key).cloned().unwrap_or_default();
        let own = tags.get(&key).into_iter().flatten();
        let of_indexes = known_as
            .iter()
            .filter_map(|index| tags.get(&(key.0.clone(), index.to_string())));
        let version = version(own.chain(of_indexes.flatten())).map_or_else(|| short(&key.1), str::to_owned);
        let diff_ids = row.diff_ids.split(' ').map(blob::parse_digest);
        Ok(Pushed {
            base: key
                .0
                .parse()
                .map_err(|_| StoreError::damaged(format!("base {}", key.0)))?,
            digest,
            known_as,
            version,
            platform: row.platform,
            diff_ids: diff_ids.collect::<Result<_, _>>()?,
            at: moment(row.released_at),
            made_at: row.made_at.map(moment),
            signed_by: row.signed_by.split_whitespace().map(str::to_owned).collect(),
        })
    };
    rows.into_iter().map(pushed).collect()
}

/// The tags of manifests in repositories of bases, by base and digest.
async fn tags(on: &impl ConnectionTrait) -> Result<BTreeMap<(String, String), BTreeSet<String>>, StoreError> {
    let sql = "SELECT b.name AS base, t.name AS name, m.digest AS digest FROM base_image b \
               JOIN repository r ON r.name = b.repository JOIN tag t ON t.repository_id = r.id \
               JOIN manifest m ON m.id = t.manifest_id LIMIT $1";
    let mut tags: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for row in sql::all::<NameRow>(on, sql, [sql::to_db(MAX_NAMES).into()]).await? {
        tags.entry((row.base, row.digest)).or_default().insert(row.name);
    }
    Ok(tags)
}

/// The indexes that name manifests in repositories of bases, by base and digest of what they name.
async fn holders(on: &impl ConnectionTrait) -> Result<BTreeMap<(String, String), Vec<Digest>>, StoreError> {
    let sql = "SELECT b.name AS base, m.digest AS name, x.digest AS digest FROM base_image b \
               JOIN repository r ON r.name = b.repository JOIN manifest m ON m.repository_id = r.id AND m.kind = 1 \
               JOIN manifest_reference x ON x.manifest_id = m.id AND x.kind = 1 LIMIT $1";
    let mut holders: BTreeMap<_, Vec<Digest>> = BTreeMap::new();
    for row in sql::all::<NameRow>(on, sql, [sql::to_db(MAX_NAMES).into()]).await? {
        let index = blob::parse_digest(&row.name)?;
        holders.entry((row.base, row.digest)).or_default().push(index);
    }
    Ok(holders)
}

/// What a release is called: by the longest of its tags that has a digit, since `17.0.9` says more than `stable`.
fn version<'t>(tags: impl Iterator<Item = &'t String>) -> Option<&'t str> {
    let weight = |tag: &&String| (tag.bytes().any(|b| b.is_ascii_digit()), tag.len(), (*tag).clone());
    tags.max_by_key(weight).map(String::as_str)
}

fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

fn moment(micros: i64) -> OffsetDateTime {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(Timestamp(micros).micros()) * 1_000);
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
