//! Why a source brought nothing, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use outbound::OutboundError;
use store::{FeedHold, Lifts, StoreError};
use thiserror::Error;
use web::NotAdmitted;

use super::archive::ArchiveError;
use super::list::ListError;

/// Why a source brought nothing.
#[derive(Debug, Error)]
pub(crate) enum FeedError {
    /// It did not come.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// A file of the configuration.
    #[error("cannot use {} ({key})", path.display())]
    File {
        /// Which key names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Option<std::io::Error>,
    },
    /// Something else came.
    #[error("what {url} answers is no {what}")]
    Other {
        /// What was wanted.
        what: &'static str,
        /// From where.
        url: String,
        /// What is wrong with it.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A list that is none.
    #[error("the list of {url} is not taken")]
    List {
        /// From where.
        url: String,
        /// Why.
        #[source]
        source: ListError,
    },
    /// An archive that is none.
    #[error("the archive of {url} is not taken")]
    Archive {
        /// From where.
        url: String,
        /// Why.
        #[source]
        source: ArchiveError,
    },
    /// It has lost more than is believed.
    #[error("{url} names {now} of the {before} {what} that it had before")]
    Shrunk {
        /// From where.
        url: String,
        /// Of what.
        what: &'static str,
        /// How many there were.
        before: u64,
        /// How many of them are left.
        now: u64,
    },
    /// It would let pass more than may be without a person.
    #[error("what it says now is held: {0}")]
    Lifts(Box<Lifts>),
    /// It was held, and why cannot be read any more.
    #[error(
        "why {0} is held is damaged in the database and cannot be read: it is not fetched, and what it said before stays in force"
    )]
    Unreadable(String),
    /// What it would let pass could not be found out.
    #[error("what it would let pass could not be found out")]
    Weighing(#[from] web::JudgingError),
    /// It has gone back in time.
    #[error("{url} says what it said before of {what}")]
    Older {
        /// From where.
        url: String,
        /// Of what.
        what: String,
    },
    /// It took too long.
    #[error("{url} did not bring all of what is new within {} s", limit.as_secs())]
    Deadline {
        /// From where.
        url: String,
        /// The limit.
        limit: Duration,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sync was ended.
    #[error("the sync was ended")]
    Ended,
}

impl From<NotAdmitted> for FeedError {
    fn from(why: NotAdmitted) -> Self {
        match why {
            NotAdmitted::Held(lifts) => Self::Lifts(lifts),
            NotAdmitted::Weighing(error) => Self::Weighing(error),
        }
    }
}

impl FeedError {
    /// What to do about it, for whoever runs the registry.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Outbound(error) => of_outbound(error),
            Self::File { .. } => "mend the file or the key",
            Self::Other { .. } => "a portal or proxy may answer in its place: open the URL from this machine",
            Self::List { .. } | Self::Archive { .. } => {
                "it may be half-written: it is tried again; if it stays so, tell whoever runs the source, or raise the limit"
            }
            Self::Shrunk { .. } => {
                "a list that was cut looks like this; if it is right, run `roadbed advisories sync --accept-removals`"
            }
            Self::Lifts(_) => {
                "look at what it names; `roadbed advisories status` has the command that lets it through"
            }
            Self::Unreadable(_) => {
                "`roadbed advisories sync --source NAME` fetches and weighs it anew; what lets pass much waits again"
            }
            Self::Weighing(_) => "the server's log says why; it is tried again",
            Self::Older { .. } => {
                "it may be a mirror that is not kept current; what is known is newer and stays: tell whoever runs it"
            }
            Self::Deadline { .. } => "raise feeds.source_timeout if the connection is slow",
            Self::Store(StoreError::TooManyAdvisories { .. }) => "what was fetched before stays in force",
            Self::Store(StoreError::ImportRunning) => "it is tried again when the import has ended",
            Self::Store(_) => "the server's log says why",
            Self::Ended => "run it again, it goes on",
        }
    }

    /// Why it waits for a person, if it does.
    pub(crate) fn hold(&self) -> Option<FeedHold> {
        match self {
            Self::Shrunk { before, now, .. } => Some(FeedHold::Shrunk {
                before: *before,
                now: *now,
            }),
            Self::Unreadable(_) => Some(FeedHold::Unreadable),
            Self::Lifts(lifts) => Some(FeedHold::Lifts {
                lifts: (**lifts).clone(),
            }),
            _ => None,
        }
    }

    /// The error with its causes and the remedy, in one line.
    pub(crate) fn with_remedy(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.ends_with(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        format!("{text} ({})", self.remedy())
    }

    /// Whether other sources of the same host need not be tried.
    pub(crate) fn is_of_host(&self, host: &str) -> bool {
        matches!(self, Self::Outbound(error) if error.is_of_host(host))
    }
}

fn of_outbound(error: &OutboundError) -> &'static str {
    match error {
        OutboundError::Address { .. } => {
            "list its network in feeds.allowed_private if this is a mirror of yours, else ask who runs the source"
        }
        OutboundError::Unreachable { .. } => {
            "let this machine reach it, set feeds.proxy or feeds.ca_file, name a mirror in feeds.osv, feeds.kev and feeds.epss, \
             or switch it off with an empty one"
        }
        OutboundError::Setup(_) | OutboundError::Authority(_) => {
            "install the certificates of authorities (ca-certificates), or set feeds.ca_file"
        }
        OutboundError::Missing { .. } => {
            "check the URL; an ecosystem that the source does not have has to leave feeds.ecosystems"
        }
        OutboundError::TooLarge { .. } => "if that is right, raise the limit of [feeds]",
        OutboundError::Busy { .. } => "it is tried again later",
        OutboundError::Slow { .. } => "raise feeds.total_timeout if the connection is slow",
        OutboundError::Broken { .. } => "it is tried again, and goes on where it was cut off",
        OutboundError::File { .. } => "free space on the disk of the data directory, then try again",
        OutboundError::Status { .. } => {
            "check the URL, and feeds.authorization_file if it wants to know who asks"
        }
        _ => "check the URL",
    }
}
