//! Why nobody stands behind a document.

use thiserror::Error;

use crate::limits::MAX_TEXT_BYTES;

/// Why a document does not count. What strangers wrote is clipped and escaped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// Larger than what is read.
    #[error("it has {size} bytes; at most {limit} are read (signatures.document_bytes)")]
    TooLarge {
        /// Its size, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Its blob is not here.
    #[error("its bytes are not here")]
    Absent,
    /// It is not what its media type says.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// More certificates, log entries, timestamps or signatures than are verified.
    #[error("it has {found} {what}; at most {limit} are verified")]
    TooMany {
        /// Which parts.
        what: &'static str,
        /// How many it has.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// It speaks of something else.
    #[error("it is about {0}, not about this image")]
    OtherImage(String),
    /// It names another repository, and the signer wants this one.
    #[error("it was made for {0}, not for this repository")]
    OtherRepository(String),
    /// It names no repository, and the signer wants this one.
    #[error("it does not say for which repository it was made")]
    NoRepository,
    /// No signer is trusted here.
    #[error("no signer is trusted for this repository: `roadbed signer add` names one")]
    Nobody,
    /// Signers were asked, and none of them made it.
    #[error("{0}")]
    ByNone(String),
    /// A key was expected.
    #[error("it was signed with a certificate, not with the key")]
    NotByKey,
    /// A certificate was expected.
    #[error("it was signed with a key, not with a certificate")]
    NotByCertificate,
    /// The log is expected to know it.
    #[error("no entry of a transparency log comes with it")]
    NotLogged,
    /// The key did not make it, or what was signed has been altered.
    #[error("the key did not make this signature")]
    Signature,
    /// Somebody else made it.
    #[error("it was signed by {found}, not by {expected}")]
    OtherIdentity {
        /// Who is in the certificate.
        found: String,
        /// Who is trusted.
        expected: String,
    },
    /// What the certificate, the log or the timestamp prove is not enough.
    #[error("{0}")]
    Unproven(String),
    /// There is nothing that verifies it.
    #[error("signatures of Notation are recognised, not verified")]
    NotVerified,
}

/// What a stranger wrote, or a library says of it: one line, escaped, clipped.
pub(crate) fn clip(text: &str) -> String {
    let mut clipped = String::new();
    for character in text.chars().flat_map(char::escape_debug) {
        if clipped.len() + character.len_utf8() > MAX_TEXT_BYTES {
            clipped.push('…');
            break;
        }
        clipped.push(character);
    }
    clipped
}
