//! Why an archive cannot be read further.

use std::io;

use thiserror::Error;

use crate::{Exceeded, codec};

/// Why an archive cannot be read further. What was read before counts.
#[derive(Debug, Error)]
pub enum TarError {
    /// Go refuses it too.
    #[error("the archive is malformed: {0}")]
    Malformed(&'static str),
    /// It ends inside an entry.
    #[error("the archive ends too early")]
    Truncated,
    /// A limit.
    #[error(transparent)]
    Exceeded(Exceeded),
    /// The bytes below it cannot be read.
    #[error("the layer cannot be read")]
    Io(#[source] io::Error),
}

impl From<io::Error> for TarError {
    fn from(error: io::Error) -> Self {
        match codec::exceeded(&error) {
            Some(exceeded) => Self::Exceeded(exceeded.clone()),
            None => Self::Io(error),
        }
    }
}

pub(super) fn exceeded(limit: &'static str, detail: String) -> TarError {
    TarError::Exceeded(Exceeded { limit, detail })
}
