//! Package URLs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{OsRelease, Package};

/// A package URL (purl-spec). Made by [`Package::purl`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Purl(String);

impl Purl {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn of(package: &Package, _os: Option<&OsRelease>) -> Self {
        Self(format!(
            "pkg:{}/{}@{}",
            package.kind.purl_type(),
            package.name,
            package.version
        ))
    }
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
