//! ELF (System V ABI, chapters 4 and 5), of either width and order.

use super::{Executable, Numbers, RandomAccess, Section, Segment, name, table};
use crate::FileError;

/// Names of sections are read up to here.
const NAME_BYTES: usize = 64;

/// A table of names has at most so many bytes that are read.
const NAMES_BYTES: usize = 1 << 20;

const SHT_NOBITS: u64 = 8;
const PT_LOAD: u64 = 1;
const PF_X: u64 = 1;
const PF_W: u64 = 2;

/// Where the fields are, which depends on the width.
struct Layout {
    numbers: Numbers,
    header: HeaderLayout,
    section: [usize; 2],
    /// Flags, offset, address, size in the file.
    segment: [usize; 4],
    section_bytes: usize,
    segment_bytes: usize,
}

/// Offsets of: program headers, section headers, and from where the counts are.
struct HeaderLayout {
    segments: usize,
    sections: usize,
    counts: usize,
}

impl Layout {
    fn of(head: &[u8]) -> Result<Self, FileError> {
        let is_big_endian = match head.get(5) {
            Some(1) => false,
            Some(2) => true,
            _ => return Err(FileError::malformed("the ELF file has no order of bytes")),
        };
        let numbers = |is_wide| Numbers {
            is_wide,
            is_big_endian,
        };
        match head.get(4) {
            Some(1) => Ok(Self {
                numbers: numbers(false),
                header: HeaderLayout {
                    segments: 28,
                    sections: 32,
                    counts: 42,
                },
                section: [16, 20],
                segment: [24, 4, 8, 16],
                section_bytes: 40,
                segment_bytes: 32,
            }),
            Some(2) => Ok(Self {
                numbers: numbers(true),
                header: HeaderLayout {
                    segments: 32,
                    sections: 40,
                    counts: 54,
                },
                section: [24, 32],
                segment: [4, 8, 16, 32],
                section_bytes: 64,
                segment_bytes: 56,
            }),
            _ => Err(FileError::malformed("the ELF file has no width")),
        }
    }
}

pub(super) fn read(source: &mut RandomAccess<'_, '_>, head: &[u8]) -> Result<Executable, FileError> {
    let layout = Layout::of(head)?;
    Ok(Executable {
        segments: segments(source, head, &layout)?,
        sections: sections(source, head, &layout)?,
    })
}

fn segments(
    source: &mut RandomAccess<'_, '_>,
    head: &[u8],
    layout: &Layout,
) -> Result<Vec<Segment>, FileError> {
    let Layout { numbers, header, .. } = layout;
    let row_bytes = layout.segment_bytes;
    if numbers.u16(head, header.counts) != row_bytes {
        return Ok(Vec::new());
    }
    let count = numbers.u16(head, header.counts + 2);
    let rows = table(source, numbers.word(head, header.segments), row_bytes, count)?;
    let [flags, offset, address, size] = layout.segment;
    Ok(rows
        .chunks_exact(row_bytes)
        .filter(|row| numbers.u32(row, 0) == PT_LOAD)
        .map(|row| Segment {
            address: numbers.word(row, address),
            offset: numbers.word(row, offset),
            size: numbers.word(row, size),
            is_data: numbers.u32(row, flags) & (PF_X | PF_W) == PF_W,
        })
        .collect())
}

fn sections(
    source: &mut RandomAccess<'_, '_>,
    head: &[u8],
    layout: &Layout,
) -> Result<Vec<Section>, FileError> {
    let Layout { numbers, header, .. } = layout;
    let row_bytes = layout.section_bytes;
    if numbers.u16(head, header.counts + 4) != row_bytes {
        return Ok(Vec::new());
    }
    let count = numbers.u16(head, header.counts + 6);
    let rows = table(source, numbers.word(head, header.sections), row_bytes, count)?;
    let [offset, size] = layout.section;
    let place = |row: &[u8]| (numbers.word(row, offset), numbers.word(row, size));
    let names = match rows
        .chunks_exact(row_bytes)
        .nth(numbers.u16(head, header.counts + 8))
        .map(place)
    {
        Some((offset, size)) => {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            source.read_some(offset, size.min(NAMES_BYTES))?
        }
        None => Vec::new(),
    };
    Ok(rows
        .chunks_exact(row_bytes)
        .filter(|row| numbers.u32(row, 4) != SHT_NOBITS)
        .filter_map(|row| {
            let at = usize::try_from(numbers.u32(row, 0)).ok()?;
            let (offset, size) = place(row);
            Some(Section {
                name: name(names.get(at..)?, NAME_BYTES),
                offset,
                size,
            })
        })
        .collect())
}
