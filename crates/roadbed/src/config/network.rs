//! Addresses in the configuration: the registry's own URL.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The address by which clients know the registry: scheme, host and optional port, nothing behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl(String);

impl PublicUrl {
    /// The URL without a slash at its end.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let url = text.strip_suffix('/').unwrap_or(text);
        let (scheme, host) = url.split_once("://").ok_or(NetworkError::Url)?;
        let is_host = !host.is_empty()
            && host.len() <= 261
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
        if !is_host || !matches!(scheme, "http" | "https") {
            return Err(NetworkError::Url);
        }
        Ok(Self(url.to_owned()))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NetworkError {
    /// Not `http(s)://host[:port]`.
    #[error("write http:// or https:// and a host, without a path")]
    Url,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_has_no_path() {
        assert_eq!(
            "https://r.example:5000/".parse::<PublicUrl>().unwrap().as_str(),
            "https://r.example:5000"
        );
        for bad in [
            "",
            "r.example",
            "ftp://r.example",
            "https://",
            "https://r.example/x",
            "https://a b",
        ] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }
}
