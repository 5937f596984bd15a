//! Why a document is no SBOM.

use thiserror::Error;

use super::limits;

/// Why an SBOM is refused as a whole.
#[derive(Debug, Error)]
pub enum SbomError {
    /// Too large.
    #[error(
        "an sbom of {bytes} bytes is more than the {} that are read",
        limits::DOCUMENT_BYTES
    )]
    TooLarge {
        /// How large.
        bytes: usize,
    },
    /// Not JSON, not of the form that its specification gives, or beyond a limit.
    #[error("the sbom is malformed")]
    Malformed(#[source] serde_json::Error),
    /// Neither `CycloneDX` nor SPDX.
    #[error("neither CycloneDX nor SPDX JSON")]
    NoSbom,
    /// A version of the format that is not read.
    #[error("version `{version}` of {format} is not read")]
    Version {
        /// Which format.
        format: &'static str,
        /// What it says.
        version: String,
    },
}

impl SbomError {
    pub(super) fn version(format: &'static str, version: &str) -> Self {
        Self::Version {
            format,
            version: crate::harmless(version).chars().take(40).collect(),
        }
    }
}
