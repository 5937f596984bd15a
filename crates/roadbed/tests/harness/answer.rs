//! An answer and what may be asked of it. Every check says which request it was, what was wanted, and what came.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use reqwest::{Response, Url, header::HeaderMap};
use serde_json::Value;

/// Bytes of a body that a failed check shows.
const SHOWN_BODY_BYTES: usize = 600;

/// Longest message of an error: it is shown on a terminal.
const MAX_MESSAGE_BYTES: usize = 1024;

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Method and URL of the request.
    pub(crate) sent: String,
    /// The status code.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    url: Url,
}

impl Answer {
    /// Reads the answer to its end.
    pub(crate) async fn read(sent: String, response: Response) -> Result<Self> {
        let (status, headers, url) = (
            response.status().as_u16(),
            response.headers().clone(),
            response.url().clone(),
        );
        let body = response
            .bytes()
            .await
            .with_context(|| format!("{sent}: {status}, but the body broke off"))?;
        Ok(Self {
            sent,
            status,
            headers,
            body,
            url,
        })
    }

    /// One of these statuses.
    pub(crate) fn expect(self, statuses: &[u16]) -> Result<Self> {
        ensure!(
            statuses.contains(&self.status),
            "{}: wanted {statuses:?}, got {}",
            self.sent,
            self.summary()
        );
        Ok(self)
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A header's value, which must be there.
    pub(crate) fn require(&self, name: &str) -> Result<&str> {
        self.header(name)
            .with_context(|| format!("{}: no header {name} in {}", self.sent, self.summary()))
    }

    /// This header with exactly this value, once.
    pub(crate) fn expect_header(self, name: &str, value: impl AsRef<str>) -> Result<Self> {
        let got = self.require(name)?;
        ensure!(
            got == value.as_ref(),
            "{}: header {name}: wanted {}, got {got}",
            self.sent,
            value.as_ref()
        );
        let count = self.headers.get_all(name).iter().count();
        ensure!(count == 1, "{}: header {name} occurs {count} times", self.sent);
        Ok(self)
    }

    /// This header must not be there.
    pub(crate) fn expect_no_header(self, name: &str) -> Result<Self> {
        ensure!(
            self.header(name).is_none(),
            "{}: header {name} in {}",
            self.sent,
            self.summary()
        );
        Ok(self)
    }

    /// Exactly this body, and a `Content-Length` that says so.
    pub(crate) fn expect_body(self, body: &[u8]) -> Result<Self> {
        let same = self.body == body;
        ensure!(
            same,
            "{}: {} bytes were wanted, other {} came: {}",
            self.sent,
            body.len(),
            self.body.len(),
            self.summary()
        );
        self.expect_length(body.len())
    }

    /// This `Content-Length`.
    pub(crate) fn expect_length(self, length: usize) -> Result<Self> {
        self.expect_header("content-length", length.to_string())
    }

    /// An error in the form of the specification ("Error Codes"), with this status and code.
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Result<Self> {
        self.expect_one_error(&[status], &[code])
    }

    /// An error in the form of the specification with one of these statuses and codes.
    pub(crate) fn expect_one_error(self, statuses: &[u16], codes: &[&str]) -> Result<Self> {
        let answer = self.expect(statuses)?;
        let code = answer.error_code()?;
        ensure!(
            codes.contains(&code.as_str()),
            "{}: wanted {codes:?}, got {}",
            answer.sent,
            answer.summary()
        );
        Ok(answer)
    }

    /// The code of the first error; its form and its message are checked on the way.
    pub(crate) fn error_code(&self) -> Result<String> {
        let kind = self.require("content-type")?;
        ensure!(
            kind == "application/json",
            "{}: errors are application/json, not {kind}",
            self.sent
        );
        let body = self.json()?;
        let errors = body["errors"]
            .as_array()
            .with_context(|| format!("{}: no errors in {body}", self.sent))?;
        let first = errors
            .first()
            .with_context(|| format!("{}: an empty list of errors", self.sent))?;
        for error in errors {
            check_entry(error).with_context(|| format!("{}: {error}", self.sent))?;
        }
        Ok(first["code"].as_str().unwrap_or_default().to_owned())
    }

    /// The message of the first error.
    pub(crate) fn error_message(&self) -> Result<String> {
        let body = self.json()?;
        let message = body["errors"][0]["message"].as_str();
        message
            .map(str::to_owned)
            .with_context(|| format!("{}: no message in {body}", self.sent))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{}: not JSON: {}", self.sent, self.summary()))
    }

    /// `Location`, resolved against the request. It must lead back to the same server.
    pub(crate) fn location(&self) -> Result<Url> {
        self.own_url(self.require("location")?)
    }

    /// The target of `Link: <…>; rel="next"`, resolved.
    pub(crate) fn next_link(&self) -> Result<Option<Url>> {
        let Some(link) = self.header("link") else {
            return Ok(None);
        };
        let target = link.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let Some((target, relation)) = target else {
            bail!("{}: not a link: {link}", self.sent)
        };
        ensure!(
            relation.trim() == "; rel=\"next\"" || relation.trim() == "; rel=next",
            "{}: {link}",
            self.sent
        );
        self.own_url(target).map(Some)
    }

    /// Status, headers and the start of the body on a few lines.
    pub(crate) fn summary(&self) -> String {
        let shown = &self.body[..self.body.len().min(SHOWN_BODY_BYTES)];
        format!(
            "{} {:?} {}",
            self.status,
            self.headers,
            String::from_utf8_lossy(shown)
        )
    }

    fn own_url(&self, target: &str) -> Result<Url> {
        let url = self
            .url
            .join(target)
            .with_context(|| format!("{}: not a URL: {target}", self.sent))?;
        ensure!(
            url.origin() == self.url.origin(),
            "{}: leads to another server: {target}",
            self.sent
        );
        Ok(url)
    }
}

/// `code` in capitals, a message that tells something and nothing of our insides.
fn check_entry(error: &Value) -> Result<()> {
    let code = error["code"].as_str().context("no code")?;
    ensure!(
        !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
        "code {code}"
    );
    let message = error["message"].as_str().context("no message")?;
    ensure!(message.len() >= 10, "the message tells nothing");
    ensure!(
        message.len() <= MAX_MESSAGE_BYTES,
        "the message has {} bytes",
        message.len()
    );
    for inside in [
        "panicked", "unwrap", "src/", ".rs:", "Some(", "Err(", "/tmp/", "sqlite", "SQL",
    ] {
        ensure!(
            !message.contains(inside),
            "the message shows our insides: {inside}"
        );
    }
    Ok(())
}
