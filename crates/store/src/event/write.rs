//! How an event is written: in the transaction that causes it.

use sea_orm::Value;

use super::EventKind;
use crate::db::{Tx, sql};
use crate::{Actor, StoreError};

/// Writes an event in the transaction that causes it.
pub(crate) async fn record(
    tx: &Tx,
    actor: &Actor,
    kind: EventKind,
    subject: &str,
    body: serde_json::Value,
) -> Result<(), StoreError> {
    insert(tx, actor, kind, subject, None, body).await
}

/// The same for what a rule decided.
pub(crate) async fn record_ruled(
    tx: &Tx,
    actor: &Actor,
    kind: EventKind,
    subject: &str,
    rule_version: &str,
    body: serde_json::Value,
) -> Result<(), StoreError> {
    insert(tx, actor, kind, subject, Some(rule_version), body).await
}

/// The same for many of one kind: subject, rule, body. A statement takes some hundreds.
pub(crate) async fn record_all_ruled<'a>(
    tx: &Tx,
    actor: &Actor,
    kind: EventKind,
    events: impl ExactSizeIterator<Item = (&'a str, &'a str, &'a serde_json::Value)>,
) -> Result<(), StoreError> {
    if events.len() == 0 {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO event (at, kind, subject, actor, cause, rule_version, body) VALUES {}",
        sql::tuples(events.len(), 7)
    );
    let (at, kind) = (tx.now().micros(), kind.name());
    let row = |(subject, rule, body): (&str, &str, &serde_json::Value)| -> [Value; 7] {
        [
            at.into(),
            kind.clone().into(),
            subject.into(),
            actor.name().into(),
            actor.cause().into(),
            Some(rule.to_owned()).into(),
            body.to_string().into(),
        ]
    };
    sql::execute_list(tx.sql(), &sql, events.flat_map(row))
        .await
        .map(drop)
}

/// The same, and answers its position.
pub(crate) async fn record_numbered(
    tx: &Tx,
    actor: &Actor,
    kind: EventKind,
    subject: &str,
    body: serde_json::Value,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO event (at, kind, subject, actor, cause, rule_version, body) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING seq AS number";
    let values = values(tx, actor, kind, subject, None, &body);
    let row: Option<sql::Number> = sql::first(tx.sql(), sql, values).await?;
    row.map(|row| row.number)
        .ok_or_else(|| StoreError::damaged("a line of the audit log has no number"))
}

async fn insert(
    tx: &Tx,
    actor: &Actor,
    kind: EventKind,
    subject: &str,
    rule_version: Option<&str>,
    body: serde_json::Value,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO event (at, kind, subject, actor, cause, rule_version, body) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = values(tx, actor, kind, subject, rule_version, &body);
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

fn values(
    tx: &Tx,
    actor: &Actor,
    kind: EventKind,
    subject: &str,
    rule_version: Option<&str>,
    body: &serde_json::Value,
) -> [Value; 7] {
    [
        tx.now().micros().into(),
        kind.name().into(),
        subject.into(),
        actor.name().into(),
        actor.cause().into(),
        rule_version.map(str::to_owned).into(),
        body.to_string().into(),
    ]
}
