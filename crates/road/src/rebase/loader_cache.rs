//! `/etc/ld.so.cache`: which file is a library by which name (glibc, `elf/cache.c` and `dl-cache.h`, format 1.1 of 2.32 and later;
//! the older one, which carries it in its tail, is read too).
//!
//! Merged by entry: those of the new base, and those that the application's `ldconfig` found beyond the old base's. Variants for
//! special processors are left out, so that the loader takes the plain library.

use std::cmp::Ordering;
use std::collections::HashSet;

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// Most entries that are read.
pub const MAX_LIBRARIES: usize = 200_000;

/// Bytes of all names and paths of a cache together: entries may point at one text a hundred thousand times. Caches of large
/// systems have some hundreds of KiB.
pub const MAX_LIBRARY_TEXT_BYTES: usize = 16 << 20;

/// Longest name or path, in bytes.
const MAX_TEXT_BYTES: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Library {
    /// Kind of library and machine.
    flags: u32,
    name: Vec<u8>,
    path: Vec<u8>,
}

#[derive(Debug, Default)]
struct Cache {
    libraries: Vec<Library>,
    /// What the file says about the order of bytes.
    order: u8,
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn text(bytes: &[u8], at: u32) -> Option<Vec<u8>> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let rest = &rest[..rest.len().min(MAX_TEXT_BYTES)];
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(rest[..end].to_vec())
}

fn read(bytes: &[u8]) -> Result<Cache, &'static str> {
    if bytes.is_empty() {
        return Ok(Cache::default());
    }
    let mut bytes = bytes;
    if bytes.starts_with(OLD_MAGIC) {
        let count = number(bytes, 12).ok_or("it is cut off")?;
        let ends = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(12)?.checked_add(16));
        let starts = ends.and_then(|ends| ends.checked_next_multiple_of(8));
        bytes = starts
            .and_then(|starts| bytes.get(starts..))
            .ok_or("it is cut off")?;
    }
    if !bytes.starts_with(MAGIC) {
        return Err("it is no cache of a loader that is known");
    }
    let order = *bytes.get(28).ok_or("it is cut off")?;
    // 0: the loader that wrote it did not say; 2: little. 3 is big.
    if order & 3 == 3 {
        return Err("it is of a machine with the other order of bytes");
    }
    let count = number(bytes, 20).and_then(|count| usize::try_from(count).ok());
    let count = count
        .filter(|count| *count <= MAX_LIBRARIES)
        .ok_or("it has too many libraries")?;
    let (mut libraries, mut text_bytes) = (Vec::new(), 0);
    for at in (0..count).map(|at| HEADER + at * ENTRY) {
        let field = |offset| number(bytes, at + offset).ok_or("it is cut off");
        let (low, high) = (field(16)?, field(20)?);
        if low != 0 || high != 0 {
            continue;
        }
        let library = Library {
            flags: field(0)?,
            name: text(bytes, field(4)?).ok_or("a name is cut off")?,
            path: text(bytes, field(8)?).ok_or("a path is cut off")?,
        };
        text_bytes += library.name.len() + library.path.len();
        if text_bytes > MAX_LIBRARY_TEXT_BYTES {
            return Err("its names are too long together");
        }
        libraries.push(library);
    }
    Ok(Cache { libraries, order })
}

/// glibc's `_dl_cache_libcmp`: runs of digits compare as numbers.
fn compare_names(left: &[u8], right: &[u8]) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        match (left.first(), right.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) if one.is_ascii_digit() && other.is_ascii_digit() => {
                let [(number, rest), (other_number, other_rest)] = [left, right].map(digits);
                let by_size = number
                    .len()
                    .cmp(&other_number.len())
                    .then_with(|| number.cmp(other_number));
                if by_size.is_ne() {
                    return by_size;
                }
                (left, right) = (rest, other_rest);
            }
            (Some(one), Some(_)) if one.is_ascii_digit() => return Ordering::Greater,
            (Some(_), Some(other)) if other.is_ascii_digit() => return Ordering::Less,
            (Some(one), Some(other)) if one != other => return one.cmp(other),
            _ => (left, right) = (&left[1..], &right[1..]),
        }
    }
}

/// A run of digits without the zeroes in front, and the rest.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeroes = digits.iter().take_while(|byte| **byte == b'0').count();
    (&digits[zeroes..], rest)
}

fn write(cache: &Cache) -> Vec<u8> {
    let mut strings: Vec<u8> = Vec::new();
    let start = HEADER + cache.libraries.len() * ENTRY;
    let mut entries = Vec::new();
    // Both limits together are far below 4 GiB.
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    for library in &cache.libraries {
        let name = small(start + strings.len());
        strings.extend(&library.name);
        strings.push(0);
        let path = small(start + strings.len());
        strings.extend(&library.path);
        strings.push(0);
        entries.extend(library.flags.to_le_bytes());
        entries.extend(name);
        entries.extend(path);
        entries.extend([0; 12]);
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(small(cache.libraries.len()));
    bytes.extend(small(strings.len()));
    bytes.extend([cache.order, 0, 0, 0]);
    bytes.resize(HEADER, 0);
    bytes.extend(entries);
    bytes.extend(strings);
    bytes
}

/// Merges three caches; an empty one is none. Libraries of which `is_there` says that they are gone are left out.
pub(super) fn merge_loader_cache(
    old: &[u8],
    new: &[u8],
    app: &[u8],
    is_there: impl Fn(&str) -> bool,
) -> Result<Vec<u8>, &'static str> {
    let [old, new, app] = [read(old)?, read(new)?, read(app)?];
    let was: HashSet<&Library> = old.libraries.iter().collect();
    let is: HashSet<&Library> = new.libraries.iter().collect();
    let own = app.libraries.iter();
    let own = own.filter(|library| !was.contains(library) && !is.contains(library));
    let mut libraries: Vec<Library> = new.libraries.iter().chain(own).cloned().collect();
    libraries.retain(|library| {
        std::str::from_utf8(&library.path).is_ok_and(|path| is_there(path.trim_start_matches('/')))
    });
    // The loader searches from the greatest name down.
    libraries.sort_by(|left, right| {
        let by_name = compare_names(&right.name, &left.name);
        by_name.then_with(|| right.flags.cmp(&left.flags))
    });
    let order = new.order | app.order;
    Ok(write(&Cache { libraries, order }))
}

#[cfg(test)]
mod tests;
