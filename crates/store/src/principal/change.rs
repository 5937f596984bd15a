//! Changes of principals within a transaction, each with its event.

use access::{PrincipalId, PrincipalKind, PrincipalName, SecretId};
use sea_orm::FromQueryResult;
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, AdminError, StoreError, Timestamp};

/// A principal to be made.
pub(crate) struct New<'a> {
    pub(crate) name: &'a PrincipalName,
    pub(crate) kind: PrincipalKind,
    pub(crate) administrator: bool,
    pub(crate) not_after: Option<Timestamp>,
}

/// What may be changed of a principal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Administrator(bool),
    Disabled(bool),
    NotAfter(Option<Timestamp>),
}

/// What a change needs to know of a principal.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Known {
    pub(crate) id: i64,
    pub(crate) kind: String,
    administrator: bool,
    disabled: bool,
    not_after: Option<i64>,
}

impl Known {
    /// Whether it is so already.
    fn is(&self, change: Change) -> bool {
        match change {
            Change::Administrator(is) => self.administrator == is,
            Change::Disabled(is) => self.disabled == is,
            Change::NotAfter(end) => self.not_after == end.map(Timestamp::micros),
        }
    }
}

/// Which event a change of this kind of principal is.
fn kinds(kind: PrincipalKind) -> [EventKind; 3] {
    match kind {
        PrincipalKind::User => [
            EventKind::UserCreate,
            EventKind::UserUpdate,
            EventKind::UserDelete,
        ],
        PrincipalKind::Robot => [
            EventKind::RobotCreate,
            EventKind::RobotUpdate,
            EventKind::RobotDelete,
        ],
    }
}

/// The principal of this name.
pub(crate) async fn find(tx: &Tx, name: &PrincipalName) -> Result<Option<Known>, StoreError> {
    sql::first(
        tx.sql(),
        "SELECT id, kind, administrator, disabled, not_after FROM principal WHERE name = $1",
        [name.as_str().into()],
    )
    .await
}

/// The principal of this name and kind.
pub(crate) async fn expect(tx: &Tx, name: &PrincipalName, kind: PrincipalKind) -> Result<Known, AdminError> {
    let known = find(tx, name).await?.filter(|known| known.kind == kind.as_str());
    known.ok_or_else(|| AdminError::NotFound {
        kind: kind.as_str(),
        name: name.to_string(),
    })
}

/// Makes a principal without any secret.
pub(crate) async fn insert(
    tx: &Tx,
    actor: &Actor,
    new: New<'_>,
    limit: u64,
) -> Result<PrincipalId, AdminError> {
    if let Some(known) = find(tx, new.name).await? {
        // Users and robots share their names: say which of them has it.
        let holders = [PrincipalKind::User, PrincipalKind::Robot];
        let holder = holders.into_iter().find(|kind| kind.as_str() == known.kind);
        return Err(AdminError::Exists {
            kind: holder.unwrap_or(new.kind).as_str(),
            name: new.name.to_string(),
        });
    }
    let count: Option<sql::Number> =
        sql::first(tx.sql(), "SELECT COUNT(*) AS number FROM principal", []).await?;
    if sql::from_db(count.map_or(0, |row| row.number)) >= limit {
        return Err(AdminError::TooMany {
            kind: "principal",
            limit,
        });
    }
    let sql = "INSERT INTO principal (name, kind, administrator, disabled, not_after, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
    let values = [
        new.name.as_str().into(),
        new.kind.as_str().into(),
        new.administrator.into(),
        false.into(),
        new.not_after.map(Timestamp::micros).into(),
        tx.now().micros().into(),
    ];
    let made: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
    let id = made
        .ok_or_else(|| StoreError::damaged("an insert answered no row"))?
        .id;
    let body =
        json!({ "administrator": new.administrator, "not_after": new.not_after.map(Timestamp::to_rfc3339) });
    event::record(tx, actor, kinds(new.kind)[0], new.name.as_str(), body).await?;
    Ok(PrincipalId(id))
}

/// Changes one property of a principal, unless nobody could administer the registry then.
pub(crate) async fn update(
    tx: &Tx,
    actor: &Actor,
    name: &PrincipalName,
    change: Change,
) -> Result<(), AdminError> {
    let before = administrators(tx).await?;
    update_unchecked(tx, actor, name, change).await?;
    check_administrators(tx, before, name).await
}

/// The same whoever is left. What is so already is no change and no event: the audit log shows what somebody did.
pub(crate) async fn update_unchecked(
    tx: &Tx,
    actor: &Actor,
    name: &PrincipalName,
    change: Change,
) -> Result<(), AdminError> {
    let known = find(tx, name).await?;
    let known = known.ok_or_else(|| AdminError::NotFound {
        kind: "principal",
        name: name.to_string(),
    })?;
    let kind = crate::snapshot::kind_of(&known.kind)?;
    if matches!(change, Change::Administrator(true)) && kind == PrincipalKind::Robot {
        let reason = format!("robot {name} cannot be an administrator; grant it roles instead");
        return Err(AdminError::Invalid { reason });
    }
    if known.is(change) {
        return Ok(());
    }
    let (column, value, body) = match change {
        Change::Administrator(is) => ("administrator", is.into(), json!({ "administrator": is })),
        Change::Disabled(is) => ("disabled", is.into(), json!({ "disabled": is })),
        Change::NotAfter(end) => {
            let body = json!({ "not_after": end.map(Timestamp::to_rfc3339) });
            ("not_after", end.map(Timestamp::micros).into(), body)
        }
    };
    let sql = format!("UPDATE principal SET {column} = $2 WHERE id = $1");
    sql::execute(tx.sql(), &sql, [known.id.into(), value]).await?;
    event::record(tx, actor, kinds(kind)[1], name.as_str(), body).await?;
    Ok(())
}

/// Deletes a principal with its secrets and grants, unless nobody could administer the registry then. What it pushed
/// stays, with its name.
pub(crate) async fn delete(tx: &Tx, actor: &Actor, name: &PrincipalName) -> Result<(), AdminError> {
    let before = administrators(tx).await?;
    delete_unchecked(tx, actor, name).await?;
    check_administrators(tx, before, name).await
}

/// The same whoever is left.
pub(crate) async fn delete_unchecked(tx: &Tx, actor: &Actor, name: &PrincipalName) -> Result<(), AdminError> {
    let known = find(tx, name).await?;
    let known = known.ok_or_else(|| AdminError::NotFound {
        kind: "principal",
        name: name.to_string(),
    })?;
    let kind = crate::snapshot::kind_of(&known.kind)?;
    sql::execute(tx.sql(), "DELETE FROM principal WHERE id = $1", [known.id.into()]).await?;
    let sql = "DELETE FROM access_grant WHERE subject = $1";
    let grants = sql::execute(tx.sql(), sql, [name.as_str().into()]).await?;
    event::record(
        tx,
        actor,
        kinds(kind)[2],
        name.as_str(),
        json!({ "grants_removed": grants }),
    )
    .await?;
    Ok(())
}

/// How many can administer the registry.
pub(crate) async fn administrators(tx: &Tx) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) AS number FROM principal p JOIN secret s ON s.principal_id = p.id \
               WHERE p.administrator = $1 AND p.disabled = $2 AND (p.not_after IS NULL OR p.not_after > $3)";
    let values = [true.into(), false.into(), tx.now().micros().into()];
    let count: Option<sql::Number> = sql::first(tx.sql(), sql, values).await?;
    Ok(count.map_or(0, |row| row.number))
}

/// Where somebody could administer the registry before, somebody must be left who can.
pub(crate) async fn check_administrators(
    tx: &Tx,
    before: i64,
    changed: &PrincipalName,
) -> Result<(), AdminError> {
    if before > 0 && administrators(tx).await? == 0 {
        return Err(AdminError::LastAdministrator {
            name: changed.clone(),
        });
    }
    Ok(())
}

/// Keeps what a secret is checked against.
pub(crate) async fn insert_secret(
    tx: &Tx,
    principal: PrincipalId,
    verifier: &str,
    not_after: Option<Timestamp>,
) -> Result<SecretId, StoreError> {
    let sql = "INSERT INTO secret (principal_id, verifier, not_after, created_at) VALUES ($1, $2, $3, $4) RETURNING id";
    let values = [
        principal.0.into(),
        verifier.into(),
        not_after.map(Timestamp::micros).into(),
        tx.now().micros().into(),
    ];
    let made: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
    Ok(SecretId(
        made.ok_or_else(|| StoreError::damaged("an insert answered no row"))?
            .id,
    ))
}

/// Puts a new password in the place of the old one.
pub(crate) async fn replace_password(
    tx: &Tx,
    actor: &Actor,
    name: &PrincipalName,
    verifier: &str,
) -> Result<(), AdminError> {
    let user = expect(tx, name, PrincipalKind::User).await?;
    sql::execute(
        tx.sql(),
        "DELETE FROM secret WHERE principal_id = $1",
        [user.id.into()],
    )
    .await?;
    insert_secret(tx, PrincipalId(user.id), verifier, None).await?;
    event::record(
        tx,
        actor,
        EventKind::UserUpdate,
        name.as_str(),
        json!({ "password": "replaced" }),
    )
    .await?;
    Ok(())
}

/// Removes secrets whose time is over.
pub(crate) async fn drop_expired_secrets(tx: &Tx, principal: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM secret WHERE principal_id = $1 AND not_after < $2";
    sql::execute(tx.sql(), sql, [principal.into(), tx.now().micros().into()])
        .await
        .map(drop)
}

/// How many secrets a principal has.
pub(crate) async fn count_secrets(tx: &Tx, principal: i64) -> Result<usize, StoreError> {
    let sql = "SELECT COUNT(*) AS number FROM secret WHERE principal_id = $1";
    let count: Option<sql::Number> = sql::first(tx.sql(), sql, [principal.into()]).await?;
    Ok(usize::try_from(count.map_or(0, |row| row.number)).unwrap_or(usize::MAX))
}

/// What a user's password is checked against, if there is one.
pub(crate) async fn verifier(tx: &Tx, principal: PrincipalId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT verifier AS text FROM secret WHERE principal_id = $1";
    let row: Option<sql::Text> = sql::first(tx.sql(), sql, [principal.0.into()]).await?;
    Ok(row.map(|row| row.text))
}
