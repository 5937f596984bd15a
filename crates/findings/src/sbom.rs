//! Software bills of materials: `CycloneDX` 1.6 and SPDX 2.3 as they are written, and both as others write them.
//!
//! What is written can be read back without loss: what a package URL cannot say stands in properties beside it. So an SBOM
//! of an image gets the same answer from the advisories as the image.
//!
//! - `described.rs`: from what both formats say of a package to the package; writers ask it what a reader would understand.
//! - `property.rs`: what has to be said beside that.
//! - `foreign.rs`: the properties of other tools.
//! - `licence.rs`: which texts are SPDX expressions.
//! - `kept.rs`: lists of a document that are bounded while they are read.

mod content_id;
mod cyclonedx;
mod described;
mod error;
mod foreign;
mod kept;
mod licence;
pub mod limits;
mod property;
mod spdx;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use error::SbomError;

use crate::{OsRelease, PlacedPackage, ScanResult, ScannedLayer};

/// The tool that is named in documents.
pub(crate) const TOOL: &str = "roadbed";

/// What an SBOM says. Whoever made it may say anything: its words add packages to what is known of an image, and never
/// take any away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sbom {
    /// What it is about, as it says.
    pub subject: Option<String>,
    /// The operating system.
    pub os: Option<OsRelease>,
    /// Layers, lowest first, where it says them.
    pub layers: Vec<ScannedLayer>,
    /// Packages, in its order.
    pub packages: Vec<PlacedPackage>,
    /// What in it could not be understood, one line each.
    pub unknowns: Vec<String>,
}

/// How an SBOM is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SbomOptions {
    /// Version of the tool, to be named in the document.
    pub tool_version: String,
    /// When it is written. Without it, the same result gives the same bytes.
    pub created: Option<OffsetDateTime>,
    /// Whether vulnerabilities are written too, where the format has them.
    pub with_vulnerabilities: bool,
}

impl SbomOptions {
    fn created_text(&self) -> Option<String> {
        let whole_seconds = self.created?.replace_nanosecond(0).ok()?;
        whole_seconds
            .to_offset(time::UtcOffset::UTC)
            .format(&Rfc3339)
            .ok()
    }
}

#[derive(Deserialize)]
struct WireKind {
    #[serde(rename = "bomFormat")]
    bom_format: Option<String>,
    #[serde(rename = "spdxVersion")]
    spdx_version: Option<String>,
}

impl Sbom {
    /// Reads the JSON of `CycloneDX` 1.2 to 1.6 or of SPDX 2.2 or 2.3.
    ///
    /// # Errors
    /// See [`SbomError`].
    pub fn read(bytes: &[u8]) -> Result<Self, SbomError> {
        if bytes.len() > limits::DOCUMENT_BYTES {
            return Err(SbomError::TooLarge { bytes: bytes.len() });
        }
        let kind: WireKind = serde_json::from_slice(bytes).map_err(SbomError::Malformed)?;
        match (kind.bom_format.as_deref(), kind.spdx_version.as_deref()) {
            (Some("CycloneDX"), _) => cyclonedx::read(bytes),
            (_, Some(version)) => spdx::read(version, bytes),
            _ => Err(SbomError::NoSbom),
        }
    }

    /// Without what would make its packages look better: for an SBOM of a stranger.
    #[must_use]
    pub fn without_excuses(mut self) -> Self {
        for placed in &mut self.packages {
            placed.owned_by = None;
            placed.package.mitigations.clear();
        }
        self
    }
}

impl ScanResult {
    /// As `CycloneDX` 1.6 JSON.
    pub fn to_cyclonedx(&self, options: &SbomOptions) -> String {
        cyclonedx::write(self, options)
    }

    /// As SPDX 2.3 JSON. It must have a time; without one, it is the beginning of 1970.
    pub fn to_spdx(&self, options: &SbomOptions) -> String {
        spdx::write(self, options)
    }
}
