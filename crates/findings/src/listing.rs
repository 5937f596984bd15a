//! Every path of a layer, small.
//!
//! Entries are sorted by path; a path is the length that it shares with the one before it and the rest. The whole is deflated.
//! A layer of 100,000 files takes about as many tens of kilobytes as it has thousands of files, most of that digests.

use std::io::{BufRead, BufReader, Read};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingEntry {
    /// Relative to the root of the file system.
    pub path: String,
    /// Type of the entry as in a tar header: `0` file, `1` hard link, `2` symbolic link, `5` directory, …
    pub kind: char,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// Bytes of a file.
    pub size: u64,
    /// The first 16 bytes of the SHA-256 of a file, hex; the target of a link; empty for what has neither.
    pub content: String,
}

/// Bytes of one path or target of a link. Names of a tar header end far before.
const FIELD_BYTES: usize = 128 << 10;

/// Bytes that are inflated at a time.
const STEP: usize = 64 << 10;

/// The entries of a layer, encoded. In JSON it is base 16.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing(Vec<u8>);

/// Why a listing cannot be read.
#[derive(Debug, Error)]
pub enum ListingError {
    /// Not what [`Listing::of`] writes.
    #[error("the listing of a layer is damaged: {0}")]
    Damaged(&'static str),
    /// Larger than the caller wants to read.
    #[error("the listing of a layer has more than {0} bytes")]
    TooLarge(u64),
    /// Stacking the layers takes more steps than the caller allows.
    #[error("the layers hide more of each other than is looked at")]
    TooMuchWork,
}

impl Listing {
    /// Encodes entries in the order of their paths.
    pub fn of(entries: &[ListingEntry]) -> Self {
        use std::io::Write as _;
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut previous = "";
        for entry in entries {
            let shared = shared_prefix(previous, &entry.path);
            let line = format!(
                "{shared}\0{}\0{}\0{:o}\0{}\0{}\0",
                without_nul(&entry.path[shared..]),
                entry.kind,
                entry.mode,
                entry.size,
                without_nul(&entry.content)
            );
            // Writing to memory does not fail.
            let _ = encoder.write_all(line.as_bytes());
            previous = &entry.path;
        }
        Self(encoder.finish().unwrap_or_default())
    }

    /// Decodes the entries.
    ///
    /// # Errors
    /// The bytes are damaged, or decode to more than `limit` bytes.
    pub fn entries(&self, limit: u64) -> Result<Vec<ListingEntry>, ListingError> {
        let mut entries = Vec::new();
        self.read(limit, |path, rest| {
            entries.push(ListingEntry {
                path: path.to_owned(),
                kind: rest.kind,
                mode: rest.mode,
                size: rest.size,
                content: rest.content.to_owned(),
            });
        })?;
        Ok(entries)
    }

    /// Calls `each` with the path and the type of every entry. Answers how many bytes they decode to. No more of them than one
    /// entry is in memory at a time.
    ///
    /// # Errors
    /// The bytes are damaged, or decode to more than `limit` bytes.
    pub fn for_each(&self, limit: u64, mut each: impl FnMut(&str, char)) -> Result<u64, ListingError> {
        self.read(limit, |path, rest| each(path, rest.kind))
    }

    fn read(&self, limit: u64, each: impl FnMut(&str, &Rest<'_>)) -> Result<u64, ListingError> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let inflated = ZlibDecoder::new(self.0.as_slice()).take(limit.saturating_add(1));
        let mut fields = Fields {
            from: BufReader::with_capacity(STEP, inflated),
            read: 0,
            limit,
        };
        for_each_entry(&mut fields, each)?;
        Ok(fields.read)
    }

    /// What [`Listing::into_bytes`] gave; checked when it is read.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its encoded form.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Bytes that it takes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it lists nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn shared_prefix(previous: &str, path: &str) -> usize {
    let shared = previous
        .bytes()
        .zip(path.bytes())
        .take_while(|(left, right)| left == right)
        .count();
    path.floor_char_boundary(shared)
}

/// Names of files and targets of links have none; whoever says otherwise must not be able to shift the fields.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// An entry without its path.
struct Rest<'a> {
    kind: char,
    mode: u32,
    size: u64,
    content: &'a str,
}

const DAMAGED: ListingError = ListingError::Damaged("an entry has another shape");

/// What the inflated bytes hold, one after the other.
struct Fields<R> {
    from: R,
    read: u64,
    limit: u64,
}

impl<R: BufRead> Fields<R> {
    /// Reads the next one into `field`. `false`: there is none.
    fn next(&mut self, field: &mut Vec<u8>) -> Result<bool, ListingError> {
        field.clear();
        let mut from = (&mut self.from).take(FIELD_BYTES as u64 + 1);
        let read = from
            .read_until(0, field)
            .map_err(|_| ListingError::Damaged("it cannot be inflated"))?;
        self.read += read as u64;
        if self.read > self.limit {
            return Err(ListingError::TooLarge(self.limit));
        }
        if field.len() > FIELD_BYTES {
            return Err(ListingError::Damaged("an entry is too long"));
        }
        match field.pop() {
            None => Ok(false),
            Some(0) => Ok(true),
            Some(_) => Err(DAMAGED),
        }
    }
}

fn text(field: &[u8]) -> Result<&str, ListingError> {
    std::str::from_utf8(field).map_err(|_| ListingError::Damaged("it is not UTF-8"))
}

fn number<T: std::str::FromStr>(field: &[u8]) -> Result<T, ListingError> {
    text(field)?.parse().map_err(|_| DAMAGED)
}

fn for_each_entry<R: BufRead>(
    fields: &mut Fields<R>,
    mut each: impl FnMut(&str, &Rest<'_>),
) -> Result<(), ListingError> {
    let mut path = String::new();
    let (mut shared, mut rest) = (Vec::new(), [const { Vec::new() }; 5]);
    while fields.next(&mut shared)? {
        for field in &mut rest {
            if !fields.next(field)? {
                return Err(DAMAGED);
            }
        }
        let [suffix, kind, mode, size, content] = &rest;
        let shared = number(&shared)?;
        if !path.is_char_boundary(shared) {
            return Err(DAMAGED);
        }
        path.truncate(shared);
        path.push_str(text(suffix)?);
        if path.len() > FIELD_BYTES {
            return Err(ListingError::Damaged("an entry is too long"));
        }
        let rest = Rest {
            kind: text(kind)?.chars().next().ok_or(DAMAGED)?,
            mode: u32::from_str_radix(text(mode)?, 8).map_err(|_| DAMAGED)?,
            size: number(size)?,
            content: text(content)?,
        };
        each(&path, &rest);
    }
    Ok(())
}

impl Serialize for Listing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::base16::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Listing {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::base16::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, content: &str) -> ListingEntry {
        ListingEntry {
            path: path.into(),
            kind: '0',
            mode: 0o4755,
            size: 17,
            content: content.into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let entries = [
            entry("a\tb", ""),
            entry("usr/bin/ä", "x\ty"),
            entry("usr/bin/äö", "00ff"),
            entry("usr/lib", ""),
        ];
        let listing = Listing::of(&entries);
        assert_eq!(listing.entries(1 << 20).unwrap(), entries);
        let json = serde_json::to_string(&listing).unwrap();
        assert_eq!(serde_json::from_str::<Listing>(&json).unwrap(), listing);
    }

    #[test]
    fn a_bomb_is_refused() {
        let entries = vec![entry(&"a".repeat(4_000), ""); 1_000];
        let listing = Listing::of(&entries);
        assert!(matches!(
            listing.entries(10_000),
            Err(ListingError::TooLarge(10_000))
        ));
    }

    fn deflated(text: &[u8]) -> Listing {
        use std::io::Write as _;
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        Listing::from_bytes(encoder.finish().unwrap())
    }

    /// Whoever was taken over by a layer writes what it likes: no entry is taken into memory whatever its length.
    #[test]
    fn an_entry_without_an_end_is_refused_before_it_is_read() {
        let endless = deflated(&vec![b'1'; 64 << 20]);
        let refused = endless.for_each(1 << 30, |_, _| {}).unwrap_err();
        assert!(refused.to_string().contains("too long"), "{refused}");
        let half = format!("0\0{}\x000\x000\x000\0\0", "a".repeat(FIELD_BYTES - 1));
        let more = format!("{half}{}\0b\x000\x000\x000\0\0", FIELD_BYTES - 1);
        assert_eq!(deflated(more.as_bytes()).entries(1 << 30).unwrap().len(), 2);
        let most = format!("{more}{FIELD_BYTES}\0b\x000\x000\x000\0\0");
        let refused = deflated(most.as_bytes()).entries(1 << 30).unwrap_err();
        assert!(refused.to_string().contains("too long"), "{refused}");
        for torn in ["0\0a", "0\0a\x000\x000\x000\0", "9\0a\x000\x000\x000\0\0"] {
            let refused = deflated(torn.as_bytes()).entries(1 << 30).unwrap_err();
            assert!(matches!(refused, ListingError::Damaged(_)), "{refused}");
        }
    }
}
