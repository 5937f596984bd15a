//! Whose rules a package follows.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An ecosystem of OSV, without its release (osv-schema, "Defined Ecosystems").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ecosystem {
    /// AlmaLinux.
    AlmaLinux,
    /// Alpine.
    Alpine,
    /// Bitnami.
    Bitnami,
    /// Rust.
    CratesIo,
    /// Debian.
    Debian,
    /// Go.
    Go,
    /// Java.
    Maven,
    /// Node.
    Npm,
    /// .NET.
    NuGet,
    /// PHP.
    Packagist,
    /// Python.
    PyPi,
    /// Ruby.
    RubyGems,
}

/// Not an ecosystem that is known here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no ecosystem that is known here")]
pub struct EcosystemError(String);

impl FromStr for Ecosystem {
    type Err = EcosystemError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Err(EcosystemError(text.to_owned()))
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
