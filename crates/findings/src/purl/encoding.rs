//! Percent-encoding as purl-spec has it ("Character encoding"): a colon stays, a slash inside a part does not.

use super::PurlError;

pub(super) fn encode(part: &str, text: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// What others left as it is stays as it is; control characters are refused, however they are written.
pub(super) fn decode(part: &str) -> Result<String, PurlError> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return Err(PurlError::Encoding);
        };
        bytes.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
        rest = after;
    }
    let text = String::from_utf8(bytes).map_err(|_| PurlError::Encoding)?;
    if text.chars().any(char::is_control) {
        return Err(PurlError::ControlCharacter);
    }
    Ok(text)
}

const fn hex_digit(byte: u8) -> Result<u8, PurlError> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(PurlError::Encoding),
    }
}
