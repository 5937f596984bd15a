//! Logging in: argon2 in bounded number, verified credentials cached briefly, failures slowed down.
//!
//! A name that does not exist, one of a robot and one of a user take the same time to be refused: what has the form of
//! a robot's secret is only ever compared with digests, everything else only ever costs one argon2 (with a hash that
//! nothing matches, where there is none).
//!
//! Only what can be guessed is slowed down. A robot's secret has 256 bits and is compared in microseconds: it never
//! waits, and an outdated one that somebody still sends does not keep the good one out. A password is looked at only if
//! its name and address need not wait (see [`failures`]) and there is a place for them in the queue (see [`turns`]);
//! that holds for the memory of good credentials too, which would else answer guesses without end.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
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
mod turns;

use failures::{Attempt, Failures};
use log::LoginLog;
use turns::Turns;

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
    /// Which remembered credentials were used from where, so that each is noted once.
    seen: moka::sync::Cache<(CredentialKey, IpAddr), Timestamp>,
    lifetime: Duration,
    failures: Failures,
    turns: Turns,
    pool: IoPool,
    pub(crate) log: LoginLog,
    pub(crate) counts: Counts,
}

/// Counters for metrics.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) hashes: AtomicU64,
    pub(crate) hits: AtomicU64,
    pub(crate) shed: AtomicU64,
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
            seen: moka::sync::Cache::builder()
                .max_capacity(limits.credential_cache_entries)
                .time_to_live(limits.credential_cache_time)
                .build(),
            lifetime: limits.credential_cache_time,
            failures: Failures::new(limits),
            turns: Turns::new(limits),
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

    /// Whether the credential is used from this address for the first time since it is remembered.
    fn is_first_use(&self, key: CredentialKey, from: IpAddr, now: Timestamp) -> bool {
        let seen = self.seen.get(&(key, from));
        let is_first = seen.is_none_or(|at| now >= at.plus(self.lifetime));
        if is_first {
            self.seen.insert((key, from), now);
        }
        is_first
    }

    fn shed(&self, retry_after: Duration) -> AuthError {
        self.counts.shed.fetch_add(1, Ordering::Relaxed);
        AuthError::TooMany { retry_after }
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
        counter.fetch_add(1, Ordering::Relaxed);
        done
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// The longest name or secret that is looked at, bytes. What is longer cannot be right.
const LONGEST: usize = 1_024;

/// What somebody presents, and from where.
struct Login<'a> {
    user: &'a str,
    secret: &'a SecretString,
    from: IpAddr,
    /// The secret, if it has the form of a robot's.
    robot_secret: Option<RobotSecret>,
}

impl Store {
    /// Verifies a name and a secret (a password or a robot's secret). `from` is where the caller comes from: failures
    /// with passwords are counted by name and address.
    pub async fn authenticate(
        &self,
        user: &str,
        secret: &SecretString,
        from: IpAddr,
    ) -> Result<Caller, AuthError> {
        if user.len() > LONGEST || secret.expose().len() > LONGEST {
            return Err(AuthError::Rejected);
        }
        self.demand_open_book()?;
        let login = Login {
            user,
            secret,
            from,
            robot_secret: RobotSecret::parse(secret.expose()).ok(),
        };
        let authenticator = &self.inner.authenticator;
        let key = authenticator.key(user, secret);
        let done = self.log_in(&login, key).await;
        match &done {
            Ok(caller) => self.note_success(&login, key, caller),
            Err(AuthError::Rejected) => {
                let name = user.parse::<PrincipalName>().ok();
                let book = self.access();
                let known = name.as_ref().filter(|name| book.principal(name).is_some());
                authenticator.log.failed(known, from);
            }
            Err(AuthError::TooMany { .. } | AuthError::Store(_)) => {}
        }
        done
    }

    async fn log_in(&self, login: &Login<'_>, key: CredentialKey) -> Result<Caller, AuthError> {
        let authenticator = &self.inner.authenticator;
        let now = self.now();
        if login.robot_secret.is_none()
            && let Some(retry_after) = authenticator.failures.wait(login.user, login.from, now)
        {
            return Err(authenticator.shed(retry_after));
        }
        if let Some(verified) = authenticator.remembered(&key, now).await {
            if let Some(caller) = self.sign_in(verified) {
                authenticator.counts.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(caller);
            }
            authenticator.verified.invalidate(&key).await;
        }
        // Whoever comes with the same credential meanwhile waits for this one.
        let verified = authenticator.verified.try_get_with(key, self.verify(login));
        match verified.await {
            Ok(verified) => self.sign_in(verified).ok_or(AuthError::Rejected),
            Err(error) => Err((*error).clone()),
        }
    }

    fn note_success(&self, login: &Login<'_>, key: CredentialKey, caller: &Caller) {
        let (authenticator, now) = (&self.inner.authenticator, self.now());
        if !authenticator.is_first_use(key, login.from, now) {
            return;
        }
        if login.robot_secret.is_none() {
            authenticator.failures.welcome(login.user, login.from, now);
        }
        if let Some(principal) = caller.principal() {
            authenticator.log.succeeded(&principal.name, login.from);
        }
    }

    fn sign_in(&self, verified: Verified) -> Option<Caller> {
        self.access()
            .sign_in(verified.principal, verified.secret, self.now().micros())
    }

    async fn verify(&self, login: &Login<'_>) -> Result<Verified, AuthError> {
        let book = self.access();
        let known = login
            .user
            .parse::<PrincipalName>()
            .ok()
            .and_then(|name| book.principal(&name).cloned());
        if let Some(robot_secret) = &login.robot_secret {
            let found = known
                .as_deref()
                .and_then(|principal| match_robot(&book, principal, robot_secret));
            return self.admit(&book, found);
        }
        let (authenticator, now) = (&self.inner.authenticator, self.now());
        let attempt = authenticator
            .failures
            .begin(login.user, login.from, now)
            .map_err(|retry_after| authenticator.shed(retry_after))?;
        let found = self
            .match_password(&book, known.as_deref(), login.secret, &attempt)
            .await
            .inspect_err(|_| authenticator.failures.take_back(&attempt))?;
        let verified = self.admit(&book, found)?;
        authenticator.failures.succeeded(&attempt);
        Ok(verified)
    }

    /// Whether the principal and the secret that were found are good.
    fn admit(
        &self,
        book: &AccessBook,
        found: Option<(PrincipalId, SecretId)>,
    ) -> Result<Verified, AuthError> {
        let (principal, secret) = found.ok_or(AuthError::Rejected)?;
        let at = self.now();
        book.sign_in(principal, secret, at.micros())
            .ok_or(AuthError::Rejected)?;
        Ok(Verified {
            principal,
            secret,
            at,
        })
    }

    async fn match_password(
        &self,
        book: &AccessBook,
        principal: Option<&Principal>,
        presented: &SecretString,
        attempt: &Attempt,
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
        let authenticator = &self.inner.authenticator;
        let turn = authenticator.turns.take(attempt);
        let turn = turn.ok_or_else(|| authenticator.shed(QUEUE_RETRY))?;
        let presented = presented.clone();
        let compare = move || {
            // Given back when the hash is computed, also if nobody waits for it any more.
            let _turn = turn;
            verifier.matches(presented.expose())
        };
        let is_right = authenticator.slowly(compare).await?;
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
        self.demand_open_book()?;
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
