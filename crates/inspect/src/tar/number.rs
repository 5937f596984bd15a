//! Numbers in headers: octal text or base 256, as Go reads them, and whether all parsers would.

/// Why a field is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotANumber;

/// A field's value, and whether other parsers could read another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) value: i64,
    pub(super) is_odd: bool,
}

/// Octal, or base 256 where the first bit is set (GNU and star).
pub(super) fn numeric(field: &[u8]) -> Result<Number, NotANumber> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base_256(field),
        _ => octal(field),
    }
}

/// Two's complement, the first bit taken by the mark. GNU writes it only for what has no octal form, with a first byte of
/// 0x80 or 0xff; others are read by some parsers only.
fn base_256(field: &[u8]) -> Result<Number, NotANumber> {
    let negative = field[0] & 0x40 != 0;
    let flip = if negative { 0xff } else { 0 };
    let mut value: u64 = 0;
    for (place, byte) in field.iter().enumerate() {
        let byte = if place == 0 {
            (byte ^ flip) & 0x7f
        } else {
            byte ^ flip
        };
        if value >> 56 != 0 {
            return Err(NotANumber);
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).map_err(|_| NotANumber)?;
    let value = if negative { !value } else { value };
    let octal_digits = u32::try_from(field.len() - 1).unwrap_or(u32::MAX).min(20);
    let fits_octal = value >= 0 && value < 1_i64 << (3 * octal_digits);
    Ok(Number {
        value,
        is_odd: fits_octal || !matches!(field[0], 0x80 | 0xff),
    })
}

/// Octal digits between spaces and NULs; empty is 0.
pub(super) fn octal(field: &[u8]) -> Result<Number, NotANumber> {
    let is_padding = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| !is_padding(byte)) else {
        // C's strings end at the first NUL: nothing but spaces and NULs is 0 for everybody.
        return Ok(Number {
            value: 0,
            is_odd: false,
        });
    };
    let end = field.len() - field.iter().rev().take_while(|byte| is_padding(byte)).count();
    let text = &field[start..end];
    let nul = text.iter().position(|byte| *byte == 0);
    let digits = &text[..nul.unwrap_or(text.len())];
    let mut value: u64 = 0;
    for digit in digits {
        if !matches!(digit, b'0'..=b'7') || value >> 61 != 0 {
            return Err(NotANumber);
        }
        value = value << 3 | u64::from(digit - b'0');
    }
    Ok(Number {
        // As Go converts it. Fields of headers have at most 12 digits, far from the sign.
        value: value.cast_signed(),
        is_odd: nul.is_some() || field[..start].contains(&0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let number = |value, is_odd| Ok(Number { value, is_odd });
        for (field, expected) in [
            (&b"00000000017\0"[..], number(15, false)),
            (b"         17 ", number(15, false)),
            (b"777777777777", number(0o777_777_777_777, false)),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0", number(0, false)),
            (b"            ", number(0, false)),
            (b"\0\0\0 17\0\0\0\0\0\0", number(15, true)),
            (b"17\x0000000077\0", number(15, true)),
            (b"17 \x0000000077", Err(NotANumber)),
            (b"0o17\0\0\0\0\0\0\0\0", Err(NotANumber)),
            (b"1_7\0\0\0\0\0\0\0\0\0", Err(NotANumber)),
            (b"-17\0\0\0\0\0\0\0\0\0", Err(NotANumber)),
            (b"18\0\0\0\0\0\0\0\0\0\0", Err(NotANumber)),
            (b"\x80\0\0\0\0\0\0\x10\0\0\0\0", number(1 << 36, false)),
            (b"\x80\0\0\0\0\0\0\0\0\0\0\x11", number(17, true)),
            (b"\x81\0\0\0\0\0\0\0\0\0\0\x11", Err(NotANumber)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", Err(NotANumber)),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                number(-1, false),
            ),
            (b"\xc0\0\0\0\0\0\0\0\0\0\0\0", Err(NotANumber)),
        ] {
            assert_eq!(numeric(field), expected, "{field:?}");
        }
    }
}
