//! The words for the forms.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputForm {
    /// For people.
    Table,
    /// All that is known, in our own words.
    Json,
    /// SARIF 2.1.0, for places that show findings of tools beside code.
    Sarif,
    /// `CycloneDX` 1.6 JSON.
    CycloneDx,
    /// SPDX 2.3 JSON.
    Spdx,
    /// `JUnit`'s XML, for places that show tests.
    JUnit,
}

impl OutputForm {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Table,
        Self::Json,
        Self::Sarif,
        Self::CycloneDx,
        Self::Spdx,
        Self::JUnit,
    ];

    /// As users write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::CycloneDx => "cyclonedx",
            Self::Spdx => "spdx",
            Self::JUnit => "junit",
        }
    }
}

impl fmt::Display for OutputForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no form of output; there are table, json, sarif, cyclonedx, spdx and junit")]
pub struct OutputFormError(String);

impl FromStr for OutputForm {
    type Err = OutputFormError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|form| form.as_str() == word)
            .ok_or_else(|| OutputFormError(crate::harmless(word).chars().take(40).collect()))
    }
}
