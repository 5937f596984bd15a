//! The quota rule: what a repository may hold.

use std::fmt;

use thiserror::Error;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuotaKind {
    /// Bytes of the manifests of the repository, tagged or not, of the distinct blobs that they name, and of those that
    /// were pushed and never named.
    Bytes,
    /// Tags of the repository.
    Tags,
}

impl QuotaKind {
    /// What makes room.
    fn remedy(self) -> &'static str {
        match self {
            // Without their tags they still count.
            Self::Bytes => "manifests that are not needed, untagged ones too",
            Self::Tags => "tags that are not needed",
        }
    }
}

impl fmt::Display for QuotaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Tags => "tags",
        })
    }
}

/// A push would exceed the quota of its repository.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the repository may hold {limit} {kind} and would hold {wanted}; delete {} or ask an administrator for more",
    .kind.remedy()
)]
pub struct QuotaExceeded {
    /// What is counted.
    pub kind: QuotaKind,
    /// How many the rule allows.
    pub limit: u64,
    /// How many there would be.
    pub wanted: u64,
}

/// `Err` if `wanted` is over `limit`; no limit allows everything.
pub(crate) fn check(kind: QuotaKind, limit: Option<u64>, wanted: u64) -> Result<(), QuotaExceeded> {
    match limit {
        Some(limit) if wanted > limit => Err(QuotaExceeded { kind, limit, wanted }),
        _ => Ok(()),
    }
}
