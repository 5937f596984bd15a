//! How an upstream is reached, and with what.

use std::time::Duration;

use reqwest::Url;

use super::{Budget, UpstreamLogin};
use crate::{OutboundError, Settings};

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
