//! Golden paths: templates with all that comes with them; and toolchains: who may have built an image.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::names::{BaseName, Contact, GoldenPathId, Owner, ToolchainName};

/// Most golden paths, over all versions, and most toolchains.
pub const MAX_PATHS: usize = 1_000;

/// Most entries of a list of one of them.
pub const MAX_LISTED: usize = 50;

/// Longest builder, template or line of what a path gives, in bytes.
pub const MAX_LINE_BYTES: usize = 300;

/// Highest level of SLSA's build track, with the next one that may come.
pub const MAX_SLSA_LEVEL: u8 = 4;

/// Builders whose provenance counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// What it is called.
    pub name: ToolchainName,
    /// Who answers for it.
    pub owner: Owner,
    /// How they are reached.
    #[serde(default)]
    pub contact: Option<Contact>,
    /// Builder ids (`runDetails.builder.id` of SLSA's provenance) that are accepted.
    pub builders: Vec<String>,
    /// The least level of SLSA's build track that it keeps.
    pub slsa_level: u8,
    /// Until when it is supported, not included.
    #[serde(with = "time::serde::rfc3339")]
    pub supported_until: OffsetDateTime,
}

/// A golden path in one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenPath {
    /// What it is called, and which version.
    pub id: GoldenPathId,
    /// Who answers for it.
    pub owner: Owner,
    /// How they are reached.
    #[serde(default)]
    pub contact: Option<Contact>,
    /// Where its template lies.
    #[serde(default)]
    pub template: Option<String>,
    /// The bases that it stands on.
    pub bases: Vec<BaseName>,
    /// Who may build on it.
    #[serde(default)]
    pub toolchains: Vec<ToolchainName>,
    /// Rules of the policy that it keeps by itself.
    #[serde(default)]
    pub policies: Vec<String>,
    /// What whoever is on it gets.
    #[serde(default)]
    pub gives: Vec<String>,
    /// Until when this version is supported, not included.
    #[serde(with = "time::serde::rfc3339")]
    pub supported_until: OffsetDateTime,
}
