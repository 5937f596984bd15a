//! The table of contents of eStargz and zstd:chunked: lazy clients unpack by it, everybody else by the archive. Both must say the
//! same.
//!
//! Source of the form: stargz-snapshotter, docs/estargz.md, "TOC"; zstd:chunked has the same one elsewhere (`layer/chunked.rs`).

use std::collections::BTreeMap;

use findings::ListingEntry;
use serde::Deserialize;

use super::{
    pieces::{Piece, are_whole},
    report::Found,
};
use crate::tar::{Whiteout, normalise};

/// The entry that has the table, in the last member of the blob.
pub(super) const PATH: &str = "stargz.index.json";

#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    entries: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    mode: Option<u32>,
    #[serde(default, rename = "linkName")]
    link: String,
    #[serde(default)]
    digest: String,
    /// Of the piece that begins here; what a client that reads lazily checks.
    #[serde(default, rename = "chunkDigest")]
    chunk_digest: String,
    /// Bytes of that piece; 0 for all that follows.
    #[serde(default, rename = "chunkSize")]
    chunk_size: u64,
    /// Bytes of the file before it.
    #[serde(default, rename = "chunkOffset")]
    chunk_offset: u64,
}

impl Line {
    /// The piece of a file of so many bytes that begins here.
    fn piece(&self, size: u64) -> Piece {
        Piece {
            offset: self.chunk_offset,
            size: match self.chunk_size {
                0 => size.saturating_sub(self.chunk_offset),
                size => size,
            },
            digest: first_digits(&self.chunk_digest),
        }
    }
}

/// What a lazy client would put at a path.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    kind: char,
    size: u64,
    mode: Option<u32>,
    /// As the listing has it: the digest of a file, the target of a link; empty where the table says nothing.
    content: String,
    /// The digest of the only piece of a file, where there is one piece and it is told.
    piece: String,
    /// Its pieces, where there are several.
    pieces: Vec<Piece>,
}

/// Bits of a mode that count: permissions with setuid, setgid and sticky.
const MODE: u32 = 0o7777;

/// Hard links to hard links that are followed.
const LINKS: usize = 32;

/// Digits of a file's digest that the listing keeps.
const DIGITS: usize = 32;

/// What the table says, by path. `None` if it is no table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents(BTreeMap<String, Said>);

impl Contents {
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let table: Table = serde_json::from_slice(json).ok()?;
        let mut all: BTreeMap<String, Said> = BTreeMap::new();
        let mut last = String::new();
        for line in table.entries {
            if line.kind != "chunk" {
                last = normalise(line.name.as_bytes()).path;
                if !last.is_empty() {
                    all.insert(last.clone(), Said::of(line));
                }
            } else if let Some(said) = all.get_mut(&last).filter(|said| said.kind == '0') {
                // A further piece of the file before it, whatever it is called.
                said.pieces.push(line.piece(said.size));
            }
        }
        for said in all.values_mut() {
            // One alone stands for the file itself.
            if said.pieces.len() < 2 {
                said.pieces.clear();
            }
        }
        Some(Self(all))
    }

    /// The pieces of a file that has several.
    pub(super) fn pieces(&self, path: &str) -> Option<&[Piece]> {
        let said = self.0.get(path)?;
        (!said.pieces.is_empty()).then_some(said.pieces.as_slice())
    }

    /// A hard link to a hard link is one to the file, as the listing has it.
    fn content_of<'t>(&'t self, said: &'t Said) -> &'t str {
        let mut content = said.content.as_str();
        for _ in 0..LINKS {
            match self.0.get(content) {
                Some(next) if said.kind == '1' && next.kind == '1' => content = &next.content,
                _ => break,
            }
        }
        content
    }

    /// Notes every path of which the table says something else than the archive.
    pub(super) fn compare(&self, found: &mut Found) {
        let mut different = Vec::new();
        for (path, said) in &self.0 {
            let agrees = match Whiteout::of(path) {
                Some(Whiteout::Removes(removed)) => found.whiteouts.contains(&removed),
                Some(Whiteout::Opaque(directory)) => found.opaque.contains(&directory),
                Some(Whiteout::Metadata | Whiteout::Misleading) => true,
                None => {
                    let is_same = |entry| said.is(entry, self.content_of(said));
                    entry_at(&found.listing, path).is_some_and(is_same) && !found.other_pieces.contains(path)
                }
            };
            if !agrees {
                different.push(path.clone());
            }
        }
        let is_missing = |entry: &&ListingEntry| entry.path != PATH && !self.0.contains_key(&entry.path);
        // Directories above others need not be in the table.
        let missing = found
            .listing
            .iter()
            .filter(is_missing)
            .filter(|entry| entry.kind != '5');
        different.extend(missing.map(|entry| entry.path.clone()));
        for path in different {
            let what = "the table of contents for lazy clients and the archive disagree about it";
            found.oddities.note(path.as_bytes(), what);
        }
    }
}

impl Said {
    fn of(line: Line) -> Self {
        let kind = match line.kind.as_str() {
            "reg" => '0',
            "hardlink" => '1',
            "symlink" => '2',
            "char" => '3',
            "block" => '4',
            "dir" => '5',
            "fifo" => '6',
            _ => '?',
        };
        let is_one_piece = kind == '0' && (line.chunk_size == 0 || line.chunk_size >= line.size);
        Self {
            piece: if is_one_piece {
                first_digits(&line.chunk_digest)
            } else {
                String::new()
            },
            pieces: if kind == '0' && !is_one_piece {
                vec![line.piece(line.size)]
            } else {
                Vec::new()
            },
            kind,
            size: if kind == '0' { line.size } else { 0 },
            mode: line.mode.map(|mode| mode & MODE),
            content: match kind {
                '0' => first_digits(&line.digest),
                '1' => normalise(line.link.as_bytes()).path,
                '2' => line.link,
                _ => String::new(),
            },
        }
    }

    fn is(&self, entry: &ListingEntry, content: &str) -> bool {
        // Where files are not hashed, the listing has nothing to compare with.
        let differs = |told: &str| !told.is_empty() && !entry.content.is_empty() && told != entry.content;
        // Empty files have a digest in one and none in the other.
        let has_content = self.kind != '0' || self.size > 0;
        self.kind == entry.kind
            && self.size == entry.size
            && (self.pieces.is_empty() || are_whole(&self.pieces, self.size))
            && (self.kind == '2' || self.mode.is_none_or(|mode| mode == entry.mode & MODE))
            && (!has_content || !(differs(content) || differs(&self.piece)))
    }
}

/// As much of `sha256:…` as the listing keeps. The digest of another algorithm says nothing.
pub(super) fn first_digits(digest: &str) -> String {
    let digits = digest.strip_prefix("sha256:").unwrap_or_default();
    digits.chars().take(DIGITS).collect()
}

/// In a listing that is sorted.
fn entry_at<'l>(listing: &'l [ListingEntry], path: &str) -> Option<&'l ListingEntry> {
    let place = listing
        .binary_search_by(|entry| entry.path.as_str().cmp(path))
        .ok()?;
    listing.get(place)
}
