//! What an ecosystem has: `modified_id.csv` of OSV's export, a line `<moment>,<id>` for each advisory.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::FeedLimits;

/// How often a document that was older than the list said is fetched again.
const TRIES: u8 = 3;

/// Bytes of an id.
const ID_BYTES: usize = 200;

/// One line in so many may be wrong; more, and it is no list.
const RUBBISH_SHARE: usize = 100;

/// What an ecosystem has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct List {
    entries: HashMap<Box<str>, Entry>,
    /// Lines that were not taken.
    pub(crate) skipped: usize,
}

/// One advisory of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When it last changed, in microseconds since the Unix epoch.
    pub(crate) modified: i64,
    /// How often its document was older than that, or not there.
    tries: u8,
}

/// What is another in a list than in the one before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// New, or changed, or to be tried once more; in the order of the ids.
    pub(crate) changed: Vec<Box<str>>,
    /// Not there any more.
    pub(crate) gone: Vec<Box<str>>,
    /// How many are listed as older than before.
    pub(crate) older: usize,
}

/// Why a list is not taken.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ListError {
    /// Not text.
    #[error("it is not UTF-8")]
    Encoding,
    /// Nothing in it: whatever was there before would be gone.
    #[error("it is empty")]
    Empty,
    /// Too long.
    #[error("it has more than {0} lines")]
    Lines(usize),
    /// Too much of it is something else.
    #[error("{wrong} of {lines} lines are no `<moment>,<id>`, such as line {first}")]
    Rubbish {
        /// Lines that are wrong.
        wrong: usize,
        /// All lines.
        lines: usize,
        /// The first wrong one, counted from 1.
        first: usize,
    },
    /// What was stored cannot be read.
    #[error("what was stored of it is damaged")]
    Damaged,
}

impl List {
    /// Reads a list. Single lines that are wrong are passed over and counted: one odd id must not keep all others out.
    pub(crate) fn parse(bytes: &[u8], limits: &FeedLimits) -> Result<Self, ListError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ListError::Encoding)?;
        let mut list = Self::default();
        let (mut lines, mut first) = (0, 0);
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || (number == 0 && line.starts_with("modified,")) {
                continue;
            }
            lines += 1;
            if lines > limits.list_lines {
                return Err(ListError::Lines(limits.list_lines));
            }
            if let Some((id, modified)) = read_line(line) {
                list.add(id, modified);
            } else {
                list.skipped += 1;
                first = if first == 0 { number + 1 } else { first };
            }
        }
        if list.skipped * RUBBISH_SHARE > lines {
            let wrong = list.skipped;
            return Err(ListError::Rubbish { wrong, lines, first });
        }
        if list.entries.is_empty() {
            return Err(ListError::Empty);
        }
        Ok(list)
    }

    fn add(&mut self, id: &str, modified: i64) {
        let entry = Entry { modified, tries: 0 };
        let present = self.entries.entry(id.into()).or_insert(entry);
        present.modified = present.modified.max(modified);
    }

    /// How many advisories it has.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of an id.
    pub(crate) fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Every id.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(|id| &**id)
    }

    /// Whether a document is to be tried once more although the list has not changed.
    pub(crate) fn has_untried(&self) -> bool {
        self.entries.values().any(Entry::is_untried)
    }

    /// What is another here than in the list `before`; how often documents were tried is taken over from it.
    ///
    /// What is listed as older than before is taken for what it was: the source, or who hands it out, has gone back in time. Moments
    /// behind `horizon` say nothing about that.
    pub(crate) fn difference(&mut self, before: &Self, horizon: i64) -> Difference {
        let mut difference = Difference::default();
        for (id, entry) in &mut self.entries {
            match before.entries.get(id) {
                Some(known) if known.modified == entry.modified || known.is_later_than(entry, horizon) => {
                    difference.older += usize::from(entry.modified < known.modified);
                    *entry = *known;
                    if known.is_untried() {
                        difference.changed.push(id.clone());
                    }
                }
                _ => difference.changed.push(id.clone()),
            }
        }
        let gone = before.entries.keys().filter(|id| !self.entries.contains_key(*id));
        difference.gone.extend(gone.cloned());
        difference.changed.sort_unstable();
        difference.gone.sort_unstable();
        difference
    }

    /// Notes that the document of an id is here, and as new as listed.
    pub(crate) fn settle(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.tries = 0;
        }
    }

    /// Notes that the document of an id was older than listed, or not there: a source changes its list and its documents one
    /// after the other. It is tried again, but not for ever.
    pub(crate) fn try_again(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.tries = entry.tries.saturating_add(1);
        }
    }

    /// Keeps an entry that the source does not list any more.
    pub(crate) fn keep(&mut self, id: &str, entry: Entry) {
        self.entries.insert(id.into(), entry);
    }

    /// The form in which it is stored.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(id, _)| *id);
        for (id, Entry { modified, tries }) in entries {
            // Writing to memory does not fail.
            let _ = writeln!(text, "{modified},{tries},{id}");
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let _ = encoder.write_all(text.as_bytes());
        encoder.finish().unwrap_or_default()
    }

    /// Reads what [`List::encode`] wrote; nothing is the empty list.
    pub(crate) fn decode(stored: &[u8], limits: &FeedLimits) -> Result<Self, ListError> {
        let mut list = Self::default();
        if stored.is_empty() {
            return Ok(list);
        }
        // An entry is longer than its line by a number of a few digits.
        let most = limits.list_bytes.saturating_mul(2);
        let mut text = String::new();
        ZlibDecoder::new(stored)
            .take(most)
            .read_to_string(&mut text)
            .map_err(|_| ListError::Damaged)?;
        for line in text.lines() {
            let (modified, rest) = line.split_once(',').ok_or(ListError::Damaged)?;
            let (tries, id) = rest.split_once(',').ok_or(ListError::Damaged)?;
            let entry = Entry {
                modified: modified.parse().map_err(|_| ListError::Damaged)?,
                tries: tries.parse().map_err(|_| ListError::Damaged)?,
            };
            list.entries.insert(id.into(), entry);
        }
        Ok(list)
    }
}

impl Entry {
    fn is_later_than(&self, other: &Self, horizon: i64) -> bool {
        self.modified <= horizon && other.modified < self.modified
    }

    fn is_untried(&self) -> bool {
        (1..=TRIES).contains(&self.tries)
    }
}

fn read_line(line: &str) -> Option<(&str, i64)> {
    let (moment, id) = line.split_once(',')?;
    is_id(id).then_some((id, moment_of(moment)?))
}

/// Microseconds since the Unix epoch of a moment in RFC 3339.
pub(crate) fn moment_of(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000).ok()
}

/// What may become a part of a URL and a line of a log: no path, no escape, nothing that is not printed.
pub(crate) fn is_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/\\%#,\"'<>|".contains(&byte);
    (1..=ID_BYTES).contains(&id.len())
        && !id.starts_with('.')
        && !id.contains("..")
        && id.bytes().all(is_plain)
}

#[cfg(test)]
mod tests;
