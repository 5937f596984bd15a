//! Why something did not come.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use thiserror::Error;

/// Why something did not come. URLs in it have no credentials: a [`Client`](crate::Client) takes none that have.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The client could not be made.
    #[error("cannot prepare requests")]
    Setup(#[source] reqwest::Error),
    /// An authority's certificates cannot be read.
    #[error("the certificates of an authority are not in PEM form")]
    Authority(#[source] Option<reqwest::Error>),
    /// A URL that is not asked for.
    #[error("{url}: {offence}")]
    Url {
        /// Which.
        url: String,
        /// What is wrong with it.
        offence: &'static str,
    },
    /// An address that is not public, and that nobody has listed.
    #[error("{} is not a public address", named(host, *address))]
    Address {
        /// Who was asked for.
        host: String,
        /// Where that is.
        address: IpAddr,
    },
    /// From `https` to `http`.
    #[error("{from} redirects to {to}, where everybody in between could read and change it")]
    Downgrade {
        /// Who says so.
        from: Box<Url>,
        /// Where to.
        to: Box<Url>,
    },
    /// Too many redirects.
    #[error("{url} redirects more than {most} times")]
    Redirects {
        /// What was asked for.
        url: Box<Url>,
        /// How many are followed.
        most: usize,
    },
    /// No connection, or none that TLS accepts.
    #[error("cannot reach {host}")]
    Unreachable {
        /// Who.
        host: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// No connection, where it is not HTTP that is spoken.
    #[error("cannot reach {host}")]
    Unconnected {
        /// Who.
        host: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A mail server that does not take the mail.
    #[error("{host} does not take the mail: {reason}")]
    Mail {
        /// Who.
        host: String,
        /// What it said, or what it lacks.
        reason: String,
        /// Whether that may be otherwise later (RFC 5321, section 4.2.1).
        may_pass: bool,
    },
    /// It answered and then broke off, fell silent, or sent another length than it said.
    #[error("the answer of {url} broke off")]
    Broken {
        /// What was asked for.
        url: Box<Url>,
        /// How.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// Not done in time.
    #[error("{url} was not there after {limit:?}")]
    Slow {
        /// What was asked for.
        url: Box<Url>,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It asks to be left alone for a while.
    #[error("{url} answers {status}{}", said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    Busy {
        /// What was asked for.
        url: Box<Url>,
        /// How it says so.
        status: StatusCode,
        /// For how long, if it says that.
        retry_after: Option<Duration>,
        /// Why, as far as it was read, clipped and escaped.
        said: Option<String>,
    },
    /// There is nothing at that URL.
    #[error("there is nothing at {url} ({status})")]
    Missing {
        /// What was asked for.
        url: Box<Url>,
        /// 404 or 410.
        status: StatusCode,
    },
    /// Another status than one that brings something.
    #[error("{url} answers {status}")]
    Status {
        /// What was asked for.
        url: Box<Url>,
        /// The status.
        status: StatusCode,
    },
    /// More bytes than the request allows, as they come or unpacked.
    #[error("{url} has more than {most} bytes")]
    TooLarge {
        /// What was asked for.
        url: Box<Url>,
        /// How many it may have.
        most: u64,
    },
    /// Packed in a way that nobody asked for, or not as it says.
    #[error("{url} is packed with {coding:?}, which cannot be unpacked")]
    Coding {
        /// What was asked for.
        url: Box<Url>,
        /// With what, as it says.
        coding: String,
    },
    /// The file that it was to be written to.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl OutboundError {
    /// Whether it is about this host as a whole and not about one URL: whoever wants more from it need not try now.
    pub fn is_of_host(&self, wanted: &str) -> bool {
        match self {
            Self::Setup(_) | Self::Authority(_) => true,
            Self::Address { host, .. } | Self::Unreachable { host, .. } => host == wanted,
            Self::Busy { url, status, .. } => {
                let asks_for_peace = matches!(
                    *status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                );
                asks_for_peace && url.host_str() == Some(wanted)
            }
            _ => false,
        }
    }

    /// How long it asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the next try may end otherwise.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Busy { .. }
        )
    }
}

/// An address, and the name that stands for it if there is one.
fn named(host: &str, address: IpAddr) -> String {
    let is_literal = host.trim_matches(['[', ']']).parse() == Ok(address);
    if is_literal {
        host.to_owned()
    } else {
        format!("{address} ({host})")
    }
}
