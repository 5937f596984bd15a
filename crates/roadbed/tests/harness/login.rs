//! Ways to log in, and the challenge that says how.

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Who a client is.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    /// Nobody.
    Anonymous,
    /// Name and password with every request.
    Basic { user: String, password: String },
    /// Name and password for a token, the token with every request, as Docker, containerd and the OCI conformance
    /// program do: one token per repository and kind of request, a new one when the server answers 401.
    Token { user: String, password: String },
    /// One token, whatever the server says.
    Bearer(String),
}

impl Login {
    /// [`Login::Basic`].
    pub(crate) fn basic(user: &str, password: &str) -> Self {
        Self::Basic {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// [`Login::Token`].
    pub(crate) fn token(user: &str, password: &str) -> Self {
        Self::Token {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }
}

/// The value of an `Authorization` header.
pub(crate) fn basic_header(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A Bearer challenge taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Where tokens are got.
    pub(crate) realm: String,
    /// For which service.
    pub(crate) service: String,
    /// Which rights the refused request needs; empty where it needs a login only.
    pub(crate) scope: String,
    /// `invalid_token`, `insufficient_scope` or nothing.
    pub(crate) error: Option<String>,
}

impl Challenge {
    /// Reads `Bearer realm="…",service="…",scope="…"`. Clients in the field find the scheme by searching the value for
    /// `bearer` or `basic`, so neither word may occur elsewhere in it.
    pub(crate) fn parse(value: &str) -> Result<Self> {
        let parameters = value
            .strip_prefix("Bearer ")
            .with_context(|| format!("not a Bearer challenge: {value}"))?;
        let lower = parameters.to_lowercase();
        ensure!(
            !lower.contains("bearer") && !lower.contains("basic"),
            "a scheme's name inside the parameters: {value}"
        );
        let find = |name: &str| {
            let start = parameters.find(&format!("{name}=\""))? + name.len() + 2;
            let length = parameters[start..].find('"')?;
            Some(parameters[start..start + length].to_owned())
        };
        Ok(Self {
            realm: find("realm").with_context(|| format!("no realm in {value}"))?,
            service: find("service").with_context(|| format!("no service in {value}"))?,
            scope: find("scope").unwrap_or_default(),
            error: find("error"),
        })
    }
}
