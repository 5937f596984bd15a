//! Requests to ticket systems: JSON out, JSON in, within bounds.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, StatusCode, header};
use outbound::{Authorization, Sending, Url};
use serde_json::Value;

use super::Channel;
use crate::telling::outcome::{NotTaken, of_error, of_reply};

/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 1 << 20;

/// Longest name that another system gives to a ticket, in bytes.
const MAX_EXTERNAL_BYTES: usize = 64;

/// What is asked of another system.
pub(super) enum Ask {
    Get,
    Post(Value),
    Put(Value),
    Patch(Value),
}

/// An answer that is no failure.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    /// `null` where it is no JSON.
    pub(super) body: Value,
}

impl Channel<'_> {
    /// The URL of a path below the target.
    pub(super) fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, NotTaken> {
        let text = format!("{}{path}", self.spec.target.trim_end_matches('/'));
        let mut url: Url = text
            .parse()
            .map_err(|_| NotTaken::later("the target is no URL: set the sink anew"))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Asks, and hears an answer: 404 is one, too.
    pub(super) async fn ask(&self, url: Url, ask: Ask) -> Result<Answered, NotTaken> {
        let sending = match ask {
            Ask::Get => Sending::get(url, ANSWER_BYTES),
            Ask::Post(body) => Sending::post(url, body.to_string(), ANSWER_BYTES),
            Ask::Put(body) => Sending::put(url, body.to_string(), ANSWER_BYTES),
            Ask::Patch(body) => Sending::patch(url, body.to_string(), ANSWER_BYTES),
        };
        let json = HeaderValue::from_static("application/json");
        let sending = sending
            .header(header::CONTENT_TYPE, json.clone())
            .header(header::ACCEPT, json)
            .authorized(Some(self.authorization()?));
        let reply = self
            .service
            .http
            .send(&sending)
            .await
            .map_err(|error| of_error(&error))?;
        if reply.status != StatusCode::NOT_FOUND {
            of_reply(&reply).map_err(|error| NotTaken {
                fields: refused_fields(&reply.body),
                ..error
            })?;
        }
        if reply.is_cut {
            return Err(NotTaken::later(format!(
                "its answer has more than {ANSWER_BYTES} bytes"
            )));
        }
        Ok(Answered {
            status: reply.status,
            body: serde_json::from_slice(&reply.body).unwrap_or_default(),
        })
    }

    fn authorization(&self) -> Result<Authorization, NotTaken> {
        let secret = self.secret()?;
        let text = match &self.spec.user {
            Some(user) => format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{secret}"))),
            None => format!("Bearer {secret}"),
        };
        Authorization::new(text).ok_or_else(|| NotTaken::later("the secret cannot be sent: set another one"))
    }
}

/// Most fields that are heard of.
const MAX_FIELDS: usize = 100;

/// The fields that an answer of Jira is about: the names in `errors`.
fn refused_fields(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let errors = body["errors"].as_object().into_iter().flatten();
    errors.take(MAX_FIELDS).map(|(name, _)| name.clone()).collect()
}

/// What another system calls a ticket, if that can stand in a path.
pub(super) fn external(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let fits = !text.is_empty() && text.len() <= MAX_EXTERNAL_BYTES && text.bytes().all(is_word);
    fits.then(|| text.to_owned())
}

/// The failure of an answer that is not what it should be.
pub(super) fn strange(what: &str) -> NotTaken {
    NotTaken::later(format!(
        "its answer has no {what}: is it what the sink says that it is?"
    ))
}
