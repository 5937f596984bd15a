//! What is attached to an image as a signature.

use oci::Digest;
use serde::{Deserialize, Serialize};

/// A signature or an attestation, whether it counts or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attached {
    /// Its form, such as `cosign signature`.
    pub form: String,
    /// Digest of the manifest that it is in.
    pub artifact: Digest,
    /// The index that it is about, if it is not the image itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// The trusted signers who made it; none: it does not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// What an attestation is about: its predicate type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Who stands in its certificate, by its own word as long as there are no signers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Why it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
