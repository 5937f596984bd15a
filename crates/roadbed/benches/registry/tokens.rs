//! The token flow of registry clients: a challenge, a token per repository.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::http::{Connection, Endpoint};

/// Gets tokens over one connection.
#[derive(Debug)]
pub(crate) struct TokenDesk {
    endpoint: Endpoint,
    connection: Connection,
    basic: String,
    /// Path and query up to the scope.
    path: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
}

impl TokenDesk {
    /// Asks the server where tokens are got. `basic` is the value of a header.
    pub(crate) fn open(endpoint: &Endpoint, basic: &str) -> Result<Self> {
        let mut connection = endpoint.dialer()?.connect()?;
        let answer = connection.exchange(&endpoint.head("GET", "/v2/", &[]), &[])?;
        connection.skip_body(&answer)?;
        let challenge = answer
            .header("WWW-Authenticate")
            .context("the server asks for no login")?;
        let realm = parameter(challenge, "realm").context("no realm in the challenge")?;
        let service = parameter(challenge, "service").context("no service in the challenge")?;
        let (_, address) = realm.split_once("://").context("the realm is not a URL")?;
        let path = &address[address.find('/').unwrap_or(address.len())..];
        let path = format!("{path}?service={}", percent_encoded(service));
        Ok(Self {
            endpoint: endpoint.clone(),
            connection,
            basic: basic.to_owned(),
            path,
        })
    }

    /// The value of an Authorization header for `actions` (`pull,push`) in one repository.
    pub(crate) fn token(&mut self, repository: &str, actions: &str) -> Result<String> {
        let scope = percent_encoded(&format!("repository:{repository}:{actions}"));
        let path = format!("{}&scope={scope}", self.path);
        let head = self
            .endpoint
            .head("GET", &path, &[("Authorization", &self.basic)]);
        let answer = self.connection.exchange(&head, &[])?;
        let body = self.connection.body(&answer)?;
        ensure!(
            answer.status == 200,
            "no token: {} {}",
            answer.status,
            String::from_utf8_lossy(&body)
        );
        let answer: TokenAnswer = serde_json::from_slice(&body).context("the answer holds no token")?;
        Ok(format!("Bearer {}", answer.token))
    }
}

fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
