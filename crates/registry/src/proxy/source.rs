//! What an upstream is asked, in the words of the proxy.
//!
//! Whoever implements this keeps its own deadlines, address guard and budget; the proxy has a deadline of its own for each question
//! besides, and believes nothing that it can check itself.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use oci::{Digest, Reference, RepoName, Tag};
use serde_json::Value;
use thiserror::Error;

/// An answer, some time later.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, SourceError>> + Send + 'a>>;

/// Bytes of a blob as they come.
pub type SourceBody = Pin<Box<dyn Stream<Item = Result<Bytes, SourceError>> + Send>>;

/// What an upstream says of a manifest without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHead {
    /// What it is called, if it says so.
    pub digest: Option<Digest>,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceManifest {
    /// As it was sent.
    pub bytes: Bytes,
    /// The content type that came with it.
    pub media_type: Option<String>,
    /// What it is called.
    pub digest: Digest,
}

/// A blob that begins to come.
pub struct SourceBlob {
    /// Bytes of the whole blob, if that is said.
    pub size: Option<u64>,
    /// Where `body` begins: what was asked for, or 0 where the upstream knows no ranges.
    pub from: u64,
    /// The bytes; nobody has compared them with the digest.
    pub body: SourceBody,
}

/// What is left of a budget; `None` where there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceBudget {
    /// Requests within this hour.
    pub requests: Option<u64>,
    /// Bytes within this hour.
    pub bytes: Option<u64>,
}

/// What was spent of a budget within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceSpent {
    /// How long ago the minute began.
    pub ago: Duration,
    /// Requests.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A cause. What names hosts, addresses and certificates between here and an upstream is for the log and for operators; whoever
/// pulls is told no more than that there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    text: String,
    is_inner: bool,
}

impl Cause {
    /// One for operators alone.
    pub fn inner(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_inner: true,
        }
    }

    /// What clients may read of it.
    fn told(&self) -> Option<&str> {
        (!self.is_inner).then_some(self.text.as_str())
    }
}

/// One that everybody may read.
impl From<String> for Cause {
    fn from(text: String) -> Self {
        Self {
            text,
            is_inner: false,
        }
    }
}

/// One that everybody may read.
impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why an upstream did not bring what it was asked for. Displayed, it is for operators; [`SourceError::told`] is for clients.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// It has no such thing.
    #[error("it has no such thing")]
    NotFound,
    /// It does not let us have it.
    #[error("it does not let this registry have that: {0}")]
    Denied(Cause),
    /// Its policy refuses it, or it lets nobody have it through us: what is held of it is not served in its place.
    #[error("{message}")]
    Refused {
        /// For people.
        message: String,
        /// For programs.
        detail: Value,
    },
    /// It asks to be left alone for a while.
    #[error("it asks to be left alone for a while (429)")]
    Throttled {
        /// For how long, if it says that.
        retry_after: Option<Duration>,
    },
    /// It is there, and cannot say yet.
    #[error("{message}")]
    Later {
        /// What it waits for.
        message: String,
        /// When it is worth asking again, if it says that.
        retry_after: Option<Duration>,
    },
    /// What may be asked of it is used up.
    #[error("what may be asked of it within an hour is used up")]
    OverBudget {
        /// When there is some again.
        retry_after: Duration,
    },
    /// It cannot be reached, or does not answer.
    #[error("it cannot be reached: {0}")]
    Unreachable(Cause),
    /// It answers, and fails at this, or whoever it sends us to for this does: nothing is known against the rest of it.
    #[error("it fails at this: {0}")]
    Failing(Cause),
    /// It lies, or speaks nonsense.
    #[error("it does not answer as a registry does: {0}")]
    Broken(Cause),
    /// More bytes than are taken.
    #[error("what it sends has more than {most} bytes")]
    TooLarge {
        /// How many are taken.
        most: u64,
    },
}

impl SourceError {
    /// What clients may read.
    pub fn told(&self) -> String {
        let (what, cause) = match self {
            Self::Denied(cause) => ("it does not let this registry have that", cause),
            Self::Unreachable(cause) => ("it cannot be reached", cause),
            Self::Failing(cause) => ("it fails at this", cause),
            Self::Broken(cause) => ("it does not answer as a registry does", cause),
            other => return other.to_string(),
        };
        match cause.told() {
            Some(cause) => format!("{what}: {cause}"),
            None => format!("{what}; whoever looks after this registry finds the cause in its log"),
        }
    }
}

/// An upstream registry.
pub trait Source: Send + Sync {
    /// Asks what a manifest is called.
    fn head_manifest<'a>(&'a self, repo: &'a RepoName, reference: &'a Reference) -> Asked<'a, SourceHead>;

    /// Fetches a manifest of at most `most` bytes.
    fn manifest<'a>(
        &'a self,
        repo: &'a RepoName,
        reference: &'a Reference,
        most: usize,
    ) -> Asked<'a, SourceManifest>;

    /// Begins to fetch a blob, from a byte on.
    fn blob<'a>(&'a self, repo: &'a RepoName, digest: &'a Digest, from: u64) -> Asked<'a, SourceBlob>;

    /// The tags of a repository, at most `most` of them. Whoever is not asked for lists has none.
    fn tags<'a>(&'a self, _repo: &'a RepoName, _most: usize) -> Asked<'a, Vec<Tag>> {
        Box::pin(std::future::ready(Err(SourceError::NotFound)))
    }

    /// Whether it has answered anything since then, whatever it said: then what failed meanwhile is no failure of all of it. Whoever
    /// does not know says no.
    fn heard_since(&self, _moment: Instant) -> bool {
        false
    }

    /// What may still be asked of it within this hour.
    fn budget_left(&self) -> SourceBudget {
        SourceBudget::default()
    }

    /// What was spent of its budget within the last hour, the oldest first. Nothing where there is no budget.
    fn spent(&self) -> Vec<SourceSpent> {
        Vec::new()
    }

    /// Counts what was spent before the last start.
    fn recall(&self, _spent: &[SourceSpent]) {}
}
