//! Logging in: argon2 in bounded number, verified credentials cached briefly, failures slowed down.
//!
//! A name that does not exist, one of a robot and one of a user take the same time to be refused: what has the form of
//! a robot's secret is only ever compared with digests, everything else only ever costs one argon2 (with a hash that
//! nothing matches, where there is none).

use std::net::IpAddr;
use std::time::Duration;

use access::robot_secret::RobotSecret;
use access::token::{Claims, Signer};
use access::{
    AccessBook, Caller, Principal, PrincipalId, PrincipalName, SecretId, SecretString, SecretVerifier,
    password,
};
use moka::future::Cache as Entries;
use oci::{Algorithm, Hasher};
use thiserror::Error;

use crate::pool::{IoPool, PoolConfig, PoolError};
use crate::{AdminError, Store, StoreError, StoreLimits, Timestamp};

mod failures;
mod log;

use failures::Failures;
use log::LoginLog;

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

impl From<PoolError> for AuthError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full { .. } => Self::TooMany {
                retry_after: QUEUE_RETRY,
            },
            PoolError::Closed { .. } | PoolError::Panicked { .. } => Self::Store(StoreError::TaskLost),
        }
    }
}

/// When to come again after too many others logged in.
const QUEUE_RETRY: Duration = Duration::from_secs(1);

/// Name of a credential in memory: a digest of name and secret under a key that nobody knows.
type CredentialKey = [u8; 32];

/// A credential that was good at `at`.
#[derive(Debug, Clone, Copy)]
struct Verified {
    principal: PrincipalId,
    secret: SecretId,
    at: Timestamp,
}

/// What logging in needs besides the access book.
pub(crate) struct Authenticator {
    process_key: [u8; 32],
    verified: Entries<CredentialKey, Verified>,
    lifetime: Duration,
    failures: Failures,
    pool: IoPool,
    pub(crate) log: LoginLog,
    pub(crate) counts: Counts,
}

/// Counters for metrics.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) hashes: std::sync::atomic::AtomicU64,
    pub(crate) hits: std::sync::atomic::AtomicU64,
    pub(crate) shed: std::sync::atomic::AtomicU64,
}

impl Authenticator {
    pub(crate) fn new(limits: &StoreLimits) -> Result<Self, StoreError> {
        let config = PoolConfig {
            queue: limits.password_queue,
            wait: Duration::ZERO,
            ..PoolConfig::with_threads("rb-password", limits.password_workers.max(1))
        };
        Ok(Self {
            process_key: crate::entropy::bytes(),
            verified: Entries::builder()
                .max_capacity(limits.credential_cache_entries)
                .time_to_live(limits.credential_cache_time)
                .build(),
            lifetime: limits.credential_cache_time,
            failures: Failures::new(limits),
            pool: IoPool::start(config)
                .map_err(|error| StoreError::file("start threads for", "passwords", error))?,
            log: LoginLog::default(),
            counts: Counts::default(),
        })
    }

    fn key(&self, user: &str, secret: &SecretString) -> CredentialKey {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&self.process_key);
        // The length keeps name and secret apart.
        hasher.update(&(user.len() as u64).to_le_bytes());
        hasher.update(user.as_bytes());
        hasher.update(secret.expose().as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(hasher.finish().bytes());
        key
    }

    async fn remembered(&self, key: &CredentialKey, now: Timestamp) -> Option<Verified> {
        let verified = self.verified.get(key).await?;
        if now < verified.at.plus(self.lifetime) {
            return Some(verified);
        }
        self.verified.invalidate(key).await;
        None
    }

    async fn slowly<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let done = self.pool.run(work).await;
        let counter = if done.is_ok() {
            &self.counts.hashes
        } else {
            &self.counts.shed
        };
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        done
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// The longest name or secret that is looked at, bytes. What is longer cannot be right.
const LONGEST: usize = 1_024;

impl Store {
    /// Verifies a name and a secret (a password or a robot's secret). `from` is where the caller comes from: failures
    /// are counted by (name, address).
    pub async fn authenticate(
        &self,
        user: &str,
        secret: &SecretString,
        from: IpAddr,
    ) -> Result<Caller, AuthError> {
        if user.len() > LONGEST || secret.expose().len() > LONGEST {
            return Err(AuthError::Rejected);
        }
        let authenticator = &self.inner.authenticator;
        let key = authenticator.key(user, secret);
        if let Some(verified) = authenticator.remembered(&key, self.now()).await {
            if let Some(caller) = self.sign_in(verified) {
                authenticator
                    .counts
                    .hits
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                return Ok(caller);
            }
            authenticator.verified.invalidate(&key).await;
        }
        if let Some(retry_after) = authenticator.failures.wait(user, from, self.now()) {
            authenticator
                .counts
                .shed
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            return Err(AuthError::TooMany { retry_after });
        }
        // Whoever comes with the same credential meanwhile waits for this one.
        let verified = authenticator
            .verified
            .try_get_with(key, self.verify(user, secret))
            .await;
        match verified {
            Ok(verified) => {
                let caller = self.sign_in(verified).ok_or(AuthError::Rejected)?;
                authenticator.failures.forget(user, from);
                authenticator.log.succeeded(user, from);
                Ok(caller)
            }
            Err(error) => {
                if matches!(*error, AuthError::Rejected) {
                    authenticator.failures.note(user, from, self.now());
                    authenticator.log.failed(user, from);
                }
                Err((*error).clone())
            }
        }
    }

    fn sign_in(&self, verified: Verified) -> Option<Caller> {
        self.access()
            .sign_in(verified.principal, verified.secret, self.now().micros())
    }

    async fn verify(&self, user: &str, secret: &SecretString) -> Result<Verified, AuthError> {
        let now = self.now();
        let book = self.access();
        let known = user
            .parse::<PrincipalName>()
            .ok()
            .and_then(|name| book.principal(&name).cloned());
        let found = match RobotSecret::parse(secret.expose()) {
            Ok(robot_secret) => known
                .as_deref()
                .and_then(|principal| match_robot(&book, principal, &robot_secret)),
            Err(_) => self.match_password(&book, known.as_deref(), secret).await?,
        };
        let (principal, secret) = found.ok_or(AuthError::Rejected)?;
        book.sign_in(principal, secret, now.micros())
            .ok_or(AuthError::Rejected)?;
        Ok(Verified {
            principal,
            secret,
            at: now,
        })
    }

    async fn match_password(
        &self,
        book: &AccessBook,
        principal: Option<&Principal>,
        presented: &SecretString,
    ) -> Result<Option<(PrincipalId, SecretId)>, AuthError> {
        let record = principal.and_then(|principal| {
            book.secrets_of(principal.id)
                .iter()
                .find(|secret| secret.verifier.is_expensive())
        });
        let verifier = record.map_or_else(
            || SecretVerifier::Password(password::dummy().clone()),
            |record| record.verifier.clone(),
        );
        let presented = presented.clone();
        let compare = move || verifier.matches(presented.expose());
        let is_right = self.inner.authenticator.slowly(compare).await?;
        Ok(record
            .filter(|_| is_right)
            .map(|record| (record.principal, record.id)))
    }

    /// Compares a password with what is known of it, in turn with the logins.
    pub(crate) async fn verify_slowly(
        &self,
        verifier: SecretVerifier,
        presented: &SecretString,
    ) -> Result<bool, AdminError> {
        let presented = presented.clone();
        self.hash_slowly(move || verifier.matches(presented.expose()))
            .await
    }

    /// Runs something that computes a password hash, in turn with the logins.
    pub(crate) async fn hash_slowly<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AdminError> {
        self.inner
            .authenticator
            .slowly(work)
            .await
            .map_err(|error| match error {
                PoolError::Full { .. } => AdminError::Busy,
                PoolError::Closed { .. } | PoolError::Panicked { .. } => {
                    AdminError::Store(StoreError::TaskLost)
                }
            })
    }

    /// The caller that verified claims stand for, if principal and secret are still good. No database call.
    #[expect(
        clippy::unused_async,
        reason = "with a database that others write to, it may have to look there"
    )]
    pub async fn caller_of(&self, claims: &Claims) -> Result<Caller, AuthError> {
        self.access()
            .caller_of(claims, self.now().micros())
            .ok_or(AuthError::Rejected)
    }

    /// What signs tokens. Its key is made once and kept in the database.
    pub fn signer(&self) -> &Signer {
        &self.inner.signer
    }
}

fn match_robot(
    book: &AccessBook,
    principal: &Principal,
    presented: &RobotSecret,
) -> Option<(PrincipalId, SecretId)> {
    let digest = presented.digest();
    let matches = |verifier: &SecretVerifier| match verifier {
        SecretVerifier::Robot(known) => known.matches(&digest),
        SecretVerifier::Password(_) => false,
    };
    let record = book
        .secrets_of(principal.id)
        .iter()
        .find(|record| matches(&record.verifier))?;
    Some((record.principal, record.id))
}

#[cfg(test)]
mod tests;
