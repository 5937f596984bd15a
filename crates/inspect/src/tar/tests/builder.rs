//! Archives, byte by byte.

use super::super::block::{BLOCK, Block};

/// A header with its content.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) block: Block,
    content: Vec<u8>,
    size_is_set: bool,
    checksum_is_set: bool,
}

/// A file of ustar's form.
pub(crate) fn file(name: &str, content: impl Into<Vec<u8>>) -> Part {
    Part::new(b'0', name).content(content)
}

/// A header of any type without content.
pub(crate) fn entry(type_flag: u8, name: &str) -> Part {
    Part::new(type_flag, name)
}

/// A link.
pub(crate) fn link(type_flag: u8, name: &str, target: &str) -> Part {
    Part::new(type_flag, name).raw(157, target.as_bytes())
}

/// An extended header of the given records.
pub(crate) fn pax(records: &[(&str, &str)]) -> Part {
    Part::new(b'x', "PaxHeaders/x").content(records_of(records))
}

/// A global extended header.
pub(crate) fn global(records: &[(&str, &str)]) -> Part {
    Part::new(b'g', "pax_global_header").content(records_of(records))
}

/// A long name (`L`) or link (`K`) of GNU's form.
pub(crate) fn long(type_flag: u8, name: &str) -> Part {
    Part::new(type_flag, "././@LongLink")
        .gnu()
        .content([name.as_bytes(), b"\0"].concat())
}

/// An archive of parts, ended as it should be.
pub(crate) fn archive(parts: &[Part]) -> Vec<u8> {
    let mut bytes = open_archive(parts);
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

/// An archive without its end.
pub(crate) fn open_archive(parts: &[Part]) -> Vec<u8> {
    parts.iter().flat_map(Part::bytes).collect()
}

pub(crate) fn records_of(records: &[(&str, &str)]) -> Vec<u8> {
    records
        .iter()
        .flat_map(|(key, value)| record(key, value))
        .collect()
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length += 1;
    }
    format!("{length} {key}={value}\n").into_bytes()
}

impl Part {
    fn new(type_flag: u8, name: &str) -> Self {
        let mut block = [0; BLOCK];
        block[156] = type_flag;
        let part = Self {
            block,
            content: Vec::new(),
            size_is_set: false,
            checksum_is_set: false,
        };
        part.raw(0, name.as_bytes())
            .raw(100, b"0000644\0")
            .raw(108, b"0000000\0")
            .raw(116, b"0000000\0")
            .raw(136, b"00000000000\0")
            .raw(257, b"ustar\x0000")
    }

    /// Bytes at a place of the header.
    pub(crate) fn raw(mut self, place: usize, bytes: &[u8]) -> Self {
        self.block[place..place + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn gnu(self) -> Self {
        self.raw(257, b"ustar  \0")
    }

    pub(crate) fn v7(self) -> Self {
        self.raw(257, &[0; 8])
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        self.raw(100, format!("{mode:07o}\0").as_bytes())
    }

    /// The field of the size, whatever the content has.
    pub(crate) fn size_field(mut self, field: &[u8; 12]) -> Self {
        self.size_is_set = true;
        self.raw(124, field)
    }

    pub(crate) fn size(self, size: u64) -> Self {
        let field = format!("{size:011o}\0");
        self.size_field(field.as_bytes().try_into().expect("a size of eleven digits"))
    }

    /// The field of the checksum, right or wrong.
    pub(crate) fn checksum_field(mut self, field: [u8; 8]) -> Self {
        self.checksum_is_set = true;
        self.raw(148, &field)
    }

    pub(crate) fn content(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.content = content.into();
        self
    }

    /// Sum of the header with its checksum as spaces: unsigned, signed.
    pub(crate) fn sums(&self) -> (i64, i64) {
        let part = self.with_size();
        let bytes = part.block.iter().enumerate();
        let bytes = bytes.map(|(place, byte)| if (148..156).contains(&place) { b' ' } else { *byte });
        bytes.fold((0, 0), |(unsigned, signed), byte| {
            (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
        })
    }

    fn with_size(&self) -> Self {
        if self.size_is_set {
            return self.clone();
        }
        self.clone().size(self.content.len() as u64)
    }

    /// The header, the content and its padding.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut part = self.with_size();
        if !part.checksum_is_set {
            let sum = format!("{:06o}\0 ", part.sums().0);
            part = part.raw(148, sum.as_bytes());
        }
        let mut bytes = part.block.to_vec();
        bytes.extend_from_slice(&part.content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }
}
