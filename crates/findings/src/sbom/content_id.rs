//! Ids of documents that follow from what they say, so that the same result gives the same document.

use oci::{Algorithm, Digest};
use serde_json::Value;

/// A UUID of version 8 (RFC 9562, 5.8) made of a hash of the document.
pub(super) fn uuid_of(document: &Value) -> String {
    let digest = Digest::of(Algorithm::Sha256, document.to_string().as_bytes());
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(digest.bytes()) {
        *byte = *hashed;
    }
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
