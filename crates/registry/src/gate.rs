//! The gate: what a pull has to pass, and a push.
//!
//! The registry knows nothing of findings and rules. It asks a [`Gate`] before it hands out a manifest or a blob and before it
//! takes a manifest in, and says in the protocol's words what the gate answered.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use access::Caller;
use axum::body::Body;
use http::{HeaderValue, Method, Response, StatusCode, header};
use oci::{Digest, ErrorCode, Manifest, RepoName};
use serde_json::Value;
use store::StoredManifest;

use crate::error::ApiError;

/// What the gate says of a pull.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Serve,
    /// Served whatever was decided: who pulls it so does not run it by that, and makes it no image in use.
    Open,
    /// It is served, and the client is told why it may not be for long. The text of a `Warning` header.
    Warn(String),
    /// It is refused.
    Refuse {
        /// For people: the worst reasons and what fixes them, in one line.
        message: String,
        /// For programs.
        detail: Value,
    },
    /// Nobody has judged it yet.
    Undecided {
        /// When it is worth asking again.
        retry_after: Duration,
    },
    /// A blob that no manifest of the repository names. What somebody has pushed is served all the same; what came from an upstream
    /// is not, because its image was refused or never looked into.
    Unnamed,
}

impl Verdict {
    /// Whether it is served by that.
    pub(crate) fn is_served(&self) -> bool {
        matches!(self, Self::Serve | Self::Open | Self::Warn(_))
    }
}

/// Who pulls what.
#[derive(Debug, Clone, Copy)]
pub struct Pull<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// Where.
    pub repo: &'a RepoName,
    /// `false` for those who only ask whether it is there: they are told at once what is known.
    pub waits: bool,
}

/// Who pushes which manifest, which was parsed and is not stored yet.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    /// Who pushes.
    pub caller: &'a Caller,
    /// Where to.
    pub repo: &'a RepoName,
    /// What it is called.
    pub digest: &'a Digest,
    /// What it means.
    pub manifest: &'a Manifest,
}

/// What the gate says of a push. It never waits for long: what cannot be judged by then is taken.
#[derive(Debug, Clone, PartialEq)]
pub enum PushVerdict {
    /// Nothing speaks against it.
    Take,
    /// It is taken, and the client is told something about it. The text of a `Warning` header.
    Warn(String),
    /// It is refused.
    Refuse {
        /// For people: the worst reasons and what fixes them, in one line.
        message: String,
        /// For programs.
        detail: Value,
    },
}

/// The answer to a push, soon.
pub type PushAnswer<'a> = Pin<Box<dyn Future<Output = PushVerdict> + Send + 'a>>;

/// The answer, some time later.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// Decides about pulls and pushes. What was decided before of a pull must be answered from memory.
pub trait Gate: Send + Sync {
    /// May this manifest be pulled?
    fn manifest<'a>(&'a self, pull: Pull<'a>, manifest: &'a Arc<StoredManifest>) -> Answer<'a>;

    /// May this blob, which the repository has, be pulled?
    fn blob<'a>(&'a self, pull: Pull<'a>, digest: &'a Digest) -> Answer<'a>;

    /// May this manifest come in?
    fn push<'a>(&'a self, push: Push<'a>) -> PushAnswer<'a>;
}

/// Lets everything pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

impl Gate for OpenGate {
    fn manifest<'a>(&'a self, _: Pull<'a>, _: &'a Arc<StoredManifest>) -> Answer<'a> {
        Box::pin(std::future::ready(Verdict::Serve))
    }

    fn blob<'a>(&'a self, _: Pull<'a>, _: &'a Digest) -> Answer<'a> {
        Box::pin(std::future::ready(Verdict::Serve))
    }

    fn push<'a>(&'a self, _: Push<'a>) -> PushAnswer<'a> {
        Box::pin(std::future::ready(PushVerdict::Take))
    }
}

/// What goes with an answer that is served.
pub(crate) struct Passed {
    warning: Option<HeaderValue>,
    /// Whether a pull counts as use.
    pub(crate) is_use: bool,
}

impl Passed {
    fn with(warning: Option<HeaderValue>) -> Self {
        Self {
            warning,
            is_use: true,
        }
    }

    /// Tells the client, if there is something to tell.
    pub(crate) fn tell(self, response: &mut Response<Body>) {
        if let Some(warning) = self.warning {
            response.headers_mut().append(header::WARNING, warning);
        }
    }
}

/// The verdict in the words of the protocol. `HEAD` is told with a warning what `GET` is refused: clients that ask `HEAD` first
/// show a bare 403 and no reason.
pub(crate) fn pass(method: &Method, verdict: Verdict) -> Result<Passed, ApiError> {
    match verdict {
        Verdict::Serve | Verdict::Unnamed => Ok(Passed::with(None)),
        Verdict::Open => Ok(Passed {
            warning: None,
            is_use: false,
        }),
        Verdict::Warn(text) => Ok(Passed::with(warning(&text))),
        Verdict::Refuse { message, .. } if *method == Method::HEAD => Ok(Passed::with(warning(&message))),
        Verdict::Undecided { .. } if *method == Method::HEAD => Ok(Passed::with(warning(UNDECIDED))),
        Verdict::Refuse { message, detail } => Err(refusal(message, detail)),
        Verdict::Undecided { retry_after } => {
            let seconds = retry_after.as_secs().max(1);
            Err(
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, UNDECIDED)
                    .header(header::RETRY_AFTER, seconds.to_string()),
            )
        }
    }
}

/// What the client is told of a push that is taken, and the answer of one that is refused.
pub(crate) fn take(verdict: PushVerdict) -> (Passed, Option<ApiError>) {
    match verdict {
        PushVerdict::Take => (Passed::with(None), None),
        PushVerdict::Warn(text) => (Passed::with(warning(&text)), None),
        PushVerdict::Refuse { message, detail } => (Passed::with(None), Some(refusal(message, detail))),
    }
}

fn refusal(message: String, detail: Value) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message).detail(detail)
}

/// What is told of what nobody has judged yet.
pub(crate) const UNDECIDED: &str = "the image is still being looked into; ask again in a moment";

/// Longest `Warning` header, in bytes: the three of one answer have no more than the 4,096 that the distribution specification allows
/// for all of them.
const WARNING_BYTES: usize = 4_096 / 3;

/// A `Warning` header (RFC 7234, section 5.5; the code that the distribution specification gives it). A text that is too long is cut.
pub fn warning(text: &str) -> Option<HeaderValue> {
    const BEGIN: &str = "299 - \"";
    const CUT: &str = "...";
    // What comes behind a character, and an escaped one itself.
    const REST: usize = CUT.len() + "\\x\"".len();
    let mut value = String::with_capacity((BEGIN.len() + text.len() + text.len() / 8).min(WARNING_BYTES));
    value.push_str(BEGIN);
    for c in text.chars() {
        if value.len() + REST > WARNING_BYTES {
            value.push_str(CUT);
            break;
        }
        if matches!(c, '"' | '\\') {
            value.push('\\');
        }
        value.push(if matches!(c, ' '..='~') { c } else { '?' });
    }
    value.push('"');
    HeaderValue::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Verdict {
        Verdict::Refuse {
            message: "CVE-2021-44228 \"log4j\"\r\nX: y".into(),
            detail: Value::Null,
        }
    }

    #[test]
    fn a_warning_has_an_end() {
        for text in ["\"".repeat(10_000), "x".repeat(10_000), "ü".repeat(10_000)] {
            let value = warning(&text).unwrap();
            let value = value.to_str().unwrap();
            assert!(value.len() <= WARNING_BYTES, "{}", value.len());
            assert!(
                value.len() > WARNING_BYTES - 8 && value.ends_with("...\""),
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_refused_is_told_to_head_in_a_warning() {
        assert!(pass(&Method::GET, refused()).is_err());
        let mut response = Response::new(Body::empty());
        let Ok(passed) = pass(&Method::HEAD, refused()) else {
            panic!("refused")
        };
        passed.tell(&mut response);
        assert_eq!(
            response.headers()[header::WARNING],
            "299 - \"CVE-2021-44228 \\\"log4j\\\"??X: y\""
        );
    }

    #[test]
    fn what_is_undecided_is_asked_for_again() {
        let undecided = || Verdict::Undecided {
            retry_after: Duration::from_millis(10),
        };
        let Err(error) = pass(&Method::GET, undecided()) else {
            panic!("served")
        };
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert!(pass(&Method::HEAD, undecided()).is_ok());
    }
}
