//! What is asked for.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;
use zeroize::Zeroizing;

/// Bytes of a validator that are kept; a longer one is as if there were none.
const VALIDATOR_BYTES: usize = 1_024;

/// A request for what is at a URL.
#[derive(Clone)]
pub struct Request {
    pub(crate) url: Url,
    pub(crate) most_bytes: u64,
    pub(crate) known: Validators,
    pub(crate) authorization: Option<Authorization>,
    pub(crate) on_bytes: Arc<dyn Fn(u64) + Send + Sync>,
}

/// What identifies a state of what is at a URL: handed out with an answer, sent back to ask whether it still is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`, as it came.
    pub etag: Option<String>,
    /// `Last-Modified`, as it came.
    pub last_modified: Option<String>,
}

/// The value of an `Authorization` header, for one origin.
#[derive(Clone)]
pub struct Authorization(Arc<Zeroizing<String>>);

impl Request {
    /// What is at `url`, in at most `most_bytes`.
    pub fn new(url: Url, most_bytes: u64) -> Self {
        Self {
            url,
            most_bytes,
            known: Validators::default(),
            authorization: None,
            on_bytes: Arc::new(|_| {}),
        }
    }

    /// Unless it still is what is known.
    #[must_use]
    pub fn unless(self, known: Validators) -> Self {
        Self { known, ..self }
    }

    /// With credentials. They are sent to the origin of the URL (scheme, host and port) and nowhere else.
    #[must_use]
    pub fn authorized(self, authorization: Option<Authorization>) -> Self {
        Self {
            authorization,
            ..self
        }
    }

    /// Tells `on_bytes` how many bytes have come since it was last told.
    #[must_use]
    pub fn counting(self, on_bytes: Arc<dyn Fn(u64) + Send + Sync>) -> Self {
        Self { on_bytes, ..self }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("url", &self.url.as_str())
            .field("most_bytes", &self.most_bytes)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

impl Validators {
    /// Those of an answer.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            (value.len() <= VALIDATOR_BYTES).then(|| value.to_owned())
        };
        Self {
            etag: text(header::ETAG),
            last_modified: text(header::LAST_MODIFIED),
        }
    }

    /// Whether there is nothing to ask by.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// The entity tag, if two states that have the same one are the same byte for byte (RFC 9110, section 8.8.1).
    pub(crate) fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| etag.starts_with('"'))
    }

    /// Asks for it only if it has changed.
    pub(crate) fn ask_in(&self, headers: &mut HeaderMap) {
        let pairs = [
            (header::IF_NONE_MATCH, &self.etag),
            (header::IF_MODIFIED_SINCE, &self.last_modified),
        ];
        for (name, value) in pairs {
            if let Some(value) = value
                .as_deref()
                .and_then(|value| HeaderValue::from_str(value).ok())
            {
                headers.insert(name, value);
            }
        }
    }
}

impl Authorization {
    /// From the text of the header (`Bearer …`, `Basic …`). `None`: no header can hold it.
    pub fn new(text: String) -> Option<Self> {
        HeaderValue::from_str(&text).ok()?;
        Some(Self(Arc::new(Zeroizing::new(text))))
    }

    /// Whether it is the same one, and not only says the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it says the same.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&self.0).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        let authorization = Authorization::new("Bearer secret".to_owned()).unwrap();
        let url = Url::parse("https://feeds.example/x").unwrap();
        let request = Request::new(url, 1).authorized(Some(authorization.clone()));
        assert!(!format!("{request:?} {authorization:?}").contains("secret"));
        assert!(Authorization::new("two\r\nlines".to_owned()).is_none());
    }

    #[test]
    fn only_a_strong_tag_lets_a_download_go_on() {
        let of = |etag: &str| Validators {
            etag: Some(etag.to_owned()),
            last_modified: None,
        };
        assert_eq!(of("\"a\"").strong_etag(), Some("\"a\""));
        assert_eq!(of("W/\"a\"").strong_etag(), None);
        assert_eq!(Validators::default().strong_etag(), None);
    }

    #[test]
    fn validators_that_are_too_long_are_none() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ETAG,
            HeaderValue::from_str(&"x".repeat(VALIDATOR_BYTES + 1)).unwrap(),
        );
        assert!(Validators::of(&headers).is_empty());
    }
}
