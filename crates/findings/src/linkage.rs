//! What a program or library of ELF needs of others, and what it offers them.

use serde::{Deserialize, Serialize};

/// The dynamic part of one ELF file (System V ABI, chapter 5; versions: LSB, "Symbol Versioning").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linkage {
    /// Relative to the root of the file system, without a leading slash.
    pub path: String,
    /// `e_machine`, with the width of addresses in bits: files of two machines do not link.
    pub machine: (u16, u8),
    /// What others call it by (`DT_SONAME`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soname: Option<String>,
    /// What it needs (`DT_NEEDED`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// What loads it (`PT_INTERP`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// Versions of symbols that it needs: of which library, which version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<(String, String)>,
    /// Versions of symbols that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<String>,
}
