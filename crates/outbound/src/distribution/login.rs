//! Who asks an upstream, and by which secret: one that may be another by the time that the upstream does not take it any more.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Upstream;
use crate::Authorization;

/// The user name that stands for an identity token in place of a password, as docker keeps it.
const TOKEN_USER: &str = "<token>";

/// Least time between two looks at where a secret comes from. Whatever is refused in between is refused.
const REREAD_EVERY: Duration = Duration::from_secs(5);

/// Where a secret comes from; `None`: it cannot be told just now, and stays what it was.
type Reading = dyn Fn() -> Option<String> + Send + Sync;

/// A user name with its password or secret. Clones share the secret.
#[derive(Clone)]
pub struct UpstreamLogin {
    user: String,
    secret: Arc<Secret>,
    /// Whether the secret is a token that goes along as it is.
    is_token: bool,
}

struct Secret {
    now: Mutex<Zeroizing<String>>,
    reading: Option<Box<Reading>>,
    /// When it was last read anew.
    read: Mutex<Option<Instant>>,
}

impl Secret {
    fn of(secret: String, reading: Option<Box<Reading>>) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(Zeroizing::new(secret)),
            reading,
            read: Mutex::default(),
        })
    }

    fn get(&self) -> Zeroizing<String> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl UpstreamLogin {
    /// A user with a password, or `<token>` with an identity token that gets tokens (Docker's token specification, `refresh_token`).
    pub fn new(user: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            secret: Secret::of(secret.into(), None),
            is_token: false,
        }
    }

    /// The same, of a secret that may change: when the upstream does not take it, `reading` says what it is by now. It may block, and
    /// is asked every few seconds at most.
    #[must_use]
    pub fn read_again_by(self, reading: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            secret: Secret::of(self.secret.get().to_string(), Some(Box::new(reading))),
            ..self
        }
    }

    /// A token that somebody got from the upstream's own token service. It goes along as it is, and no other is asked for.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self {
            user: String::new(),
            secret: Secret::of(token.into(), None),
            is_token: true,
        }
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The identity token, where it is one.
    pub(super) fn identity(&self) -> Option<Zeroizing<String>> {
        (self.user == TOKEN_USER).then(|| self.secret.get())
    }

    /// `Bearer …`, where it is a token.
    pub(super) fn token(&self) -> Option<Authorization> {
        if !self.is_token {
            return None;
        }
        Authorization::new(format!("Bearer {}", self.secret.get().as_str()))
    }

    /// `Basic …`; `None` for tokens.
    pub(super) fn basic(&self) -> Option<Authorization> {
        if self.is_token || self.user == TOKEN_USER {
            return None;
        }
        let pair = Zeroizing::new(format!("{}:{}", self.user, self.secret.get().as_str()));
        Authorization::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
    }

    /// Looks what the secret is by now, unless that was just done. Answers whether it is another one than `refused`.
    fn read_again(&self, refused: &str, now: Instant) -> bool {
        let Some(reading) = &self.secret.reading else {
            return false;
        };
        // Whoever was refused as well waits here and finds what was read.
        let mut read = self.secret.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.secret.get() == refused {
            if read.is_some_and(|read| now.saturating_duration_since(read) < REREAD_EVERY) {
                return false;
            }
            *read = Some(now);
            if let Some(secret) = reading() {
                *self.secret.now.lock().unwrap_or_else(PoisonError::into_inner) = Zeroizing::new(secret);
            }
        }
        *self.secret.get() != refused
    }
}

impl fmt::Debug for UpstreamLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamLogin(…)")
    }
}

/// A secret as it was when it was sent.
pub(super) struct Sent(Zeroizing<String>);

impl Upstream {
    /// The secret as it is now; `None`: there is none.
    pub(super) fn secret(&self) -> Option<Sent> {
        self.inner.login.as_ref().map(|login| Sent(login.secret.get()))
    }

    /// Whether the secret is another one than what was sent and refused, which is worth one more try.
    pub(super) async fn has_changed(&self, refused: Option<Sent>) -> bool {
        let (Some(login), Some(Sent(refused))) = (self.inner.login.clone(), refused) else {
            return false;
        };
        if login.secret.reading.is_none() {
            return false;
        }
        let now = self.now();
        let read = tokio::task::spawn_blocking(move || login.read_again(&refused, now));
        read.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_login_is_not_shown() {
        let login = UpstreamLogin::new("ann", "secret");
        assert!(!format!("{login:?} {:?}", login.basic()).contains("secret"));
        assert_eq!(login.user(), "ann");
        let header = login.basic().unwrap().header().unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic YW5uOnNlY3JldA==");
        let token = UpstreamLogin::bearer("abc.def");
        assert!(!format!("{token:?}").contains("abc"));
        assert!(token.basic().is_none());
        let header = token.token().unwrap().header().unwrap();
        assert_eq!(header.to_str().unwrap(), "Bearer abc.def");
        let token = UpstreamLogin::new("<token>", "abc");
        assert!(token.token().is_none());
        assert_eq!(token.identity().unwrap().as_str(), "abc");
        assert!(token.basic().is_none());
    }

    #[test]
    fn a_secret_that_is_refused_is_read_again_now_and_then() {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let reading = move || Some(format!("secret {}", counted.fetch_add(1, Ordering::Relaxed)));
        let login = UpstreamLogin::new("ann", "old").read_again_by(reading);
        let now = Instant::now();
        assert!(login.read_again("old", now));
        assert_eq!(login.secret.get().as_str(), "secret 0");
        assert!(login.read_again("old", now), "somebody else has read it");
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        assert!(!login.read_again("secret 0", now), "too soon");
        assert!(login.clone().read_again("secret 0", now + REREAD_EVERY));
        assert_eq!(login.secret.get().as_str(), "secret 1");
        assert!(!UpstreamLogin::new("ann", "old").read_again("old", now));
    }

    #[test]
    fn one_that_cannot_be_read_stays() {
        let login = UpstreamLogin::new("ann", "old").read_again_by(|| None);
        assert!(!login.read_again("old", Instant::now()));
        assert_eq!(login.secret.get().as_str(), "old");
    }
}
