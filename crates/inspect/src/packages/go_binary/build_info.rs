//! Where the build information lies (Go's `debug/buildinfo`): in its own section, or where the section headers are stripped
//! in the first segment of data, at a multiple of 16.

use crate::packages::executable::{Executable, Numbers};
use crate::packages::random_access::RandomAccess;
use crate::{Budget, Exceeded, FileError};

const MAGIC: &[u8] = b"\xff Go buildinf:";

/// Magic, size of a pointer, flags.
const HEADER: usize = 32;
const ALIGNMENT: usize = 16;

/// Flags.
const BIG_ENDIAN: u8 = 1;
const INLINE: u8 = 2;

/// Around the list of modules, so that it can be found without knowing where it is.
const SENTINEL: usize = 16;

/// How much is searched at a time.
const WINDOW: usize = 64 * 1024;

/// What the linker wrote.
pub(super) struct BuildInfo {
    pub(super) go_version: String,
    /// Lines of fields, separated by tabs.
    pub(super) modules: String,
}

impl BuildInfo {
    pub(super) fn find(
        source: &mut RandomAccess<'_, '_>,
        executable: &Executable,
        budget: &Budget,
    ) -> Result<Option<Self>, FileError> {
        let section = executable
            .section(&[".go.buildinfo", "__go_buildinfo"])
            .map(|section| (section.offset, section.size));
        let data = executable
            .segments
            .iter()
            .find(|segment| segment.is_data)
            .map(|segment| (segment.offset, segment.size));
        for (offset, size) in section.into_iter().chain(data) {
            if let Some(start) = search(source, offset, size)? {
                let most = budget.limits().file_memory;
                return Reader {
                    source,
                    executable,
                    most,
                }
                .read(start)
                .map(Some);
            }
        }
        Ok(None)
    }
}

/// Where the magic is.
fn search(source: &mut RandomAccess<'_, '_>, offset: u64, size: u64) -> Result<Option<u64>, FileError> {
    let end = offset.saturating_add(size).min(source.size());
    let mut at = offset;
    while at < end {
        let window = source.read_some(at, WINDOW)?;
        let found = window
            .chunks(ALIGNMENT)
            .position(|chunk| chunk.starts_with(MAGIC));
        if let Some(index) = found {
            let start = at + (index * ALIGNMENT) as u64;
            return Ok((start < end).then_some(start));
        }
        at += WINDOW as u64;
    }
    Ok(None)
}

struct Reader<'r, 'f, 'c> {
    source: &'r mut RandomAccess<'f, 'c>,
    executable: &'r Executable,
    most: u64,
}

impl Reader<'_, '_, '_> {
    fn read(&mut self, start: u64) -> Result<BuildInfo, FileError> {
        let header = self.source.read(start, HEADER)?;
        let (pointer_bytes, flags) = (header[14], header[15]);
        let (go_version, modules) = if flags & INLINE != 0 {
            let (go_version, next) = self.inline(start + HEADER as u64)?;
            (go_version, self.inline(next)?.0)
        } else {
            let numbers = Numbers {
                is_wide: pointer_bytes == 8,
                is_big_endian: flags & BIG_ENDIAN != 0,
            };
            let pointer = |index: usize| numbers.word(&header, 16 + index * numbers.word_bytes());
            (
                self.pointed_at(pointer(0), numbers)?,
                self.pointed_at(pointer(1), numbers)?,
            )
        };
        Ok(BuildInfo {
            go_version: String::from_utf8_lossy(&go_version).into_owned(),
            modules: String::from_utf8_lossy(without_sentinels(&modules)).into_owned(),
        })
    }

    /// A text after its length (Go 1.18 and later), and where it ends.
    fn inline(&mut self, at: u64) -> Result<(Vec<u8>, u64), FileError> {
        let bytes = self.source.read_some(at, 10)?;
        let (length, after) = varint(&bytes)
            .ok_or_else(|| FileError::malformed("a length in the build information does not end"))?;
        let text = self.text(at + after, length)?;
        Ok((text, at + after + length))
    }

    /// A text whose address and length are at an address (before Go 1.18). Without an address there is none.
    fn pointed_at(&mut self, address: u64, numbers: Numbers) -> Result<Vec<u8>, FileError> {
        if address == 0 {
            return Ok(Vec::new());
        }
        let offset = self.offset_of(address)?;
        let header = self.source.read(offset, 2 * numbers.word_bytes())?;
        let (text, length) = (
            numbers.word(&header, 0),
            numbers.word(&header, numbers.word_bytes()),
        );
        if length == 0 {
            return Ok(Vec::new());
        }
        let offset = self.offset_of(text)?;
        self.text(offset, length)
    }

    fn offset_of(&self, address: u64) -> Result<u64, FileError> {
        self.executable
            .offset_of(address)
            .ok_or_else(|| FileError::malformed("the build information points out of the file"))
    }

    fn text(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, FileError> {
        if length > self.most {
            return Err(FileError::Exceeded(Exceeded {
                limit: "file.memory",
                detail: format!("the build information has {length} bytes, {} are read", self.most),
            }));
        }
        self.source
            .read(offset, usize::try_from(length).unwrap_or(usize::MAX))
    }
}

/// A number of 7 bits a byte, least first, and its bytes.
fn varint(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut value = 0_u64;
    for (index, &byte) in (0_u32..).zip(bytes) {
        let bits = u64::from(byte & 0x7f);
        value |= bits
            .checked_shl(7 * index)
            .filter(|shifted| shifted >> (7 * index) == bits)?;
        if byte < 0x80 {
            return Some((value, u64::from(index) + 1));
        }
    }
    None
}

fn without_sentinels(modules: &[u8]) -> &[u8] {
    let has_them = modules.len() > 2 * SENTINEL && modules[modules.len() - SENTINEL - 1] == b'\n';
    if has_them {
        &modules[SENTINEL..modules.len() - SENTINEL]
    } else {
        b""
    }
}
