//! Mach-O: programs for macOS, which release archives in images hold.

use super::{Executable, MAX_PARTS, Numbers, RandomAccess, Section, Segment, name};
use crate::FileError;

/// Load commands are read up to here.
const COMMANDS_BYTES: usize = 1 << 20;

const SEGMENT: u64 = 0x1;
const SEGMENT_64: u64 = 0x19;

const READ_WRITE: u64 = 3;

/// Width and order, by the magic.
pub(super) fn order(head: &[u8]) -> Option<Numbers> {
    let (is_wide, is_big_endian) = match head.get(..4)? {
        [0xfe, 0xed, 0xfa, 0xce] => (false, true),
        [0xfe, 0xed, 0xfa, 0xcf] => (true, true),
        [0xce, 0xfa, 0xed, 0xfe] => (false, false),
        [0xcf, 0xfa, 0xed, 0xfe] => (true, false),
        _ => return None,
    };
    Some(Numbers {
        is_wide,
        is_big_endian,
    })
}

pub(super) fn read(source: &mut RandomAccess<'_, '_>, head: &[u8]) -> Result<Executable, FileError> {
    let numbers = order(head).ok_or_else(|| FileError::malformed("it is no executable"))?;
    let start = if numbers.is_wide { 32 } else { 28 };
    let length = usize::try_from(numbers.u32(head, 20)).unwrap_or(COMMANDS_BYTES);
    let commands = source.read_some(start, length.min(COMMANDS_BYTES))?;
    let mut executable = Executable::default();
    let mut rest = commands.as_slice();
    for _ in 0..numbers.u32(head, 16) {
        let size = usize::try_from(numbers.u32(rest, 4)).unwrap_or(usize::MAX);
        let Some((command, after)) = rest.split_at_checked(size).filter(|_| size >= 8) else {
            break;
        };
        rest = after;
        if matches!(numbers.u32(command, 0), SEGMENT | SEGMENT_64) {
            take_segment(command, numbers, &mut executable);
        }
    }
    Ok(executable)
}

fn take_segment(command: &[u8], numbers: Numbers, executable: &mut Executable) {
    let word = numbers.word_bytes();
    // After the command, its size and a name: address, size, offset, size in the file, then numbers of four bytes.
    let after_words = 24 + 4 * word;
    executable.segments.push(Segment {
        address: numbers.word(command, 24),
        offset: numbers.word(command, 24 + 2 * word),
        size: numbers.word(command, 24 + 3 * word),
        is_data: numbers.u32(command, after_words) == READ_WRITE
            && numbers.u32(command, after_words + 4) == READ_WRITE,
    });
    let section_bytes = if numbers.is_wide { 80 } else { 68 };
    let sections = command.get(after_words + 16..).unwrap_or_default();
    let count = usize::try_from(numbers.u32(command, after_words + 8)).unwrap_or(0);
    let room = MAX_PARTS.saturating_sub(executable.sections.len());
    executable.sections.extend(
        sections
            .chunks_exact(section_bytes)
            .take(count.min(room))
            .map(|row| Section {
                name: name(row, 16),
                offset: numbers.u32(row, 32 + 2 * word),
                size: numbers.word(row, 32 + word),
            }),
    );
}
