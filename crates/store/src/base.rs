//! Approved bases, and their releases: the images in their repositories.

use std::collections::BTreeMap;

use oci::Tag;
use policy::did_you_mean;
use policy::yaml::one_line;
use road::base::{BaseImage, Bases, Lifecycle, MAX_BASES};
use road::names::BaseName;
use sea_orm::{ConnectionTrait, FromQueryResult};
use time::OffsetDateTime;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::job::{self, JobPriority};
use crate::{Actor, AdminError, Store, StoreError, Timestamp, paving};

pub(crate) mod debt;
pub(crate) mod release;

pub use release::{ImageNote, MAX_RELEASES_OF_A_BASE};

/// Longest architecture or ABI, in bytes.
const MAX_TEXT_BYTES: usize = 80;

/// Most architectures of a base.
const MAX_ARCHITECTURES: usize = 32;

#[derive(FromQueryResult)]
struct RetiredRow {
    name: String,
    retired_at: i64,
}

#[derive(FromQueryResult)]
struct Row {
    name: String,
    body: String,
}

impl Row {
    fn into_base(self) -> Result<BaseImage, StoreError> {
        serde_json::from_str(&self.body)
            .map_err(|error| StoreError::damaged(format!("base {}: {error}", self.name)))
    }
}

impl Store {
    /// All approved bases, by name.
    pub async fn base_entries(&self) -> Result<Vec<BaseImage>, StoreError> {
        all(self.inner.db.read()).await
    }

    /// Approves a base, in place of the one of its name, which is answered. The images in its repository become its releases
    /// at once, as far as they were looked into.
    ///
    /// Refused is what does not go together with other bases ([`AdminError::Invalid`]), and one too many
    /// ([`AdminError::TooMany`]).
    pub async fn set_base(&self, actor: &Actor, base: &BaseImage) -> Result<Option<BaseImage>, AdminError> {
        let (actor, base) = (actor.clone(), base.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let was = put(tx, &actor, &base).await?;
                check_road(tx).await?;
                Ok(was)
            })
        })
        .await
    }

    /// Approves a base no more and forgets its releases. [`AdminError::NotFound`]: there is none of this name.
    pub async fn remove_base(&self, actor: &Actor, name: &BaseName) -> Result<(), AdminError> {
        let (actor, name) = (actor.clone(), name.clone());
        self.write(move |tx| {
            Box::pin(async move {
                remove(tx, &actor, &name).await?;
                check_road(tx).await
            })
        })
        .await
    }
}

/// All of them, by name.
pub(crate) async fn all(on: &impl ConnectionTrait) -> Result<Vec<BaseImage>, StoreError> {
    let rows: Vec<Row> = sql::all(on, "SELECT name, body FROM base_image ORDER BY name", []).await?;
    rows.into_iter().map(Row::into_base).collect()
}

/// Since when bases are retired, by name.
pub(crate) async fn retired(
    on: &impl ConnectionTrait,
) -> Result<BTreeMap<BaseName, OffsetDateTime>, StoreError> {
    let sql = "SELECT name, retired_at FROM base_image WHERE retired_at IS NOT NULL";
    let rows: Vec<RetiredRow> = sql::all(on, sql, []).await?;
    let since = |row: RetiredRow| {
        let name = row.name.parse();
        let name = name.map_err(|_| StoreError::damaged(format!("base {:?}", row.name)))?;
        Ok((name, Timestamp(row.retired_at).to_utc()))
    };
    rows.into_iter().map(since).collect()
}

async fn find(on: &impl ConnectionTrait, name: &BaseName) -> Result<Option<BaseImage>, StoreError> {
    let sql = "SELECT name, body FROM base_image WHERE name = $1";
    let row: Option<Row> = sql::first(on, sql, [name.as_str().into()]).await?;
    row.map(Row::into_base).transpose()
}

/// Sets one; whether all go together is asked by [`check_road`]. One that is as it was changes nothing.
pub(crate) async fn put(tx: &Tx, actor: &Actor, base: &BaseImage) -> Result<Option<BaseImage>, AdminError> {
    check(base)?;
    let was = find(tx.sql(), &base.name).await?;
    if was.as_ref() == Some(base) {
        return Ok(was);
    }
    check_repository(tx, base).await?;
    if was.as_ref().is_none_or(|was| was.signer != base.signer) {
        check_signer(tx, base).await?;
    }
    let body = serde_json::to_value(base).map_err(|error| StoreError::damaged(error.to_string()))?;
    // Since when it is retired does not move with later words about it.
    let sql = "INSERT INTO base_image (name, repository, body, set_at, set_by, retired_at) \
               VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (name) DO UPDATE SET repository = excluded.repository, body = excluded.body, \
               set_at = excluded.set_at, set_by = excluded.set_by, retired_at = CASE \
               WHEN excluded.retired_at IS NULL THEN NULL \
               ELSE COALESCE(base_image.retired_at, excluded.retired_at) END";
    let is_retired = base.lifecycle == Lifecycle::Retired;
    let values = [
        base.name.as_str().into(),
        base.repository.as_str().into(),
        body.to_string().into(),
        tx.now().micros().into(),
        actor.name().into(),
        is_retired.then_some(tx.now().micros()).into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    if was.as_ref().map(|was| &was.repository) != Some(&base.repository) {
        release::forget(tx, &base.name).await?;
        // Whoever judges an image of the repository notes it as a release.
        let images = "WHERE m.kind = 0 AND r.name = $4";
        let repository = Some(base.repository.as_str().into());
        job::enqueue_judgements(tx, images, JobPriority::Asked, repository).await?;
    }
    tx.touch_entries();
    event::record(tx, actor, EventKind::BaseSet, base.name.as_str(), body).await?;
    Ok(was)
}

/// Removes the one of this name; whether the others still go together is asked by [`check_road`].
pub(crate) async fn remove(tx: &Tx, actor: &Actor, name: &BaseName) -> Result<(), AdminError> {
    let was = find(tx.sql(), name).await?.ok_or_else(|| AdminError::NotFound {
        kind: "base",
        name: name.to_string(),
    })?;
    sql::execute(
        tx.sql(),
        "DELETE FROM base_image WHERE name = $1",
        [name.as_str().into()],
    )
    .await?;
    release::forget(tx, name).await?;
    debt::forget(tx, name).await?;
    tx.touch_entries();
    let about = serde_json::to_value(&was).unwrap_or_default();
    event::record(tx, actor, EventKind::BaseRemove, name.as_str(), about).await?;
    Ok(())
}

/// Whether bases and all else on the road go together, in the transaction that changes some of them.
pub(crate) async fn check_road(tx: &Tx) -> Result<(), AdminError> {
    let bases = build(all(tx.sql()).await?)?;
    let entries = paving::all(tx.sql()).await?;
    paving::check_together(&bases, entries.into_iter().map(|stored| stored.entry).collect())
}

/// The bases, if they go together: each with a repository of its own, replaced by what is there and not by itself, not too many.
pub(crate) fn build(bases: Vec<BaseImage>) -> Result<Bases, AdminError> {
    if bases.len() > MAX_BASES {
        return Err(AdminError::TooMany {
            kind: "base",
            limit: MAX_BASES as u64,
        });
    }
    let built = Bases::build(bases);
    built.map_err(|error| AdminError::Invalid {
        reason: error.to_string(),
    })
}

/// Two bases of one repository, said before the database says it.
async fn check_repository(tx: &Tx, base: &BaseImage) -> Result<(), AdminError> {
    let sql = "SELECT name AS text FROM base_image WHERE repository = $1 AND name <> $2";
    let values = [base.repository.as_str().into(), base.name.as_str().into()];
    let other: Option<sql::Text> = sql::first(tx.sql(), sql, values).await?;
    let Some(other) = other else { return Ok(()) };
    Err(AdminError::Invalid {
        reason: format!(
            "bases `{}` and `{}` are both released to `{}`: give each its own repository",
            other.text, base.name, base.repository
        ),
    })
}

/// A signer whom nobody has declared signs nothing that could be verified: no release would ever count.
async fn check_signer(tx: &Tx, base: &BaseImage) -> Result<(), AdminError> {
    let Some(signer) = &base.signer else { return Ok(()) };
    let rows: Vec<sql::Text> =
        sql::all(tx.sql(), "SELECT name AS text FROM signer ORDER BY name", []).await?;
    if rows.iter().any(|row| row.text == *signer) {
        return Ok(());
    }
    let near = did_you_mean(signer, rows.iter().map(|row| row.text.as_str()));
    let hint = if rows.is_empty() {
        ": there is none yet, `roadbed signer add` declares one"
    } else {
        ""
    };
    Err(AdminError::Invalid {
        reason: format!(
            "base {} names the signer `{signer}`, whom nobody has declared{near}{hint}",
            base.name
        ),
    })
}

/// What types do not check.
pub(crate) fn check(base: &BaseImage) -> Result<(), AdminError> {
    let invalid = |reason: String| Err(AdminError::Invalid { reason });
    let name = &base.name;
    if let Err(fault) = base.check_times() {
        return invalid(format!("base {name}: {fault}"));
    }
    if let Some(channel) = base.channels.keys().find(|name| name.parse::<Tag>().is_err()) {
        let channel = channel.escape_debug();
        return invalid(format!(
            "channel `{channel}` of {name} is no tag: write stable or next"
        ));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_signer = |name: &String| (1..=64).contains(&name.len()) && name.bytes().all(is_name);
    if base.signer.as_ref().is_some_and(|signer| !is_signer(signer)) {
        return invalid(format!(
            "the signer of {name} has 1 to 64 of a-z, A-Z, 0-9, -, . and _: write the name of one of `roadbed signer list`"
        ));
    }
    let Some(rebase) = &base.rebase else { return Ok(()) };
    if rebase.arch.len() > MAX_ARCHITECTURES {
        return invalid(format!(
            "{name} lists {} architectures: at most {MAX_ARCHITECTURES} are allowed",
            rebase.arch.len()
        ));
    }
    let mut texts = rebase.abi.iter().chain(&rebase.arch);
    match texts.find(|text| one_line(text, MAX_TEXT_BYTES) != **text) {
        None => Ok(()),
        Some(text) => invalid(format!(
            "`{}` of {name} must be one line of at most {MAX_TEXT_BYTES} bytes",
            one_line(text, MAX_TEXT_BYTES)
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests;
