//! Why an upstream did not bring what it was asked for.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::Spending;
use crate::OutboundError;

/// Why an upstream did not bring what it was asked for. Can be told to all who wait for the same thing. What the upstream said
/// is clipped and escaped in it, and no URL in it has a query: those of redirects are signed.
#[derive(Debug, Clone, Error)]
pub enum UpstreamError {
    /// It has no such thing, or says so.
    #[error("the upstream registry has no such thing")]
    NotFound,
    /// It does not let us have it. Some registries say so of what is not there.
    #[error("{host} refuses: {reason}")]
    Denied {
        /// Who.
        host: String,
        /// What it says, or what is missing.
        reason: String,
    },
    /// It lets us pull there, and its policy refuses this (403 with a decision, as Roadbed answers it).
    #[error("{host} refuses: {message}")]
    Refused {
        /// Who.
        host: String,
        /// The reasons, for people.
        message: String,
        /// The same for programs.
        detail: serde_json::Value,
    },
    /// It has been asked by whom it would ask itself (508).
    #[error("{host} would ask in a circle: {reason}")]
    Circle {
        /// Who.
        host: String,
        /// What it says.
        reason: String,
    },
    /// It asks to be left alone for a while.
    #[error("the upstream registry asks to be left alone (429)")]
    Throttled {
        /// For how long, if it says that.
        retry_after: Option<Duration>,
    },
    /// What may be asked of it within an hour is used up. It was asked for nothing.
    #[error("the {what} per hour that are set for this upstream are used up")]
    OverBudget {
        /// When there will be some again.
        retry_after: Duration,
        /// Of what there is none left.
        what: Spending,
    },
    /// No connection, no answer in time, or one of a server that cannot answer now.
    #[error("the upstream registry cannot be reached")]
    Unreachable(#[source] Arc<OutboundError>),
    /// It lied or spoke nonsense: another length or digest than it said, HTML, bad JSON, redirects to where nothing may be
    /// fetched from.
    #[error("{host} does not answer as a registry does: {offence}")]
    Broken {
        /// Who.
        host: String,
        /// What it did.
        offence: String,
        /// What was found.
        #[source]
        source: Option<Arc<OutboundError>>,
    },
    /// More bytes than the caller takes.
    #[error("what the upstream registry sends has more than {most} bytes")]
    TooLarge {
        /// How many are taken.
        most: u64,
    },
}

impl UpstreamError {
    /// When it is worth asking again, as far as anybody said.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => *retry_after,
            Self::OverBudget { retry_after, .. } => Some(*retry_after),
            Self::Unreachable(source) => source.retry_after(),
            _ => None,
        }
    }
}
