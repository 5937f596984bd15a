//! Kinds of events, as sinks name them.

use std::fmt;
use std::str::FromStr;

use policy::yaml::one_line;
use serde::{Deserialize, Serialize};

use crate::names::NameError;

/// Most patterns of one sink.
pub const MAX_EVENT_PATTERNS: usize = 100;

/// Longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 64;

/// A kind of event, `tag.set`; all of a group, `tag.*`; or all, `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventPattern(String);

impl EventPattern {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a kind of event is meant.
    pub fn matches(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(group) => kind.starts_with(group),
            None => kind == self.0,
        }
    }
}

impl FromStr for EventPattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let stem = text.strip_suffix(".*").unwrap_or(text);
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        let fits = text.len() <= MAX_PATTERN_BYTES && (text == "*" || stem.split('.').all(is_word));
        fits.then(|| Self(text.to_owned())).ok_or_else(|| NameError {
            what: "kind of event",
            text: one_line(text, 80),
            rule: "write a kind of the audit log such as tag.set, a group such as tag.*, or *",
        })
    }
}

impl TryFrom<String> for EventPattern {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<EventPattern> for String {
    fn from(pattern: EventPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
