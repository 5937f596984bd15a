//! Extended headers of POSIX (pax): records of `length key=value\n`.

use std::collections::HashMap;

use super::TarError;

/// The records of one header; the last of a key counts.
#[derive(Debug, Default)]
pub(super) struct Records {
    values: HashMap<Vec<u8>, Vec<u8>>,
    /// A key that the reader minds is there twice.
    pub(super) repeats: bool,
}

const MALFORMED: TarError = TarError::Malformed("a record of an extended header");

/// Keys that change what an entry is.
const MINDED: [&[u8]; 3] = [b"path", b"linkpath", b"size"];

impl Records {
    /// Reads a header's content as Go does.
    ///
    /// # Errors
    /// A record has another shape; a name has a NUL.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, TarError> {
        let mut records = Self::default();
        // Sparse files of version 0.0 repeat two keys; they are made to look like version 0.1.
        let mut map: Vec<&[u8]> = Vec::new();
        while !bytes.is_empty() {
            let Record { key, value, rest } = Record::parse(bytes)?;
            bytes = rest;
            if key == b"GNU.sparse.offset" || key == b"GNU.sparse.numbytes" {
                let is_turn = map.len().is_multiple_of(2) == (key == b"GNU.sparse.offset");
                if !is_turn || value.contains(&b',') {
                    return Err(MALFORMED);
                }
                map.push(value);
                continue;
            }
            let was_there = records.values.insert(key.to_vec(), value.to_vec()).is_some();
            let is_minded = MINDED.contains(&key) || key.starts_with(b"GNU.sparse.");
            records.repeats |= was_there && is_minded;
        }
        if !map.is_empty() {
            let map = map.join(&b","[..]);
            let was_there = records.values.insert(b"GNU.sparse.map".to_vec(), map).is_some();
            records.repeats |= was_there;
        }
        Ok(records)
    }

    /// A value that is not empty. Go takes an empty one as absent; POSIX says that it deletes what was there.
    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.values
            .get(key.as_bytes())
            .map(Vec::as_slice)
            .filter(|value| !value.is_empty())
    }

    /// A decimal number.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>, TarError> {
        self.get(key).map(decimal).transpose()
    }

    /// Whether a key that the reader minds has an empty value, which parsers read in more than one way.
    pub(super) fn has_empty(&self) -> bool {
        let is_empty = |key: &&[u8]| self.values.get(*key).is_some_and(Vec::is_empty);
        MINDED.iter().any(is_empty)
    }

    /// Whether there is any key of those that change what an entry is.
    pub(super) fn changes_entries(&self) -> bool {
        MINDED.iter().any(|key| self.values.contains_key(*key)) || self.has_sparse()
    }

    /// Whether there is any key of a sparse file.
    pub(super) fn has_sparse(&self) -> bool {
        self.values.keys().any(|key| key.starts_with(b"GNU.sparse."))
    }

    /// Whether it describes a sparse file in two ways.
    pub(super) fn has_two_maps(&self, is_inside: bool) -> bool {
        let has = |key: &str| self.values.contains_key(key.as_bytes());
        let has_sizes = has("GNU.sparse.size") && has("GNU.sparse.realsize");
        has_sizes || is_inside && (has("GNU.sparse.map") || has("GNU.sparse.numblocks"))
    }

    /// Refuses owners and times that Go refuses, once the records belong to an entry.
    pub(super) fn check_unused(&self) -> Result<(), TarError> {
        for key in ["uid", "gid"] {
            self.number(key)?;
        }
        for key in ["atime", "mtime", "ctime"] {
            if let Some(value) = self.get(key) {
                check_time(value)?;
            }
        }
        Ok(())
    }
}

/// One record and what follows it.
struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Record<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, TarError> {
        let space = bytes.iter().position(|byte| *byte == b' ').ok_or(MALFORMED)?;
        let length = usize::try_from(decimal(&bytes[..space])?).map_err(|_| MALFORMED)?;
        if length < 5 || length > bytes.len() || length <= space + 1 {
            return Err(MALFORMED);
        }
        let (record, rest) = bytes.split_at(length);
        let (newline, record) = record[space + 1..].split_last().ok_or(MALFORMED)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(MALFORMED)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let must_not_have_nul = match key {
            b"path" | b"linkpath" | b"uname" | b"gname" => value,
            _ => key,
        };
        if *newline != b'\n' || key.is_empty() || must_not_have_nul.contains(&0) {
            return Err(MALFORMED);
        }
        Ok(Self { key, value, rest })
    }
}

/// A decimal number with an optional sign.
pub(super) fn decimal(text: &[u8]) -> Result<i64, TarError> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(TarError::Malformed("a number of an extended header"))
}

/// Seconds, and digits behind a point.
fn check_time(text: &[u8]) -> Result<(), TarError> {
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let fraction = text.get(point + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(MALFORMED);
    }
    decimal(&text[..point]).map(|_| ())
}
