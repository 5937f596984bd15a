//! The table of contents of eStargz: lazy clients unpack by it, everybody else by the archive. Both must say the same.
//!
//! Source of the form: stargz-snapshotter, docs/estargz.md, "TOC".

use std::collections::BTreeMap;

use findings::ListingEntry;
use serde::Deserialize;

use super::report::Found;
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
}

/// What the table says: kind of the entry and size by path. `None` if it is no table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents(BTreeMap<String, (char, u64)>);

impl Contents {
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let table: Table = serde_json::from_slice(json).ok()?;
        let lines = table.entries.into_iter().filter_map(|line| {
            let kind = match line.kind.as_str() {
                "reg" => '0',
                "hardlink" => '1',
                "symlink" => '2',
                "char" => '3',
                "block" => '4',
                "dir" => '5',
                "fifo" => '6',
                // A further piece of the file before it.
                "chunk" => return None,
                _ => '?',
            };
            let size = if kind == '0' { line.size } else { 0 };
            Some((normalise(line.name.as_bytes()).path, (kind, size)))
        });
        Some(Self(lines.filter(|(path, _)| !path.is_empty()).collect()))
    }

    /// Notes every path of which the table says something else than the archive.
    pub(super) fn compare(&self, found: &mut Found) {
        let mut different = Vec::new();
        for (path, said) in &self.0 {
            let agrees = match Whiteout::of(path) {
                Some(Whiteout::Removes(removed)) => found.whiteouts.contains(&removed),
                Some(Whiteout::Opaque(directory)) => found.opaque.contains(&directory),
                Some(Whiteout::Metadata | Whiteout::Misleading) => true,
                None => entry_at(&found.listing, path).is_some_and(|entry| (entry.kind, entry.size) == *said),
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
            let what = "the table of contents of eStargz and the archive disagree about it";
            found.oddities.note(path.as_bytes(), what);
        }
    }
}

/// In a listing that is sorted.
fn entry_at<'l>(listing: &'l [ListingEntry], path: &str) -> Option<&'l ListingEntry> {
    let place = listing
        .binary_search_by(|entry| entry.path.as_str().cmp(path))
        .ok()?;
    listing.get(place)
}
