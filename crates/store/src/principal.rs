//! Users and robots.
//!
//! Each change is one transaction that also writes its event and moves the generation of the access data on
//! ([`Store::change_access`]). A password is a row of `secret` like a robot's: replacing it makes a new row, so whoever
//! signed in with the old one is signed out.

use access::robot_secret::RobotSecret;
use access::{Caller, PrincipalId, PrincipalKind, PrincipalName, SecretId, SecretString, password};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

use crate::db::{Tx, Work, sql};
use crate::event::{self, EventKind};
use crate::setting::{self, Setting};
use crate::snapshot::kind_of;
use crate::{Actor, Page, Store, StoreError, Timestamp};

pub(crate) mod change;

use change::Change;

/// Why a change of principals, grants or rules was not made.
#[derive(Debug, Clone, Error)]
pub enum AdminError {
    /// The name is taken.
    #[error("{kind} {name} exists already")]
    Exists {
        /// What it is: `user`, `robot`, `grant`, `rule`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// There is no such thing.
    #[error("there is no {kind} {name}")]
    NotFound {
        /// What was asked for.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The password does not pass the rules.
    #[error("{reason}")]
    WeakPassword {
        /// What is wrong with it.
        reason: String,
    },
    /// The old password is wrong.
    #[error("the present password is wrong")]
    WrongPassword,
    /// A robot holds two valid secrets already.
    #[error("robot {name} holds {limit} valid secrets already; revoke one first")]
    TooManySecrets {
        /// The robot.
        name: PrincipalName,
        /// [`SECRETS_PER_ROBOT`].
        limit: usize,
    },
    /// Nobody could administer the registry any more.
    #[error("{name} is the last administrator who can log in; make another one first")]
    LastAdministrator {
        /// Who it is.
        name: PrincipalName,
    },
    /// There are too many.
    #[error("there may be {limit} {kind}s, this would be one more; remove some")]
    TooMany {
        /// What there are too many of.
        kind: &'static str,
        /// The limit.
        limit: u64,
    },
    /// An end date that has passed already, or a pattern tie, or a value out of range.
    #[error("{reason}")]
    Invalid {
        /// What is wrong and what would be right.
        reason: String,
    },
    /// Too many password hashes are being computed.
    #[error("too many logins; try again in a second")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Valid secrets that a robot may hold at once: the one in use and its successor.
pub const SECRETS_PER_ROBOT: usize = access::MAX_ROBOT_SECRETS;

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Login name.
    pub name: PrincipalName,
    /// Password in clear; it is hashed before anything else happens.
    pub password: SecretString,
    /// Whether the user may do everything.
    pub administrator: bool,
    /// When the account ends, if ever.
    pub not_after: Option<Timestamp>,
}

/// A robot to be made.
#[derive(Debug, Clone)]
pub struct NewRobot {
    /// Login name.
    pub name: PrincipalName,
    /// When the robot ends, if ever.
    pub not_after: Option<Timestamp>,
    /// When its first secret ends, if before the robot.
    pub secret_not_after: Option<Timestamp>,
}

/// A robot's new secret. It is shown once and kept as a digest.
#[derive(Debug, Clone)]
pub struct IssuedSecret {
    /// What to call it when it is revoked.
    pub id: SecretId,
    /// The secret itself.
    pub secret: SecretString,
    /// When it ends, if ever.
    pub not_after: Option<Timestamp>,
}

/// What an administrator may see of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretInfo {
    /// What to call it.
    pub id: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if ever.
    pub not_after: Option<Timestamp>,
}

/// What an administrator may see of a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalInfo {
    /// Number, never given twice.
    pub id: PrincipalId,
    /// Login name.
    pub name: PrincipalName,
    /// User or robot.
    pub kind: PrincipalKind,
    /// Whether it may do everything.
    pub administrator: bool,
    /// Whether it may do nothing.
    pub disabled: bool,
    /// When it ends, if ever.
    pub not_after: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Valid and expired secrets of a robot; for a user the one entry of its password.
    pub secrets: Vec<SecretInfo>,
}

impl Store {
    /// Runs a transaction that changes access data: moves the generation on and has everything read again afterwards.
    pub(crate) async fn change_access<T, F>(&self, work: F) -> Result<T, AdminError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t Tx) -> Work<'t, T, AdminError> + Send + 'static,
    {
        self.write(move |tx| {
            Box::pin(async move {
                let done = work(tx).await?;
                let generation = setting::access_generation(tx.sql()).await? + 1;
                setting::set(tx.sql(), Setting::AccessGeneration, generation.to_string()).await?;
                tx.touch_access(generation);
                Ok(done)
            })
        })
        .await
    }

    /// Makes a user.
    pub async fn create_user(&self, actor: &Actor, user: NewUser) -> Result<PrincipalId, AdminError> {
        let NewUser {
            name,
            password,
            administrator,
            not_after,
        } = user;
        let verifier = self.hash_password(&password).await?;
        let (actor, limit) = (actor.clone(), self.limits().principals);
        let not_after = self.future(not_after)?;
        self.change_access(move |tx| {
            Box::pin(async move {
                let new = change::New {
                    name: &name,
                    kind: PrincipalKind::User,
                    administrator,
                    not_after,
                };
                let id = change::insert(tx, &actor, new, limit).await?;
                change::insert_secret(tx, id, &verifier, None).await?;
                Ok(id)
            })
        })
        .await
    }

    /// Replaces a user's password. Whoever is logged in with the old one is logged out.
    pub async fn set_password(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        password: &SecretString,
    ) -> Result<(), AdminError> {
        let verifier = self.hash_password(password).await?;
        let (actor, name) = (actor.clone(), name.clone());
        self.change_access(move |tx| {
            Box::pin(async move { change::replace_password(tx, &actor, &name, &verifier).await })
        })
        .await
    }

    /// Replaces the caller's own password after checking the old one.
    pub async fn set_own_password(
        &self,
        caller: &Caller,
        old: &SecretString,
        new: &SecretString,
    ) -> Result<(), AdminError> {
        let principal = caller.principal().ok_or(AdminError::WrongPassword)?;
        let book = self.access();
        let known = book
            .secrets_of(principal.id)
            .first()
            .ok_or(AdminError::WrongPassword)?;
        if !self.verify_slowly(known.verifier.clone(), old).await? {
            return Err(AdminError::WrongPassword);
        }
        self.set_password(&Actor::caller(caller, "own password"), &principal.name, new)
            .await
    }

    /// Gives or takes the right to do everything.
    pub async fn set_administrator(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        administrator: bool,
    ) -> Result<(), AdminError> {
        self.change_principal(actor, name, Change::Administrator(administrator))
            .await
    }

    /// Disables or enables a principal.
    pub async fn set_disabled(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        disabled: bool,
    ) -> Result<(), AdminError> {
        self.change_principal(actor, name, Change::Disabled(disabled))
            .await
    }

    /// Sets when a principal ends.
    pub async fn set_not_after(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        not_after: Option<Timestamp>,
    ) -> Result<(), AdminError> {
        self.change_principal(actor, name, Change::NotAfter(not_after))
            .await
    }

    async fn change_principal(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        change: Change,
    ) -> Result<(), AdminError> {
        let (actor, name) = (actor.clone(), name.clone());
        self.change_access(move |tx| Box::pin(async move { change::update(tx, &actor, &name, change).await }))
            .await
    }

    /// Deletes a principal with its secrets and the grants to its name.
    pub async fn delete_principal(&self, actor: &Actor, name: &PrincipalName) -> Result<(), AdminError> {
        let (actor, name) = (actor.clone(), name.clone());
        self.change_access(move |tx| Box::pin(async move { change::delete(tx, &actor, &name).await }))
            .await
    }

    /// Makes a robot and its first secret.
    pub async fn create_robot(&self, actor: &Actor, robot: NewRobot) -> Result<IssuedSecret, AdminError> {
        let NewRobot {
            name,
            not_after,
            secret_not_after,
        } = robot;
        let (not_after, secret_not_after) = (self.future(not_after)?, self.future(secret_not_after)?);
        let (actor, limit) = (actor.clone(), self.limits().principals);
        self.change_access(move |tx| {
            Box::pin(async move {
                let new = change::New {
                    name: &name,
                    kind: PrincipalKind::Robot,
                    administrator: false,
                    not_after,
                };
                let id = change::insert(tx, &actor, new, limit).await?;
                issue(tx, id, secret_not_after).await
            })
        })
        .await
    }

    /// Gives a robot one more secret, of at most [`SECRETS_PER_ROBOT`] valid ones.
    pub async fn add_robot_secret(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        not_after: Option<Timestamp>,
    ) -> Result<IssuedSecret, AdminError> {
        let (actor, name, not_after) = (actor.clone(), name.clone(), self.future(not_after)?);
        self.change_access(move |tx| {
            Box::pin(async move {
                let robot = change::expect(tx, &name, PrincipalKind::Robot).await?;
                change::drop_expired_secrets(tx, robot.id).await?;
                if change::count_secrets(tx, robot.id).await? >= SECRETS_PER_ROBOT {
                    return Err(AdminError::TooManySecrets {
                        name,
                        limit: SECRETS_PER_ROBOT,
                    });
                }
                let issued = issue(tx, PrincipalId(robot.id), not_after).await?;
                let body =
                    json!({ "secret_added": issued.id, "not_after": not_after.map(Timestamp::to_rfc3339) });
                event::record(tx, &actor, EventKind::RobotUpdate, name.as_str(), body).await?;
                Ok(issued)
            })
        })
        .await
    }

    /// Makes a secret invalid at once.
    pub async fn revoke_robot_secret(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        secret: SecretId,
    ) -> Result<(), AdminError> {
        let (actor, name) = (actor.clone(), name.clone());
        self.change_access(move |tx| {
            Box::pin(async move {
                let robot = change::expect(tx, &name, PrincipalKind::Robot).await?;
                let sql = "DELETE FROM secret WHERE id = $1 AND principal_id = $2";
                if sql::execute(tx.sql(), sql, [secret.0.into(), robot.id.into()]).await? == 0 {
                    return Err(AdminError::NotFound {
                        kind: "secret",
                        name: format!("{} of robot {name}", secret.0),
                    });
                }
                let body = json!({ "secret_revoked": secret });
                event::record(tx, &actor, EventKind::RobotUpdate, name.as_str(), body).await?;
                Ok(())
            })
        })
        .await
    }

    /// Principals in order of their names, from the first one behind `after`; all kinds or one.
    pub async fn principals(
        &self,
        kind: Option<PrincipalKind>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<PrincipalInfo>, StoreError> {
        let limit = self.page_limit(limit);
        let rows: Vec<Row> = sql::Filter::new("name >", after.unwrap_or_default())
            .and("kind =", kind.map(PrincipalKind::as_str))
            .rows(self.inner.db.read(), SELECT, "name", limit as u64 + 1)
            .await?;
        let mut page = Page::cut(Vec::new(), limit);
        page.more = limit > 0 && rows.len() > limit;
        for row in rows.into_iter().take(limit) {
            page.items.push(row.into_info(self.inner.db.read()).await?);
        }
        Ok(page)
    }

    /// One principal.
    pub async fn principal(&self, name: &PrincipalName) -> Result<Option<PrincipalInfo>, StoreError> {
        let sql = format!("{SELECT} WHERE name = $1");
        let row: Option<Row> = sql::first(self.inner.db.read(), &sql, [name.as_str().into()]).await?;
        match row {
            Some(row) => row.into_info(self.inner.db.read()).await.map(Some),
            None => Ok(None),
        }
    }

    /// An end that has passed already is a mistake.
    fn future(&self, not_after: Option<Timestamp>) -> Result<Option<Timestamp>, AdminError> {
        match not_after {
            Some(end) if end <= self.now() => {
                let reason = format!("{end} has passed already; choose an end in the future");
                Err(AdminError::Invalid { reason })
            }
            end => Ok(end),
        }
    }

    /// Checks a new password and hashes it, in turn with the logins.
    pub(crate) async fn hash_password(&self, password: &SecretString) -> Result<String, AdminError> {
        let weak = |error: password::PasswordError| AdminError::WeakPassword {
            reason: error.to_string(),
        };
        password::check_strength(password.expose()).map_err(weak)?;
        let password = password.clone();
        let salt = crate::entropy::bytes();
        let hashed = self
            .hash_slowly(move || password::hash(password.expose(), salt))
            .await?;
        hashed.map(|hash| hash.as_str().to_owned()).map_err(weak)
    }
}

/// Makes a robot's secret and keeps its digest.
pub(crate) async fn issue(
    tx: &Tx,
    robot: PrincipalId,
    not_after: Option<Timestamp>,
) -> Result<IssuedSecret, AdminError> {
    let secret = RobotSecret::generate(crate::entropy::bytes());
    let verifier = hex::encode(secret.digest().as_bytes());
    let id = change::insert_secret(tx, robot, &verifier, not_after).await?;
    Ok(IssuedSecret {
        id,
        secret: secret.expose().into(),
        not_after,
    })
}

const SELECT: &str = "SELECT id, name, kind, administrator, disabled, not_after, created_at FROM principal";

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    name: String,
    kind: String,
    administrator: bool,
    disabled: bool,
    not_after: Option<i64>,
    created_at: i64,
}

#[derive(FromQueryResult)]
struct SecretRow {
    id: i64,
    created_at: i64,
    not_after: Option<i64>,
}

impl Row {
    async fn into_info(self, on: &impl ConnectionTrait) -> Result<PrincipalInfo, StoreError> {
        let sql = "SELECT id, created_at, not_after FROM secret WHERE principal_id = $1 ORDER BY id";
        let secrets: Vec<SecretRow> = sql::all(on, sql, [self.id.into()]).await?;
        let secret = |row: SecretRow| SecretInfo {
            id: row.id,
            created_at: Timestamp(row.created_at),
            not_after: row.not_after.map(Timestamp),
        };
        Ok(PrincipalInfo {
            id: PrincipalId(self.id),
            name: self
                .name
                .parse()
                .map_err(|_| StoreError::damaged(format!("principal {} has no name", self.id)))?,
            kind: kind_of(&self.kind)?,
            administrator: self.administrator,
            disabled: self.disabled,
            not_after: self.not_after.map(Timestamp),
            created_at: Timestamp(self.created_at),
            secrets: secrets.into_iter().map(secret).collect(),
        })
    }
}

#[cfg(test)]
mod tests;
