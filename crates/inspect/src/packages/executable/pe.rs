//! PE (Microsoft's "PE Format"): programs for Windows, which images for it hold.

use super::{Executable, Numbers, RandomAccess, Section, Segment, name, table};
use crate::FileError;

const LITTLE: Numbers = Numbers {
    is_wide: false,
    is_big_endian: false,
};

const SECTION_BYTES: usize = 40;

/// `IMAGE_SCN_CNT_INITIALIZED_DATA`, `MEM_EXECUTE` and `MEM_WRITE`.
const DATA: u64 = 0x0000_0040;
const EXECUTE: u64 = 0x2000_0000;
const WRITE: u64 = 0x8000_0000;

pub(super) fn read(source: &mut RandomAccess<'_, '_>, head: &[u8]) -> Result<Executable, FileError> {
    let start = LITTLE.u32(head, 0x3c);
    let header = source.read(start, 24)?;
    if !header.starts_with(b"PE\0\0") {
        return Err(FileError::malformed("it is a program of DOS"));
    }
    let optional_bytes = LITTLE.u16(&header, 20);
    let optional = source.read(start + 24, optional_bytes)?;
    let base = match LITTLE.u16(&optional, 0) {
        0x20b => LITTLE.at(&optional, 24, 8),
        _ => LITTLE.u32(&optional, 28),
    };
    let count = LITTLE.u16(&header, 6);
    let rows = table(source, start + 24 + optional_bytes as u64, SECTION_BYTES, count)?;
    let rows = || rows.chunks_exact(SECTION_BYTES);
    Ok(Executable {
        sections: rows().map(section).collect(),
        segments: rows().map(|row| segment(row, base)).collect(),
    })
}

fn section(row: &[u8]) -> Section {
    // Beyond the size in memory there is only padding.
    let (in_memory, in_file) = (LITTLE.u32(row, 8), LITTLE.u32(row, 16));
    Section {
        name: name(row, 8),
        offset: LITTLE.u32(row, 20),
        size: if in_memory == 0 {
            in_file
        } else {
            in_memory.min(in_file)
        },
    }
}

fn segment(row: &[u8], base: u64) -> Segment {
    Segment {
        address: base.wrapping_add(LITTLE.u32(row, 12)),
        offset: LITTLE.u32(row, 20),
        size: LITTLE.u32(row, 16),
        is_data: LITTLE.u32(row, 36) & (DATA | EXECUTE | WRITE) == DATA | WRITE,
    }
}
