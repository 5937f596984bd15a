//! What came of a source and is not taken in yet.

use std::collections::HashSet;
use std::path::PathBuf;

use outbound::Validators;

use super::source::Source;
use super::spool::Spool;

/// What came of a source.
pub(crate) enum Fetched {
    /// Nothing new.
    Unchanged,
    /// This.
    New(Box<Staged>),
}

/// What came, all of it there and looked at.
pub(crate) struct Staged {
    pub(crate) source: Source,
    /// By which to ask next time.
    pub(crate) validators: Validators,
    /// What the source lists now, as it is stored.
    pub(crate) list: Vec<u8>,
    /// How much that is.
    pub(crate) covers: u64,
    /// The archive, and which of its documents count.
    pub(crate) archive: Option<(PathBuf, HashSet<Box<str>>)>,
    /// Documents that came one by one.
    pub(crate) spool: Option<Spool>,
    /// The catalogue, with the name under which it lay.
    pub(crate) documents: Vec<(String, Vec<u8>)>,
    /// What the source has no more.
    pub(crate) gone: Vec<Box<str>>,
    /// How many ids it has lost.
    pub(crate) lost: u64,
    /// What of it cannot be taken, and why.
    pub(crate) refused: Vec<String>,
}

impl Staged {
    /// Whether there is anything to take in.
    pub(crate) fn is_empty(&self) -> bool {
        self.archive.is_none() && self.spool.is_none() && self.documents.is_empty() && self.gone.is_empty()
    }
}
