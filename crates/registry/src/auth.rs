//! Who is asking: the `Authorization` header becomes a [`Caller`], cheaply.
//!
//! Checking a password costs tens of milliseconds, checking a token a few microseconds; a node that pulls does neither
//! twice. What a header was found to mean is remembered under a keyed hash of it for a short time, and on every use the
//! access book is asked whether that caller is still valid: a revoked secret stops working at once, not when the memory
//! ends.

use std::{net::IpAddr, sync::Arc, time::Duration};

use access::{Authorization, Caller, Permit, SecretString, permit::Act, token::Audience};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use moka::sync::Cache;
use oci::{ErrorCode, RepoName};
use sha2::{Digest as _, Sha256};
use store::Store;

use crate::{
    error::ApiError,
    overload::{Overload, Place},
};

/// How much is remembered of what headers mean.
#[derive(Debug, Clone)]
pub struct HeaderCache {
    /// Most headers. Default 50,000.
    pub entries: u64,
    /// For how long. Default 1 minute.
    pub time: Duration,
}

impl Default for HeaderCache {
    fn default() -> Self {
        Self {
            entries: 50_000,
            time: Duration::from_mins(1),
        }
    }
}

/// Turns headers into callers.
pub(crate) struct Authenticator {
    store: Store,
    /// Hashing under a random key keeps what is remembered useless outside of this process.
    key: [u8; 32],
    known: Cache<[u8; 32], Arc<Known>>,
    anonymous: Arc<Known>,
    overload: Arc<Overload>,
}

/// What a header was found to mean.
#[derive(Debug)]
pub(crate) struct Known {
    /// Who asks.
    pub(crate) caller: Caller,
    /// What that means where not everybody can be served at once.
    pub(crate) place: Place,
}

impl Authenticator {
    pub(crate) fn new(
        store: Store,
        key: [u8; 32],
        remembered: &HeaderCache,
        overload: Arc<Overload>,
    ) -> Self {
        let anonymous = Caller::anonymous();
        Self {
            key,
            known: known_headers(remembered),
            anonymous: Arc::new(Known {
                place: overload.place(&store.access(), &anonymous),
                caller: anonymous,
            }),
            overload,
            store,
        }
    }

    /// The caller behind the headers; nobody at all is the anonymous caller.
    pub(crate) async fn caller(&self, headers: &HeaderMap, address: IpAddr) -> Result<Arc<Known>, ApiError> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Ok(Arc::clone(&self.anonymous));
        };
        let fingerprint = self.fingerprint(value);
        let now = self.store.now().micros();
        if let Some(known) = self.known.get(&fingerprint) {
            if self.store.access().is_current(&known.caller, now) {
                return Ok(known);
            }
            self.known.invalidate(&fingerprint);
        }
        let caller = self.look_up(value, address).await?;
        let known = Arc::new(Known {
            place: self.overload.place(&self.store.access(), &caller),
            caller,
        });
        self.known.insert(fingerprint, Arc::clone(&known));
        Ok(known)
    }

    async fn look_up(&self, value: &HeaderValue, address: IpAddr) -> Result<Caller, ApiError> {
        let text = value
            .to_str()
            .map_err(|_| unreadable("it holds bytes outside of ASCII"))?;
        match Authorization::parse(text).map_err(unreadable)? {
            Authorization::Basic { user, secret } => {
                Ok(self.store.authenticate(&user, &secret, address).await?)
            }
            Authorization::Bearer(token) => self.bearer(&token).await,
        }
    }

    async fn bearer(&self, token: &SecretString) -> Result<Caller, ApiError> {
        let now = self.store.now().seconds();
        let claims = self
            .store
            .signer()
            .verify(token.expose(), Audience::Registry, now);
        let claims = claims.map_err(|error| unauthorized(error.to_string()))?;
        Ok(self.store.caller_of(&claims).await?)
    }

    fn fingerprint(&self, value: &HeaderValue) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.key)
            .chain_update(value.as_bytes())
            .finalize()
            .into()
    }

    /// The permit for an action on a repository, or the answer that says what is missing.
    pub(crate) fn permit<A: Act>(&self, caller: &Caller, repo: &RepoName) -> Result<Permit<A>, ApiError> {
        self.store
            .access()
            .authorize::<A>(caller, repo)
            .map_err(|denied| {
                if denied.calls_for_credentials() {
                    return unauthorized(denied.to_string());
                }
                let message = format!(
                    "{} may not {} in {repo}: {denied}",
                    caller.principal_name(),
                    A::ROLE
                );
                ApiError::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message)
            })
    }
}

fn known_headers<T: Send + Sync + 'static>(remembered: &HeaderCache) -> Cache<[u8; 32], Arc<T>> {
    Cache::builder()
        .max_capacity(remembered.entries)
        .time_to_live(remembered.time)
        .build()
}

fn unreadable(why: impl std::fmt::Display) -> ApiError {
    unauthorized(format!("the Authorization header cannot be read: {why}"))
}

/// 401 without its challenge, which only the service can write.
pub(crate) fn unauthorized(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
}

/// The value of `WWW-Authenticate`: where to fetch a token, for whom, with which scopes.
///
/// The words "bearer" and "basic" must appear nowhere else in it, and every parameter is quoted: clients' parsers are
/// simple. Everything that is filled in is of a grammar without quotes.
pub(crate) fn challenge(
    realm: &str,
    service: &str,
    scopes: &[String],
    failure: Option<Failure>,
) -> Option<HeaderValue> {
    let mut text = format!("Bearer realm=\"{realm}\",service=\"{service}\"");
    if !scopes.is_empty() {
        text.push_str(",scope=\"");
        text.push_str(&scopes.join(" "));
        text.push('"');
    }
    if let Some(failure) = failure {
        text.push_str(",error=\"");
        text.push_str(failure.as_str());
        text.push('"');
    }
    HeaderValue::try_from(text).ok()
}

/// What was wrong with the credentials that came (RFC 6750, section 3.1). A client that brought none is told nothing;
/// one that did must be told, or it fetches the same token again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Wrong, expired or revoked.
    InvalidToken,
    /// Valid, but not for this.
    InsufficientScope,
}

impl Failure {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_with_many_headers_is_remembered_with_few() {
        let remembered = HeaderCache {
            entries: 3,
            ..HeaderCache::default()
        };
        let known = known_headers(&remembered);
        let caller = Arc::new(Caller::anonymous());
        for number in 0..100 {
            known.insert([number; 32], Arc::clone(&caller));
        }
        known.run_pending_tasks();
        assert!(known.entry_count() <= 3, "{}", known.entry_count());
    }
}
