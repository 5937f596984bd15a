//! What may be shown of a secret, and what tells it from another.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Never more than the first four and the last two characters, less of what is short.
pub(super) fn excerpt(secret: &[u8]) -> String {
    let text: Vec<char> = String::from_utf8_lossy(secret)
        .chars()
        .map(|character| if character.is_control() { '·' } else { character })
        .collect();
    let (first, last) = match text.len() {
        20.. => (4, 2),
        12.. => (2, 0),
        _ => (0, 0),
    };
    let head = text.iter().take(first);
    let tail = text.iter().skip(text.len() - last);
    head.chain(['…'].iter()).chain(tail).collect()
}

/// The first 16 bytes of the SHA-256, hex.
pub(super) fn fingerprint(secret: &[u8]) -> String {
    let mut hex = String::with_capacity(32);
    for byte in &Sha256::digest(secret)[..16] {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    #[test]
    fn little_is_shown() {
        assert_eq!(super::excerpt(b"hunter2"), "…");
        assert_eq!(super::excerpt(b"hunter2hunter2"), "hu…");
        assert_eq!(super::excerpt(&[b'x'; 40]), "xxxx…xx");
        assert_eq!(super::excerpt(b"\n\xff\n"), "…");
    }
}
