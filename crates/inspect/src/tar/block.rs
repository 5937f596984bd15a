//! One header of 512 bytes.

use super::{TarError, number};

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;

/// A block as it was read.
pub(super) type Block = [u8; BLOCK];

/// Whose header it is, by its magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// No magic that is known.
    V7,
    /// `ustar\0`: POSIX.
    Ustar,
    /// `ustar\0` with star's trailer.
    Star,
    /// `ustar  \0`.
    Gnu,
}

/// What a header says, before extended headers are applied.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) format: Format,
    pub(super) type_flag: u8,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) size: i64,
    pub(super) mode: i64,
    pub(super) owner: (i64, i64),
    pub(super) odd: Vec<&'static str>,
}

const MALFORMED_NUMBER: TarError = TarError::Malformed("a field of a header is no number");

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// The checksum is wrong, or a number is none.
    pub(super) fn parse(block: &Block) -> Result<Self, TarError> {
        let mut odd = Vec::new();
        let format =
            format_of(block, &mut odd).ok_or(TarError::Malformed("the checksum of a header is wrong"))?;
        let mut number = |field: &[u8], what: &'static str| {
            let number = number::numeric(field).map_err(|_| MALFORMED_NUMBER)?;
            if number.is_odd {
                odd.push(what);
            }
            Ok::<i64, TarError>(number.value)
        };
        let mode = number(&block[100..108], "its mode is written in an ambiguous way")?;
        let [user, group, changed] = [108..116, 116..124, 136..148]
            .map(|field| number(&block[field], "a number is written in an ambiguous way"));
        changed?;
        let owner = (user?, group?);
        let size = number(&block[124..136], "its size is written in an ambiguous way")?;
        if format != Format::V7 {
            for field in [329..337, 337..345] {
                number(&block[field], "a number is written in an ambiguous way")?;
            }
        }
        let name = text(&block[..100], &mut odd);
        let link = text(&block[157..257], &mut odd);
        let prefix = prefix(block, format, &mut odd)?;
        Ok(Self {
            format,
            type_flag: block[156],
            name: if prefix.is_empty() {
                name
            } else {
                [prefix.as_slice(), b"/", &name].concat()
            },
            link,
            size,
            mode,
            owner,
            odd,
        })
    }
}

/// Whether a block is a header by its checksum.
pub(super) fn is_header(block: &Block) -> bool {
    format_of(block, &mut Vec::new()).is_some()
}

fn format_of(block: &Block, odd: &mut Vec<&'static str>) -> Option<Format> {
    let stated = number::octal(&block[148..156]).ok()?;
    let (unsigned, signed) = checksums(block);
    if stated.value != unsigned && stated.value != signed {
        return None;
    }
    if stated.value != unsigned || stated.is_odd {
        odd.push("its checksum is right for some parsers only");
    }
    Some(match &block[257..265] {
        [b'u', b's', b't', b'a', b'r', 0, ..] if &block[508..] == b"tar\0" => Format::Star,
        [b'u', b's', b't', b'a', b'r', 0, ..] => Format::Ustar,
        b"ustar  \0" => Format::Gnu,
        _ => Format::V7,
    })
}

/// The sum with the checksum's own field as spaces: unsigned as POSIX wants it, signed as Sun's tar wrote it.
fn checksums(block: &Block) -> (i64, i64) {
    let own = 148..156;
    block
        .iter()
        .enumerate()
        .fold((0, 0), |(unsigned, signed), (place, byte)| {
            let byte = if own.contains(&place) { b' ' } else { *byte };
            (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
        })
}

/// What stands before the name. In GNU's and V7's headers there is none, but some parsers read one all the same, and so
/// does Go where GNU's times are no numbers.
fn prefix(block: &Block, format: Format, odd: &mut Vec<&'static str>) -> Result<Vec<u8>, TarError> {
    let is_zero = |field: &[u8]| field.iter().all(|byte| *byte == 0);
    match format {
        Format::Ustar => Ok(text(&block[345..500], odd)),
        Format::Star => {
            for time in [476..488, 488..500] {
                number::numeric(&block[time]).map_err(|_| MALFORMED_NUMBER)?;
            }
            if block[345..476].iter().all(|byte| *byte != 0) {
                odd.push("a name runs into the times of star's header");
            }
            Ok(text(&block[345..476], odd))
        }
        Format::V7 => {
            if !is_zero(&block[257..]) {
                odd.push("its header has fields but no magic");
            }
            Ok(Vec::new())
        }
        Format::Gnu => {
            if !is_zero(&block[345..369]) {
                odd.push("its header has times where others have a part of the name");
            }
            let is_time = |field: &[u8]| field[0] == 0 || number::numeric(field).is_ok();
            if is_time(&block[345..357]) && is_time(&block[357..369]) {
                return Ok(Vec::new());
            }
            let prefix = text(&block[345..500], odd);
            Ok(if prefix.is_ascii() { prefix } else { Vec::new() })
        }
    }
}

/// Up to the first NUL.
pub(super) fn text(field: &[u8], odd: &mut Vec<&'static str>) -> Vec<u8> {
    match field.iter().position(|byte| *byte == 0) {
        None => field.to_vec(),
        Some(end) => {
            if field[end..].iter().any(|byte| *byte != 0) {
                odd.push("a name goes on behind a NUL");
            }
            field[..end].to_vec()
        }
    }
}
