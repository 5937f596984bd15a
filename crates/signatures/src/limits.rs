//! What bounds documents and signers. Each limit names what it stops.

/// Largest document that is read, in bytes, unless configured (`signatures.document_bytes`): a signature is small, and an
/// attestation that counts here is not a whole SBOM.
pub const DOCUMENT_BYTES: u64 = 1 << 20;

/// Most documents that are read of one image, unless configured (`signatures.documents`).
pub const DOCUMENTS: usize = 100;

/// Most certificates, log entries, timestamps or signatures within one document: each costs a verification per signer.
pub const MAX_PARTS: usize = 8;

/// Longest text of a problem or of a claimed identity, in bytes.
pub const MAX_TEXT_BYTES: usize = 300;

/// Most signers that there can be: each is asked about each document of an image. Default: the only value.
pub const MAX_SIGNERS: usize = 100;

/// Longest name of a signer, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Most patterns of repositories or products of one signer.
pub const MAX_PATTERNS: usize = 100;

/// Longest subject, issuer, author or pattern of products, in bytes.
pub const MAX_PATTERN_BYTES: usize = 500;

/// Largest public key, PEM, in bytes.
pub const MAX_KEY_BYTES: usize = 16 << 10;

/// Largest trusted root, JSON, in bytes.
pub const MAX_ROOTS_BYTES: usize = 256 << 10;
