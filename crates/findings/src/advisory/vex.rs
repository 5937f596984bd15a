//! `OpenVEX`: what somebody says about whether a product is affected (`OpenVEX` 0.2.0).

mod apply;
mod purl;
mod read;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use apply::{ImageIdentity, Trust, apply_vex};

/// What a statement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VexStatus {
    /// Nothing need be done.
    NotAffected,
    /// Something should be done.
    Affected,
    /// These versions have a fix.
    Fixed,
    /// It is not known yet.
    UnderInvestigation,
}

impl VexStatus {
    /// Whether it says that the vulnerability does not matter for the product.
    pub const fn suppresses(self) -> bool {
        matches!(self, Self::NotAffected | Self::Fixed)
    }
}

/// A product or a part of one, by what identifies it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VexComponent {
    /// `@id` and the values of `identifiers`: package URLs and the like.
    pub ids: Vec<String>,
    /// Digests, `sha256:…`, of `hashes`.
    pub digests: Vec<String>,
}

/// A product with the parts that a statement is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VexProduct {
    /// The product.
    pub product: VexComponent,
    /// Parts of it; none: the product as a whole.
    pub subcomponents: Vec<VexComponent>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VexStatement {
    /// All ids of the vulnerability.
    pub vulnerability: Vec<String>,
    /// What it is about. None: the document's product, which is not identified here.
    pub products: Vec<VexProduct>,
    /// What it says.
    pub status: VexStatus,
    /// Why it is not affected (`vulnerable_code_not_in_execute_path`, …).
    pub justification: Option<String>,
    /// In words: impact, action or notes.
    pub reason: Option<String>,
    /// When it was last stated; the document's time where the statement has none.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VexDocument {
    /// `@id`.
    pub id: String,
    /// Who says so, by their own word: trust never rests on this.
    pub author: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What.
    pub statements: Vec<VexStatement>,
}

/// A statement that is about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VexNote {
    /// The document.
    pub document: String,
    /// Who says so: the trusted signer, or the author by their own word.
    pub by: String,
    /// Whether the signer is trusted for the product. Only then does it suppress anything.
    pub is_trusted: bool,
    /// What is said.
    pub status: VexStatus,
    /// Why it is not affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was said.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}
