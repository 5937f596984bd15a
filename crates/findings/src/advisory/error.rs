//! Why a document is refused.

use thiserror::Error;

/// A document that is not read. The importer counts it and says which.
#[derive(Debug, Error)]
pub enum AdvisoryError {
    /// More bytes than such a document may have.
    #[error("the {what} has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Kind of document.
        what: &'static str,
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// Not JSON, or not of the form that its specification gives.
    #[error("the {what} is malformed")]
    Malformed {
        /// Kind of document.
        what: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Well-formed, but one place breaks the specification.
    #[error("{document}: {place}: {offence}")]
    Broken {
        /// Its id.
        document: String,
        /// The place, as a path in the document (`affected[3].ranges[0].events[1]`).
        place: String,
        /// What is wrong there.
        offence: String,
    },
    /// A line of a list that is not of its form.
    #[error("line {line} of the {what}: {offence}")]
    Line {
        /// Kind of document.
        what: &'static str,
        /// The first is 1.
        line: usize,
        /// What is wrong there.
        offence: String,
    },
    /// An index that would not fit.
    #[error("the index of advisories would have more than {limit} {what}")]
    IndexTooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The stored form of an index is not what was written.
    #[error("the stored advisories are damaged: {0}")]
    Damaged(String),
}

/// Refuses what is larger than `limit`.
pub(crate) fn check_size(what: &'static str, bytes: &[u8], limit: usize) -> Result<(), AdvisoryError> {
    if bytes.len() > limit {
        return Err(AdvisoryError::TooLarge {
            what,
            bytes: bytes.len(),
            limit,
        });
    }
    Ok(())
}
