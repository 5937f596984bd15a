//! What ELF files need of others and offer them, by their sections.

use findings::Linkage;
use object::Endianness;
use object::elf::{DT_NEEDED, DT_SONAME, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionTable};

/// Names that one file may need or offer; one with more is not read.
const MAX_NAMES: usize = 4_096;

/// Bytes of a name.
const MAX_NAME_BYTES: usize = 4_096;

/// What came of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// It links with nothing and nothing with it, or is no ELF file.
    Apart,
    /// Its needs.
    Found(Box<Linkage>),
    /// It looks like one that links, and cannot be read.
    Unread,
}

/// Reads a whole file.
pub(crate) fn read(path: &str, file: &[u8]) -> Read {
    let read = match file {
        [0x7f, b'E', b'L', b'F', 1, ..] => read_as::<FileHeader32<Endianness>>(path, file, 32),
        [0x7f, b'E', b'L', b'F', 2, ..] => read_as::<FileHeader64<Endianness>>(path, file, 64),
        _ => return Read::Apart,
    };
    read.unwrap_or(Read::Unread)
}

/// `None`: it cannot be read.
fn read_as<Elf: FileHeader<Endian = Endianness>>(path: &str, file: &[u8], width: u8) -> Option<Read> {
    let header = Elf::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let mut interpreter = None;
    let mut is_dynamic = false;
    for segment in header.program_headers(endian, file).ok()? {
        is_dynamic |= segment.dynamic(endian, file).ok()?.is_some();
        if let Some(name) = segment.interpreter(endian, file).ok()? {
            interpreter = Some(text(name)?);
        }
    }
    if !is_dynamic {
        return Some(Read::Apart);
    }
    let sections = header.sections(endian, file).ok()?;
    let table = sections.dynamic_table(endian, file).ok()?;
    let (mut soname, mut needed) = (None, Vec::new());
    for entry in &table {
        if entry.tag == DT_SONAME {
            soname = Some(text(table.string(entry).ok()?)?);
        } else if entry.tag == DT_NEEDED {
            needed.push(text(table.string(entry).ok()?)?);
        }
        if needed.len() > MAX_NAMES {
            return None;
        }
    }
    if table.is_empty() {
        // Sections were taken out: what the segments say of names is not looked up here.
        return None;
    }
    Some(Read::Found(Box::new(Linkage {
        path: path.to_owned(),
        machine: (header.e_machine(endian).0, width),
        soname,
        needed,
        interpreter,
        wants: wants(&sections, endian, file)?,
        offers: offers(&sections, endian, file)?,
    })))
}

/// A name; `None`: it is longer than one is.
fn text(name: &[u8]) -> Option<String> {
    (name.len() <= MAX_NAME_BYTES).then(|| String::from_utf8_lossy(name).into_owned())
}

fn wants<Elf: FileHeader<Endian = Endianness>>(
    sections: &SectionTable<'_, Elf>,
    endian: Endianness,
    file: &[u8],
) -> Option<Vec<(String, String)>> {
    let Some((mut needs, strings)) = sections.gnu_verneed(endian, file).ok()? else {
        return Some(Vec::new());
    };
    let strings = sections.strings(endian, file, strings).ok()?;
    let (mut wants, mut steps) = (Vec::new(), 0);
    while let Some((need, mut versions)) = needs.next().ok()? {
        let library = text(need.file(endian, strings).ok()?)?;
        while let Some(version) = versions.next().ok()? {
            wants.push((library.clone(), text(version.name(endian, strings).ok()?)?));
            if wants.len() > MAX_NAMES {
                return None;
            }
        }
        steps += 1;
        if steps > MAX_NAMES {
            return None;
        }
    }
    Some(wants)
}

fn offers<Elf: FileHeader<Endian = Endianness>>(
    sections: &SectionTable<'_, Elf>,
    endian: Endianness,
    file: &[u8],
) -> Option<Vec<String>> {
    let Some((mut definitions, strings)) = sections.gnu_verdef(endian, file).ok()? else {
        return Some(Vec::new());
    };
    let strings = sections.strings(endian, file, strings).ok()?;
    let mut offers = Vec::new();
    // The first name of a definition is its own, the others are those that it builds on.
    while let Some((_, mut names)) = definitions.next().ok()? {
        if let Some(name) = names.next().ok()? {
            offers.push(text(name.name(endian, strings).ok()?)?);
        }
        if offers.len() > MAX_NAMES {
            return None;
        }
    }
    Some(offers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_this_machine_says_what_it_needs() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let Read::Found(linkage) = read("test", &file) else {
            panic!("the test itself links");
        };
        assert!(
            linkage.needed.iter().any(|name| name.starts_with("libc.")),
            "{linkage:?}"
        );
        assert!(linkage.interpreter.is_some());
        assert!(linkage.soname.is_none());
    }

    #[test]
    fn what_is_no_elf_file_is_apart_and_damage_is_told() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(read("x", b"#!/bin/sh"), Read::Apart);
        assert_eq!(read("x", &file[..5]), Read::Unread);
        assert_eq!(read("x", &file[..file.len() / 2]), Read::Unread);
        // Whatever a stranger changes, reading ends.
        for at in (0..4_096.min(file.len())).step_by(7) {
            let mut hostile = file[..64_000.min(file.len())].to_vec();
            hostile[at] ^= 0xff;
            let _ = read("x", &hostile);
        }
    }
}
