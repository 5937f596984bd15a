//! Users and robots.

use access::{Caller, PrincipalId, PrincipalKind, PrincipalName, SecretId, SecretString};
use serde::Serialize;
use thiserror::Error;

use crate::{Actor, Page, Store, StoreError, Timestamp};

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
    #[error("{limit} {kind}s exist already; remove some")]
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
pub const SECRETS_PER_ROBOT: usize = 2;

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
    /// Makes a user.
    pub async fn create_user(&self, actor: &Actor, user: NewUser) -> Result<PrincipalId, AdminError> {
        let _ = (actor, user);
        todo!()
    }

    /// Replaces a user's password. Whoever is logged in with the old one is logged out.
    pub async fn set_password(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        password: &SecretString,
    ) -> Result<(), AdminError> {
        let _ = (actor, name, password);
        todo!()
    }

    /// Replaces the caller's own password after checking the old one.
    pub async fn set_own_password(
        &self,
        caller: &Caller,
        old: &SecretString,
        new: &SecretString,
    ) -> Result<(), AdminError> {
        let _ = (caller, old, new);
        todo!()
    }

    /// Gives or takes the right to do everything.
    pub async fn set_administrator(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        administrator: bool,
    ) -> Result<(), AdminError> {
        let _ = (actor, name, administrator);
        todo!()
    }

    /// Disables or enables a principal.
    pub async fn set_disabled(&self, actor: &Actor, name: &PrincipalName, disabled: bool) -> Result<(), AdminError> {
        let _ = (actor, name, disabled);
        todo!()
    }

    /// Sets when a principal ends.
    pub async fn set_not_after(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        not_after: Option<Timestamp>,
    ) -> Result<(), AdminError> {
        let _ = (actor, name, not_after);
        todo!()
    }

    /// Deletes a principal with its secrets and the grants to its name.
    pub async fn delete_principal(&self, actor: &Actor, name: &PrincipalName) -> Result<(), AdminError> {
        let _ = (actor, name);
        todo!()
    }

    /// Principals in order of their names, from the first one behind `after`; all kinds or one.
    pub async fn principals(
        &self,
        kind: Option<PrincipalKind>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<PrincipalInfo>, StoreError> {
        let _ = (kind, after, limit);
        todo!()
    }

    /// One principal.
    pub async fn principal(&self, name: &PrincipalName) -> Result<Option<PrincipalInfo>, StoreError> {
        let _ = name;
        todo!()
    }

    /// Makes a robot and its first secret.
    pub async fn create_robot(&self, actor: &Actor, robot: NewRobot) -> Result<IssuedSecret, AdminError> {
        let _ = (actor, robot);
        todo!()
    }

    /// Gives a robot one more secret, of at most [`SECRETS_PER_ROBOT`] valid ones.
    pub async fn add_robot_secret(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        not_after: Option<Timestamp>,
    ) -> Result<IssuedSecret, AdminError> {
        let _ = (actor, name, not_after);
        todo!()
    }

    /// Makes a secret invalid at once.
    pub async fn revoke_robot_secret(
        &self,
        actor: &Actor,
        name: &PrincipalName,
        secret: SecretId,
    ) -> Result<(), AdminError> {
        let _ = (actor, name, secret);
        todo!()
    }
}
