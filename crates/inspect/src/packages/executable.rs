//! As much of ELF, PE and Mach-O as finding a section or an address takes.
//!
//! Tables are read as they are announced only up to what is really there, and names only up to the length of those that
//! are looked for.

mod elf;
mod mach_o;
mod pe;

#[cfg(test)]
pub(super) mod build;
#[cfg(test)]
mod tests;

use super::random_access::RandomAccess;
use crate::FileError;

/// Sections and segments that are read of one file; more than any format can number in its plain form.
const MAX_PARTS: usize = 65_536;

/// Whether a file begins as an executable.
pub(super) fn is_executable(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF") || head.starts_with(b"MZ") || mach_o::order(head).is_some()
}

/// Where the parts of an executable are.
#[derive(Debug, Default)]
pub(super) struct Executable {
    /// In the file.
    pub(super) sections: Vec<Section>,
    /// In memory.
    pub(super) segments: Vec<Segment>,
}

/// A named piece of the file.
#[derive(Debug)]
pub(super) struct Section {
    name: String,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// A piece of the file that is put at an address.
#[derive(Debug)]
pub(super) struct Segment {
    address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// It may be written to and not be executed.
    pub(super) is_data: bool,
}

impl Executable {
    /// Reads the tables.
    pub(super) fn read(source: &mut RandomAccess<'_, '_>) -> Result<Self, FileError> {
        let head = source.read_some(0, 64)?;
        match () {
            () if head.starts_with(b"\x7fELF") => elf::read(source, &head),
            () if head.starts_with(b"MZ") => pe::read(source, &head),
            () => mach_o::read(source, &head),
        }
    }

    /// The first section of one of those names.
    pub(super) fn section(&self, names: &[&str]) -> Option<&Section> {
        self.sections
            .iter()
            .find(|section| names.contains(&section.name.as_str()))
    }

    /// Where in the file the byte of an address is.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let inside = address.checked_sub(segment.address)?;
            (inside < segment.size).then(|| segment.offset.checked_add(inside))?
        })
    }
}

/// Numbers of the width and order that a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Addresses have 64 bits, not 32.
    pub(super) is_wide: bool,
    pub(super) is_big_endian: bool,
}

impl Numbers {
    /// `width` bytes at a place; 0 beyond the end.
    fn at(self, bytes: &[u8], at: usize, width: usize) -> u64 {
        let Some(bytes) = bytes.get(at..).and_then(|rest| rest.get(..width)) else {
            return 0;
        };
        let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if self.is_big_endian {
            bytes.iter().fold(0, push)
        } else {
            bytes.iter().rev().fold(0, push)
        }
    }

    /// An address or size; 0 beyond the end.
    pub(super) fn word(self, bytes: &[u8], at: usize) -> u64 {
        self.at(bytes, at, self.word_bytes())
    }

    /// Bytes of an address.
    pub(super) fn word_bytes(self) -> usize {
        if self.is_wide { 8 } else { 4 }
    }

    fn u32(self, bytes: &[u8], at: usize) -> u64 {
        self.at(bytes, at, 4)
    }

    fn u16(self, bytes: &[u8], at: usize) -> usize {
        usize::try_from(self.at(bytes, at, 2)).unwrap_or(0)
    }
}

/// The rows of a table of which as much is read as is there.
fn table(
    source: &mut RandomAccess<'_, '_>,
    offset: u64,
    row_bytes: usize,
    rows: usize,
) -> Result<Vec<u8>, FileError> {
    let length = row_bytes.saturating_mul(rows.min(MAX_PARTS));
    source.read_some(offset, length)
}

/// A name that ends at the first NUL or after `most` bytes.
fn name(bytes: &[u8], most: usize) -> String {
    let bytes = &bytes[..bytes.len().min(most)];
    let name = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
