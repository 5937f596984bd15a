//! Logging in: argon2 in bounded number, verified credentials cached briefly, failures slowed down.

use std::net::IpAddr;
use std::time::Duration;

use access::token::Claims;
use access::{Caller, SecretString};
use thiserror::Error;

use crate::{Store, StoreError};

/// Why nobody was logged in.
#[derive(Debug, Clone, Error)]
pub enum AuthError {
    /// Wrong name or secret, disabled, expired: one answer for all, so that names cannot be guessed.
    #[error("the name or the secret is wrong, or the account is disabled or expired")]
    Rejected,
    /// Too many logins at once, or too many failures.
    #[error("too many logins; try again in {} s", retry_after.as_secs())]
    TooMany {
        /// When to come again, at least one second.
        retry_after: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Verifies a name and a secret (a password or a robot's secret). `from` is where the caller comes from: failures
    /// are counted by (name, address).
    pub async fn authenticate(&self, user: &str, secret: &SecretString, from: IpAddr) -> Result<Caller, AuthError> {
        let _ = (user, secret, from);
        todo!()
    }

    /// The caller that verified claims stand for, if principal and secret are still good. No database call.
    pub async fn caller_of(&self, claims: &Claims) -> Result<Caller, AuthError> {
        let _ = claims;
        todo!()
    }

    /// What signs tokens. Its key is made once and kept in the database.
    pub fn signer(&self) -> &access::token::Signer {
        todo!()
    }
}
