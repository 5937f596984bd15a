//! Checks beside the expression, where the format of a secret has one.

use super::rule::RuleError;

/// A check that a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// The last six characters of GitHub's tokens, and of npm's, are the CRC32 of the others in base 62
    /// (<https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>).
    Crc32Base62,
    /// Base 32 after four letters, with digits: a word of letters alone is no AWS key id.
    AwsKeyId,
    /// The body of a PEM block is base 64 and long enough to be a key.
    Pem,
    /// Two parts that are base 64 of JSON objects.
    Jwt,
    /// Base 64 of `user:password`.
    BasicAuth,
    /// Mixed letters and digits, not a word, a path or an identifier.
    Password,
}

impl Check {
    pub(super) fn named(name: &str) -> Result<Self, RuleError> {
        Ok(match name {
            "crc32-base62" => Self::Crc32Base62,
            "aws-key-id" => Self::AwsKeyId,
            "pem" => Self::Pem,
            "jwt" => Self::Jwt,
            "basic-auth" => Self::BasicAuth,
            "password" => Self::Password,
            word => {
                return Err(RuleError::Word {
                    what: "check",
                    word: word.to_owned(),
                });
            }
        })
    }

    pub(super) fn holds(self, secret: &[u8]) -> bool {
        match self {
            Self::Crc32Base62 => has_crc32_suffix(secret),
            Self::AwsKeyId => secret.iter().any(u8::is_ascii_digit),
            Self::Pem => is_pem(secret),
            Self::Jwt => is_jwt(secret),
            Self::BasicAuth => base64(secret).is_some_and(|text| is_basic_auth(&text)),
            Self::Password => is_password(secret),
        }
    }

    /// The bytes by which a secret is told from another: of a PEM block without white space, which tools change.
    pub(super) fn identity(self, secret: &[u8]) -> Vec<u8> {
        match self {
            Self::Pem => pem_body(secret),
            _ => secret.to_vec(),
        }
    }
}

/// Shannon entropy in bits a byte.
pub(super) fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    // Matches are short: see `LONGEST_MATCH`.
    let total = f64::from(u32::try_from(bytes.len().max(1)).unwrap_or(u32::MAX));
    let parts = counts.iter().filter(|count| **count > 0).map(|&count| {
        let share = f64::from(count) / total;
        -share * share.log2()
    });
    parts.sum()
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn has_crc32_suffix(token: &[u8]) -> bool {
    let Some(prefix) = token.iter().position(|byte| *byte == b'_') else {
        return false;
    };
    let payload = &token[prefix + 1..];
    let Some(split) = payload.len().checked_sub(6) else {
        return false;
    };
    crc32_base62(&payload[..split]) == payload[split..]
}

/// Six characters, padded with zeros.
pub(super) fn crc32_base62(payload: &[u8]) -> [u8; 6] {
    let mut rest = crc32(payload) as usize;
    let mut text = [b'0'; 6];
    for place in text.iter_mut().rev() {
        *place = BASE62[rest % 62];
        rest /= 62;
    }
    text
}

/// ISO-HDLC, bit by bit: the input has thirty bytes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// The fewest characters of base 64 that a private key has: Ed25519 in PKCS #8 has 64, in SEC1 a little more.
const SHORTEST_KEY: usize = 60;

fn is_pem(block: &[u8]) -> bool {
    let body = pem_body(block);
    body.len() >= SHORTEST_KEY && entropy(&body) > 3.5
}

/// The base 64 between the dashes, without line breaks, whether real or written `\n`, and without headers.
fn pem_body(block: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(block);
    let inner = text
        .split("-----")
        .find(|part| !part.is_empty() && !is_pem_label(part));
    let inner = inner.unwrap_or_default().replace("\\r", "").replace("\\n", "\n");
    let lines = inner.lines().filter(|line| !line.contains(':'));
    let bytes = lines.flat_map(str::bytes);
    bytes
        .filter(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
        .collect()
}

fn is_pem_label(part: &str) -> bool {
    part.starts_with("BEGIN") || part.starts_with("END")
}

fn is_jwt(token: &[u8]) -> bool {
    let mut parts = token.split(|byte| *byte == b'.');
    let mut json = || {
        let decoded = base64(parts.next()?)?;
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&decoded).ok()
    };
    json().is_some_and(|header| header.contains_key("alg")) && json().is_some()
}

fn is_basic_auth(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |byte| *byte == b':');
    let user = parts.next().unwrap_or_default();
    let password = parts.next().unwrap_or_default();
    let printable = text.iter().all(|byte| (b' '..=b'~').contains(byte));
    let placeholder = [&b"password"[..], b"pass", b"secret", b"changeme"].contains(&password);
    printable && !user.is_empty() && password.len() >= 4 && !placeholder
}

fn is_password(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = text.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let is_path = text.starts_with(b"/") || text.starts_with(b"./") || text.starts_with(b"http");
    digits > 0 && letters > 0 && !is_path
}

/// Both alphabets, with or without padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.iter().filter(|byte| **byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held).to_le_bytes()[0]);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Check, base64, crc32, entropy};

    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert!(!Check::Crc32Base62.holds(b"ghp_"));
        assert!(!Check::Crc32Base62.holds(b""));
    }

    #[test]
    fn entropy_is_in_bits() {
        assert!((entropy(b"abcd") - 2.0).abs() < 1e-9);
        assert!(entropy(b"").abs() < 1e-9);
    }

    #[test]
    fn base64_of_both_alphabets() {
        assert_eq!(base64(b"dTpwYXNz").unwrap(), b"u:pass");
        assert_eq!(base64(b"-_-_").unwrap(), base64(b"+/+/").unwrap());
        assert_eq!(base64(b"a b"), None);
    }
}
