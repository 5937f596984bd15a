//! Rows as `SQLite` keeps them (section 2.1, "Record Format").

/// A value. Fractions are not told from other bytes: no table here has any.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Number(i64),
    Bytes(&'a [u8]),
}

/// The values of a row, as far as they are there.
pub(super) fn values(payload: &[u8]) -> impl Iterator<Item = Value<'_>> {
    let (mut types, mut body) = parts(payload).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, rest) = varint(types)?;
        types = rest;
        let (value, rest) = body.split_at_checked(length(kind)?)?;
        body = rest;
        Some(match kind {
            1..=6 => Value::Number(number(value)),
            8 => Value::Number(0),
            9 => Value::Number(1),
            7 | 12.. => Value::Bytes(value),
            _ => Value::Null,
        })
    })
}

/// The types and what they are of. The header counts its own length.
fn parts(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = varint(payload)?;
    let own = payload.len() - rest.len();
    rest.split_at_checked(usize::try_from(header).ok()?.checked_sub(own)?)
}

fn length(kind: u64) -> Option<usize> {
    match kind {
        1..=4 => usize::try_from(kind).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        12.. => usize::try_from((kind - 12) / 2).ok(),
        _ => Some(0),
    }
}

fn number(bytes: &[u8]) -> i64 {
    let is_negative = bytes.first().is_some_and(|&first| first >= 0x80);
    bytes
        .iter()
        .fold(if is_negative { -1 } else { 0 }, |value, &byte| {
            value << 8 | i64::from(byte)
        })
}

/// A number of one to nine bytes, and what follows it.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(8) {
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    let ninth = *bytes.get(8)?;
    Some((value << 8 | u64::from(ninth), &bytes[9..]))
}
