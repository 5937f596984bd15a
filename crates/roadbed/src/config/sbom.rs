//! Values about SBOMs.

use std::fmt;
use std::str::FromStr;

use findings::output::OutputForm;
use thiserror::Error;

/// A form of SBOMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SbomFormat {
    /// `CycloneDX` 1.6.
    CycloneDx,
    /// SPDX 2.3.
    Spdx,
}

/// Neither of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("write cyclonedx or spdx")]
pub(crate) struct SbomFormatError;

impl SbomFormat {
    /// As a form of output.
    pub(crate) fn form(self) -> OutputForm {
        match self {
            Self::CycloneDx => OutputForm::CycloneDx,
            Self::Spdx => OutputForm::Spdx,
        }
    }

    /// What a statement is called that holds such a document, as `cosign verify-attestation --type` knows it.
    pub(crate) fn predicate_type(self) -> &'static str {
        match self {
            Self::CycloneDx => "https://cyclonedx.org/bom",
            Self::Spdx => "https://spdx.dev/Document",
        }
    }

    /// The media type of such a document, and the type of an artifact that holds one.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::CycloneDx => "application/vnd.cyclonedx+json",
            Self::Spdx => "application/spdx+json",
        }
    }
}

impl FromStr for SbomFormat {
    type Err = SbomFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "cyclonedx" => Ok(Self::CycloneDx),
            "spdx" => Ok(Self::Spdx),
            _ => Err(SbomFormatError),
        }
    }
}

impl fmt::Display for SbomFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.form().as_str())
    }
}
