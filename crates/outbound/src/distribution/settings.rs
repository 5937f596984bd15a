//! How an upstream is reached, and with what.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use zeroize::Zeroizing;

use super::Budget;
use crate::{Authorization, OutboundError, Settings};

/// The user name that stands for an identity token in place of a password, as docker keeps it.
const TOKEN_USER: &str = "<token>";

/// How an upstream registry is reached, and what it may be told and asked.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// `http(s)://host[:port]`, without a path.
    pub url: Url,
    /// Who asks; `None`: nobody in particular.
    pub login: Option<UpstreamLogin>,
    /// Hosts to which it may send us for tokens, and which then get the login: `host` (on the usual port of its scheme) or
    /// `host:port`. Its own host and port are among them anyway. `*` is any, for where a person decides where credentials go.
    pub realm_hosts: Vec<String>,
    /// Hosts to which it may redirect us: `host`, `host:port` or `*.domain`. Empty: any that the address guard lets through.
    /// They get no credentials.
    pub blob_hosts: Vec<String>,
    /// How much it is asked for.
    pub budget: Budget,
    /// Address guard, authorities, proxy, deadline of a connection, redirects. `total_timeout` is the deadline for everything but
    /// the bytes of a blob. It is asked once, whatever `attempts` says, and `idle_timeout` gives way to the two below.
    pub client: Settings,
    /// Longest time until the head of an answer is there.
    pub first_byte: Duration,
    /// Longest silence within the body of an answer.
    pub idle: Duration,
}

/// A user name with its password or secret.
#[derive(Clone)]
pub struct UpstreamLogin {
    user: String,
    secret: Zeroizing<String>,
    /// Whether the secret is a token that goes along as it is.
    is_token: bool,
}

impl UpstreamLogin {
    /// A user with a password, or `<token>` with an identity token that gets tokens (Docker's token specification, `refresh_token`).
    pub fn new(user: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            secret: Zeroizing::new(secret.into()),
            is_token: false,
        }
    }

    /// A token that somebody got from the upstream's own token service. It goes along as it is, and no other is asked for.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self {
            user: String::new(),
            secret: Zeroizing::new(token.into()),
            is_token: true,
        }
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The identity token, where it is one.
    pub(super) fn identity(&self) -> Option<&str> {
        (self.user == TOKEN_USER).then_some(self.secret.as_str())
    }

    /// `Bearer …`, where it is a token.
    pub(super) fn token(&self) -> Option<Authorization> {
        if !self.is_token {
            return None;
        }
        Authorization::new(format!("Bearer {}", self.secret.as_str()))
    }

    /// `Basic …`; `None` for tokens.
    pub(super) fn basic(&self) -> Option<Authorization> {
        if self.is_token || self.identity().is_some() {
            return None;
        }
        let pair = Zeroizing::new(format!("{}:{}", self.user, self.secret.as_str()));
        Authorization::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
    }
}

impl fmt::Debug for UpstreamLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamLogin(…)")
    }
}

/// Refuses a URL that is more or less than scheme, host and port.
pub(super) fn check(url: &Url) -> Result<(), OutboundError> {
    let offence = if !matches!(url.scheme(), "http" | "https") {
        "it begins neither with https:// nor with http://"
    } else if !url.username().is_empty() || url.password().is_some() {
        "it names a user or a password: they are settings of their own"
    } else if url.host_str().is_none() {
        "it names no host"
    } else if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        "it has a path: an upstream is a scheme, a host and perhaps a port"
    } else {
        return Ok(());
    };
    let mut shown = url.clone();
    // Fails for URLs that can have none.
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    Err(OutboundError::Url {
        url: shown.to_string(),
        offence,
    })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(token.identity(), Some("abc"));
        assert!(token.basic().is_none());
    }

    #[test]
    fn an_upstream_is_a_scheme_a_host_and_a_port() {
        for right in [
            "https://registry.example",
            "http://registry.example:5000/",
            "https://[2001:db8::1]:5000",
        ] {
            check(&Url::parse(right).unwrap()).unwrap();
        }
        for wrong in [
            "ftp://registry.example",
            "https://ann:secret@registry.example",
            "https://registry.example/v2",
            "https://registry.example/?a",
            "https://registry.example/#a",
            "data:text/plain,x",
        ] {
            let error = check(&Url::parse(wrong).unwrap()).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
