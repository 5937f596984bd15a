//! Sinks, as administrators declare them, and their secrets, which are handed out to whoever tells them and to nobody else.

use std::fmt;
use std::time::Duration;

use access::SecretString;
use road::sink::{MAX_SINKS, SinkKind, SinkSpec};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, AdminError, Store, StoreError, Timestamp};

/// A sink as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSink {
    /// As it was declared.
    pub spec: SinkSpec,
    /// Whether it has a secret.
    pub has_secret: bool,
    /// Until when the secret before signs as well.
    pub old_secret_until: Option<Timestamp>,
    /// The last event of the audit log before there was this sink.
    pub since: i64,
    /// Deliveries for which there was no room.
    pub dropped: u64,
    /// When it was last set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
}

/// What becomes of a sink's secret when it is set.
#[derive(Debug, Clone)]
pub enum SecretChange {
    /// It stays as it is; a new sink has none.
    Keep,
    /// This one takes its place; the one before signs as well for a while.
    Set(SecretString, Duration),
    /// There is none any more.
    Remove,
}

/// A sink's secrets, for whoever tells it.
#[derive(Clone, Default)]
pub struct SinkSecrets {
    /// The present one.
    pub present: Option<SecretString>,
    /// The one before, while it counts.
    pub old: Option<SecretString>,
}

impl fmt::Debug for SinkSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SinkSecrets")
    }
}

#[derive(FromQueryResult)]
struct Row {
    name: String,
    body: String,
    has_secret: i64,
    old_until: Option<i64>,
    since: i64,
    dropped: i64,
    set_at: i64,
    set_by: String,
}

#[derive(FromQueryResult)]
struct SecretRow {
    secret: Option<String>,
    old_secret: Option<String>,
    old_until: Option<i64>,
}

const SELECT: &str = "SELECT name, body, CASE WHEN secret IS NULL THEN 0 ELSE 1 END AS has_secret, old_until, since, dropped, \
                      set_at, set_by FROM sink";

impl Row {
    fn into_sink(self) -> Result<StoredSink, StoreError> {
        let spec = serde_json::from_str(&self.body)
            .map_err(|error| StoreError::damaged(format!("sink {}: {error}", self.name)))?;
        Ok(StoredSink {
            spec,
            has_secret: self.has_secret != 0,
            old_secret_until: self.old_until.map(Timestamp),
            since: self.since,
            dropped: sql::from_db(self.dropped),
            set_at: Timestamp(self.set_at),
            set_by: self.set_by,
        })
    }
}

impl Store {
    /// All sinks, in the order of their names.
    pub async fn sinks(&self) -> Result<Vec<StoredSink>, StoreError> {
        all(self.inner.db.read()).await
    }

    /// The sink of this name.
    pub async fn sink(&self, name: &str) -> Result<Option<StoredSink>, StoreError> {
        find(self.inner.db.read(), name).await
    }

    /// The secrets of the sink of this name.
    pub async fn sink_secrets(&self, name: &str) -> Result<SinkSecrets, StoreError> {
        let found = secrets(self.inner.db.read(), name).await?;
        let Some(row) = found else {
            return Ok(SinkSecrets::default());
        };
        let counts = row.old_until.is_some_and(|until| Timestamp(until) > self.now());
        Ok(SinkSecrets {
            present: row.secret.map(SecretString::from),
            old: row.old_secret.filter(|_| counts).map(SecretString::from),
        })
    }

    /// Sets a sink, in place of the one of its name, which is answered. It is told what happens from now on.
    ///
    /// Refused is what could not be told ([`AdminError::Invalid`]), and one too many ([`AdminError::TooMany`]).
    pub async fn set_sink(
        &self,
        actor: &Actor,
        spec: &SinkSpec,
        secret: SecretChange,
    ) -> Result<Option<StoredSink>, AdminError> {
        let (actor, spec) = (actor.clone(), spec.clone());
        self.write(move |tx| Box::pin(async move { set(tx, &actor, &spec, secret).await }))
            .await
    }

    /// Removes a sink with all that it was and is to be told. [`AdminError::NotFound`]: there is none of this name.
    pub async fn remove_sink(&self, actor: &Actor, name: &str) -> Result<(), AdminError> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.write(move |tx| Box::pin(async move { remove(tx, &actor, &name).await }))
            .await
    }
}

/// All of them, by name.
pub(crate) async fn all(on: &impl ConnectionTrait) -> Result<Vec<StoredSink>, StoreError> {
    let rows: Vec<Row> = sql::all(on, &format!("{SELECT} ORDER BY name"), []).await?;
    rows.into_iter().map(Row::into_sink).collect()
}

pub(crate) async fn find(on: &impl ConnectionTrait, name: &str) -> Result<Option<StoredSink>, StoreError> {
    let row: Option<Row> = sql::first(on, &format!("{SELECT} WHERE name = $1"), [name.into()]).await?;
    row.map(Row::into_sink).transpose()
}

async fn secrets(on: &impl ConnectionTrait, name: &str) -> Result<Option<SecretRow>, StoreError> {
    let sql = "SELECT secret, old_secret, old_until FROM sink WHERE name = $1";
    sql::first(on, sql, [name.into()]).await
}

/// Sets one. One that is as it was changes nothing.
pub(crate) async fn set(
    tx: &Tx,
    actor: &Actor,
    spec: &SinkSpec,
    secret: SecretChange,
) -> Result<Option<StoredSink>, AdminError> {
    spec.check().map_err(|error| AdminError::Invalid {
        reason: format!("sink {}: {error}", spec.name),
    })?;
    let name = spec.name.as_str();
    let was = find(tx.sql(), name).await?;
    if matches!(secret, SecretChange::Keep) && was.as_ref().is_some_and(|was| was.spec == *spec) {
        return Ok(was);
    }
    if matches!(secret, SecretChange::Keep) {
        check_kept(spec, was.as_ref())?;
    }
    check_room(tx, name).await?;
    let before = secrets(tx.sql(), name).await?;
    let old = before.as_ref().and_then(|row| row.secret.clone());
    let has_new = !matches!(secret, SecretChange::Keep);
    let (present, old, until) = match secret {
        SecretChange::Keep => before.map_or((None, None, None), |row| {
            (row.secret, row.old_secret, row.old_until)
        }),
        SecretChange::Remove => (None, None, None),
        // The same again is no other one.
        SecretChange::Set(new, _) if old.as_deref() == Some(new.expose()) => before
            .map_or((None, None, None), |row| {
                (row.secret, row.old_secret, row.old_until)
            }),
        SecretChange::Set(new, keep) if keep.is_zero() => (Some(new.expose().to_owned()), None, None),
        SecretChange::Set(new, keep) => {
            let until = old.as_ref().map(|_| tx.now().plus(keep).micros());
            (Some(new.expose().to_owned()), old, until)
        }
    };
    let body = serde_json::to_string(spec).map_err(|error| StoreError::damaged(error.to_string()))?;
    let sql = "INSERT INTO sink (name, body, secret, old_secret, old_until, since, dropped, set_at, set_by) \
               VALUES ($1, $2, $3, $4, $5, (SELECT COALESCE(MAX(seq), 0) FROM event), 0, $6, $7) \
               ON CONFLICT (name) DO UPDATE SET body = excluded.body, secret = excluded.secret, \
               old_secret = excluded.old_secret, old_until = excluded.old_until, set_at = excluded.set_at, \
               set_by = excluded.set_by";
    let values = [
        name.into(),
        body.into(),
        present.into(),
        old.into(),
        until.into(),
        tx.now().micros().into(),
        actor.name().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    event::record(tx, actor, EventKind::SinkSet, name, about(spec, has_new)).await?;
    Ok(was)
}

/// A secret that is sent to where a sink is was given for that place: whoever names another one must know it.
fn check_kept(spec: &SinkSpec, was: Option<&StoredSink>) -> Result<(), AdminError> {
    let Some(was) = was.filter(|was| was.has_secret) else {
        return Ok(());
    };
    let is_sent = spec.kind != SinkKind::Webhook;
    let is_other = was.spec.kind != spec.kind
        || is_sent
            && (origin(&was.spec.target) != origin(&spec.target) || was.spec.plain_text != spec.plain_text);
    if is_other {
        return Err(AdminError::Invalid {
            reason: format!(
                "sink {}: it is another place now, so give its secret again",
                spec.name
            ),
        });
    }
    Ok(())
}

/// Scheme and authority of a target.
fn origin(target: &str) -> String {
    let (scheme, rest) = target.split_once("://").unwrap_or(("", target));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{authority}")
}

async fn check_room(tx: &Tx, name: &str) -> Result<(), AdminError> {
    let sql = "SELECT COUNT(*) AS number FROM sink WHERE name <> $1";
    let others: Option<sql::Number> = sql::first(tx.sql(), sql, [name.into()]).await?;
    if others.is_some_and(|others| sql::from_db(others.number) >= MAX_SINKS as u64) {
        return Err(AdminError::TooMany {
            kind: "sink",
            limit: MAX_SINKS as u64,
        });
    }
    Ok(())
}

/// Removes the one of this name, and what belongs to it.
pub(crate) async fn remove(tx: &Tx, actor: &Actor, name: &str) -> Result<(), AdminError> {
    let was = find(tx.sql(), name).await?.ok_or_else(|| AdminError::NotFound {
        kind: "sink",
        name: name.to_owned(),
    })?;
    for sql in [
        "DELETE FROM sink WHERE name = $1",
        "DELETE FROM delivery WHERE sink = $1",
        "DELETE FROM told WHERE sink = $1",
        "DELETE FROM ticket WHERE sink = $1",
    ] {
        sql::execute(tx.sql(), sql, [name.into()]).await?;
    }
    event::record(tx, actor, EventKind::SinkRemove, name, about(&was.spec, false)).await?;
    Ok(())
}

/// A sink as events tell it. Paths and queries of targets may be secrets of their own.
fn about(spec: &SinkSpec, has_new_secret: bool) -> serde_json::Value {
    let mut about = serde_json::to_value(spec).unwrap_or_default();
    about["target"] = origin(&spec.target).into();
    about["secret_changed"] = has_new_secret.into();
    about
}

#[cfg(test)]
mod tests;
