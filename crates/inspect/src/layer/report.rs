//! What a pass has found so far, and the report that becomes of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use findings::{
    ByteFinding, Compression, FoundUnit, LayerReport, Listing, ListingEntry, NotScannable, Oddity, SCHEMA,
};
use oci::Digest;

use super::{contents::Contents, ownership::Owners, pieces::Comparison};
use crate::{Exceeded, Limits, tar::Oddities};

/// A unit, and which entry it is of: a later entry of the same path replaces it.
pub(super) struct Placed {
    pub(super) unit: FoundUnit,
    pub(super) entry: usize,
}

/// Facts so far.
pub(super) struct Found {
    pub(super) units: Vec<Placed>,
    pub(super) owners: Owners,
    pub(super) whiteouts: BTreeSet<String>,
    pub(super) opaque: BTreeSet<String>,
    pub(super) oddities: Oddities,
    pub(super) listing: Vec<ListingEntry>,
    /// Tables of contents by their digests: where a lazy client looks, and in the archive. They need not be the same.
    tables: BTreeMap<Digest, Contents>,
    /// The one of them by which lazy clients read, as far as it was known before the archive.
    lazy: Option<Digest>,
    /// Files of which that one tells other pieces than the archive has.
    pub(super) other_pieces: BTreeSet<String>,
    findings: Vec<ByteFinding>,
    more_findings: u64,
    not_scannable: Vec<NotScannable>,
    names: u64,
    limits: Limits,
}

/// What only the reader of the blob knows.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    pub(super) diff_id: Option<Digest>,
    pub(super) compression: Compression,
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

impl Found {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            units: Vec::new(),
            owners: Owners::default(),
            whiteouts: BTreeSet::new(),
            opaque: BTreeSet::new(),
            oddities: Oddities::new(limits.findings),
            listing: Vec::new(),
            tables: BTreeMap::new(),
            lazy: None,
            other_pieces: BTreeSet::new(),
            findings: Vec::new(),
            more_findings: 0,
            not_scannable: Vec::new(),
            names: 0,
            limits: limits.clone(),
        }
    }

    /// Takes what lazy clients may unpack the layer by.
    pub(super) fn add_contents(&mut self, digest: Digest, contents: Contents) {
        self.tables.insert(digest, contents);
    }

    /// The same, before the archive is read: pieces of its files can be compared.
    pub(super) fn add_lazy_contents(&mut self, digest: Digest, contents: Contents) {
        self.lazy = Some(digest);
        self.add_contents(digest, contents);
    }

    /// What a file is compared with while it passes by, if a lazy client reads it in pieces.
    pub(super) fn comparison(&self, path: &str) -> Option<Comparison> {
        let pieces = self.tables.get(self.lazy.as_ref()?)?.pieces(path)?;
        Some(Comparison::with(pieces.to_vec()))
    }

    /// What came of it. Of several entries with one path the last counts.
    pub(super) fn compared(&mut self, path: &str, comparison: Comparison) {
        if comparison.agrees() {
            self.other_pieces.remove(path);
        } else {
            self.other_pieces.insert(path.to_owned());
        }
    }

    /// Counts the bytes of a name that is kept.
    ///
    /// # Errors
    /// `layer.names`.
    pub(super) fn take_name(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.names += bytes as u64;
        if self.names <= self.limits.names {
            return Ok(());
        }
        Err(Exceeded {
            limit: "layer.names",
            detail: format!(
                "the names of the layer have more than {} bytes",
                self.limits.names
            ),
        })
    }

    /// Keeps findings up to the limit and counts the others.
    pub(super) fn add_findings(&mut self, findings: Vec<ByteFinding>) {
        for finding in findings {
            if (self.findings.len() as u64) < self.limits.findings {
                self.findings.push(finding);
            } else {
                self.more_findings += 1;
            }
        }
    }

    /// Notes what could not be looked into: of files up to the limit of findings, of the layer always.
    pub(super) fn skip(&mut self, limit: &str, detail: String, path: Option<&str>) {
        if path.is_none() || (self.not_scannable.len() as u64) < self.limits.findings {
            self.not_scannable.push(NotScannable {
                limit: limit.to_owned(),
                detail,
                path: path.map(str::to_owned),
            });
        }
    }

    /// Sorts everything and writes it down.
    pub(super) fn report(
        mut self,
        blob: &Digest,
        analysers: &str,
        reader_oddities: (Vec<Oddity>, u64),
        measured: Measured,
    ) -> LayerReport {
        let replaced = self.settle_listing();
        self.units.retain(|placed| !replaced.contains(&placed.entry));
        self.note_both();
        let tables = std::mem::take(&mut self.tables);
        // A layer that was not read to its end lacks entries.
        for contents in tables.values().filter(|_| measured.diff_id.is_some()) {
            contents.compare(&mut self);
        }
        let mut units: Vec<_> = self.units.drain(..).map(|placed| placed.unit).collect();
        units.sort_by(|left, right| (&left.path, left.unit.kind).cmp(&(&right.path, right.unit.kind)));
        self.owners.mark(&mut units);
        let (mut oddities, more) = self.oddities.take();
        oddities.extend(reader_oddities.0);
        oddities.sort_by(|left, right| (&left.path, &left.what).cmp(&(&right.path, &right.what)));
        oddities.dedup();
        for (count, of, limit) in [
            (self.more_findings, "findings", "report.findings"),
            (more + reader_oddities.1, "oddities", "report.oddities"),
        ] {
            if count != 0 {
                self.skip(limit, format!("{count} more {of} were not kept"), None);
            }
        }
        self.findings
            .sort_by(|left, right| sort_key(left).cmp(&sort_key(right)));
        let key = |note: &NotScannable| (note.path.clone(), note.limit.clone(), note.detail.clone());
        self.not_scannable.sort_by_cached_key(key);
        LayerReport {
            schema: SCHEMA,
            analysers: analysers.to_owned(),
            blob: *blob,
            diff_id: measured.diff_id,
            compression: measured.compression,
            bytes: measured.bytes,
            entries: measured.entries,
            config: None,
            units,
            whiteouts: self.whiteouts.into_iter().collect(),
            opaque: self.opaque.into_iter().collect(),
            findings: self.findings,
            oddities,
            not_scannable: self.not_scannable,
            listing: Listing::of(&self.listing),
            tables: Some(tables.into_keys().collect()),
            rebase: None,
            chart: None,
        }
    }

    /// Sorts the listing; of entries with one path the last stays, as when they are unpacked. The places of the others.
    fn settle_listing(&mut self) -> HashSet<usize> {
        let mut order: Vec<usize> = (0..self.listing.len()).collect();
        order.sort_by(|left, right| self.listing[*left].path.cmp(&self.listing[*right].path));
        let mut replaced = HashSet::new();
        for pair in order.windows(2) {
            let (before, after) = (&self.listing[pair[0]], &self.listing[pair[1]]);
            if before.path != after.path {
                continue;
            }
            replaced.insert(pair[0]);
            if (before.kind, after.kind) != ('5', '5') {
                let what = "two entries have one path; the last counts";
                self.oddities.note(after.path.as_bytes(), what);
            }
        }
        let mut place = 0;
        self.listing.retain(|_| {
            place += 1;
            !replaced.contains(&(place - 1))
        });
        self.listing.sort_by(|left, right| left.path.cmp(&right.path));
        replaced
    }

    /// A layer should not add what it deletes: which of both happens depends on their order and on who unpacks.
    fn note_both(&mut self) {
        for path in &self.whiteouts {
            if self
                .listing
                .binary_search_by(|entry| entry.path.cmp(path))
                .is_ok()
            {
                self.oddities
                    .note(path.as_bytes(), "the layer both adds and deletes it");
            }
        }
    }
}

fn sort_key(finding: &ByteFinding) -> impl Ord + '_ {
    (
        &finding.path,
        finding.kind,
        &finding.rule,
        finding.line,
        &finding.inner_path,
        &finding.fingerprint,
    )
}
