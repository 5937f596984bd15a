//! The walk over a layer's entries.

use std::{
    collections::{HashMap, HashSet},
    io::Read,
};

use findings::{Compression, FoundUnit, LayerReport, ListingEntry, Unit, UnitKind};
use oci::Digest;

use super::{
    Analysers, SpoolMaker,
    chunked::Table,
    content::{Buffers, Kept},
    contents,
    links::Links,
    rebase::{self, Rebase},
    report::{Found, Measured, Placed},
};
use crate::{
    Budget, Facts, File, FileError, Limits,
    chart::Chart,
    codec::Decoder,
    configuration::entries,
    tar::{self, Entry, EntryKind, LayerPath, TarError, Whiteout},
};

/// A lazy client may read it in another way than we do.
const UNREADABLE: &str = "a table of contents cannot be read";

struct Pass<'p, 'a, R> {
    reader: tar::Reader<Decoder<R>>,
    analysers: &'p mut Analysers<'a>,
    spool: &'p mut dyn SpoolMaker,
    budget: Budget,
    buffers: Buffers,
    links: Links,
    /// Hard links: path, target, place in the listing.
    hard_links: Vec<(String, String, usize)>,
    /// What matters when another base is put below the layer.
    rebase: Rebase,
    /// What may be a chart.
    chart: Chart,
    /// Which files were read as which evidence.
    read: HashSet<(String, UnitKind)>,
    found: Found,
}

/// See [`inspect_layer`](super::inspect_layer).
pub(super) fn run<R: Read>(
    blob: R,
    expected: &Digest,
    spool: &mut dyn SpoolMaker,
    analysers: &mut Analysers<'_>,
    limits: &Limits,
    table: Table,
) -> LayerReport {
    let decoder = match Decoder::new(blob, Some(expected.algorithm()), limits) {
        Ok(decoder) => decoder,
        Err(error) => {
            let mut found = Found::new(limits);
            found.skip("layer.codec", format!("the blob cannot be read: {error}"), None);
            let nothing = Measured {
                diff_id: None,
                compression: Compression::None,
                bytes: 0,
                entries: 0,
            };
            return found.report(expected, analysers.version, (Vec::new(), 0), nothing);
        }
    };
    let buffers = Buffers::new(analysers.hashes_files);
    let mut found = Found::new(limits);
    match table {
        Table::Absent => {}
        Table::Unreadable => found.oddities.note(b"", UNREADABLE),
        Table::Found(digest, contents) => found.add_lazy_contents(digest, contents),
    }
    let pass = Pass {
        reader: tar::Reader::new(decoder, limits),
        analysers,
        spool,
        budget: Budget::new(limits.clone()),
        buffers,
        links: Links::default(),
        hard_links: Vec::new(),
        rebase: Rebase::default(),
        chart: Chart::default(),
        read: HashSet::new(),
        found,
    };
    pass.run(expected)
}

impl<R: Read> Pass<'_, '_, R> {
    fn run(mut self, expected: &Digest) -> LayerReport {
        let walked = self.walk();
        let is_whole = walked.is_ok();
        if let Err(error) = walked {
            let (limit, detail) = match error {
                TarError::Exceeded(exceeded) => (exceeded.limit, exceeded.detail),
                TarError::Io(error) => ("layer.codec", error.to_string()),
                TarError::Malformed(_) | TarError::Truncated => ("layer.tar", error.to_string()),
            };
            self.found.skip(limit, detail, None);
        }
        self.resolve_hard_links();
        let oddities = self.reader.oddities_mut().take();
        let entries = self.reader.entries();
        let decoder = self.reader.into_input();
        let (compression, bytes) = (decoder.compression(), decoder.uncompressed_bytes());
        let digests = decoder.finish().filter(|_| is_whole);
        let is_expected = |blob: Option<Digest>| blob.as_ref() == Some(expected);
        if digests.as_ref().is_some_and(|digests| !is_expected(digests.blob)) {
            let detail = format!("the bytes of the blob are not those of {expected}");
            self.found.skip("layer.digest", detail, None);
        }
        let measured = Measured {
            diff_id: digests
                .filter(|digests| is_expected(digests.blob))
                .map(|digests| digests.diff_id),
            compression,
            bytes,
            entries,
        };
        let mut report = self
            .found
            .report(expected, self.analysers.version, oddities, measured);
        report.rebase = Some(Box::new(self.rebase.finish()));
        report.chart = self.chart.finish().map(Box::new);
        report
    }

    fn walk(&mut self) -> Result<(), TarError> {
        while let Some(entry) = self.reader.next_entry()? {
            self.entry(&entry)?;
        }
        self.reader.finish()
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), TarError> {
        let LayerPath { path, escapes } = tar::normalise(&entry.name);
        if escapes {
            self.found
                .oddities
                .note(&entry.name, "it leads out of the root and is held there");
        }
        if path.is_empty() {
            if entry.kind != EntryKind::Directory {
                self.found
                    .oddities
                    .note(&entry.name, "an entry that is no directory has no name");
            }
            return Ok(());
        }
        self.found
            .take_name(path.len() + entry.link.len())
            .map_err(TarError::Exceeded)?;
        if let Some(whiteout) = Whiteout::of(&path) {
            self.whiteout(&path, whiteout);
            return Ok(());
        }
        if self.links.is_below_symbolic(&path) {
            let what = "it lies below a symbolic link of the same layer";
            self.found.oddities.note(path.as_bytes(), what);
        }
        self.found
            .add_findings(entries::of_entry(&path, entry.kind, entry.mode));
        let content = self.content(entry, &path)?;
        let type_flag = if entry.type_flag.is_ascii_graphic() {
            entry.type_flag
        } else {
            b'?'
        };
        self.found.listing.push(ListingEntry {
            path,
            kind: type_flag.into(),
            mode: entry.mode,
            size: if entry.kind == EntryKind::File {
                entry.size
            } else {
                0
            },
            content,
        });
        Ok(())
    }

    fn whiteout(&mut self, path: &str, whiteout: Whiteout) {
        match whiteout {
            Whiteout::Removes(removed) => {
                self.found.whiteouts.insert(removed);
            }
            Whiteout::Opaque(directory) => {
                self.found.opaque.insert(directory);
            }
            Whiteout::Metadata => {}
            Whiteout::Misleading => {
                self.found
                    .oddities
                    .note(path.as_bytes(), "a whiteout names no file");
            }
        }
    }

    /// What the listing says of an entry's content; files are looked into.
    fn content(&mut self, entry: &Entry, path: &str) -> Result<String, TarError> {
        match entry.kind {
            EntryKind::File => {
                self.links.replace(path);
                self.buffers.compare(self.found.comparison(path));
                let content = self.file(entry, path)?;
                if let Some(comparison) = self.buffers.compared() {
                    self.found.compared(path, comparison);
                }
                Ok(content)
            }
            EntryKind::SymbolicLink => {
                self.links.add_symbolic(path);
                Ok(String::from_utf8_lossy(&entry.link).into_owned())
            }
            EntryKind::HardLink => {
                let target = tar::normalise(&entry.link);
                if target.escapes {
                    self.found
                        .oddities
                        .note(path.as_bytes(), "its target leads out of the root");
                }
                let target = self.links.add_hard(path, &target.path);
                let place = self.found.listing.len();
                self.hard_links.push((path.to_owned(), target.clone(), place));
                Ok(target)
            }
            _ => {
                self.links.replace(path);
                Ok(String::new())
            }
        }
    }

    fn file(&mut self, entry: &Entry, path: &str) -> Result<String, TarError> {
        self.buffers.read_head(&mut self.reader)?;
        let head = self.buffers.head();
        let catalogers = self.analysers.catalogers.iter().enumerate();
        let catalogers: Vec<usize> = catalogers
            .filter(|(_, cataloger)| cataloger.wants(path, head))
            .map(|(place, _)| place)
            .collect();
        let bytes = self.analysers.bytes.iter().enumerate();
        let bytes: Vec<usize> = bytes
            .filter(|(_, analyser)| analyser.wants(path, head, entry.size, entry.mode))
            .map(|(place, _)| place)
            .collect();
        let rebase = rebase::wants(path, head);
        let chart = self.chart.wants(path, entry.size);
        if catalogers.is_empty() && bytes.is_empty() && path != contents::PATH && !rebase && !chart {
            self.buffers.skip(&mut self.reader)?;
            return Ok(self.buffers.digest());
        }
        let memory = self.budget.limits().file_memory;
        let mut kept = self
            .buffers
            .keep(&mut self.reader, entry.size, memory, self.spool)?;
        if path == contents::PATH {
            self.keep_contents(&kept);
        }
        if rebase {
            self.rebase.take(path, entry, self.buffers.memory(&kept));
        }
        if chart {
            self.chart.take(path, self.buffers.memory(&kept));
        }
        for place in catalogers {
            self.catalog(place, entry, path, &mut kept);
        }
        for place in bytes {
            self.look(place, entry, path, &mut kept);
        }
        Ok(self.buffers.digest())
    }

    fn keep_contents(&mut self, kept: &Kept) {
        let table = self.buffers.memory(kept).map(|json| Table::of(json, json));
        match table {
            Some(Table::Found(digest, contents)) => self.found.add_contents(digest, contents),
            _ => self.found.oddities.note(contents::PATH.as_bytes(), UNREADABLE),
        }
    }

    fn catalog(&mut self, place: usize, entry: &Entry, path: &str, kept: &mut Kept) {
        let cataloger = self.analysers.catalogers[place];
        let kind = cataloger.kind();
        let content = match self.buffers.open(kept) {
            Ok(content) => content,
            Err(why) => return self.found.skip("file.spool", why, Some(path)),
        };
        let mut file = File {
            path,
            size: entry.size,
            mode: entry.mode,
            content,
        };
        let mut facts = Facts::default();
        let result = cataloger.read(&mut file, &mut self.budget, &mut facts);
        self.read.insert((path.to_owned(), kind));
        self.add_facts(kind, path, facts);
        if let Err(error) = result {
            self.note_failure(path, &format!("{kind:?}"), error);
        }
    }

    fn look(&mut self, place: usize, entry: &Entry, path: &str, kept: &mut Kept) {
        let content = match self.buffers.open(kept) {
            Ok(content) => content,
            Err(why) => return self.found.skip("file.spool", why, Some(path)),
        };
        let mut file = File {
            path,
            size: entry.size,
            mode: entry.mode,
            content,
        };
        let mut sink = Vec::new();
        let result = self.analysers.bytes[place].look(&mut file, &mut sink);
        self.found.add_findings(sink);
        if let Err(error) = result {
            self.note_failure(path, "bytes", error);
        }
    }

    fn note_failure(&mut self, path: &str, reader: &str, error: FileError) {
        match error {
            FileError::Exceeded(exceeded) => self.found.skip(exceeded.limit, exceeded.detail, Some(path)),
            FileError::Malformed(what) => {
                let what = format!("it cannot be read as what it looks like ({reader}): {what}");
                self.found.skip(findings::MALFORMED, what, Some(path));
            }
            FileError::Io(error) => self.found.skip("file.spool", error.to_string(), Some(path)),
        }
    }

    fn add_facts(&mut self, kind: UnitKind, path: &str, facts: Facts) {
        let packages = (!facts.packages.is_empty()).then(|| Unit::of_packages(kind, facts.packages));
        for unit in packages.into_iter().chain(facts.os.map(Unit::of_os)) {
            self.place(path, unit, self.found.listing.len());
        }
        let most = self.budget.limits().names;
        for (package, owned) in &facts.owned {
            if !self.found.owners.add(package, owned, most) {
                let detail = format!("the packages of the layer name more than {most} bytes of files");
                self.found.skip("layer.names", detail, Some(path));
                break;
            }
        }
        for skipped in facts.skipped {
            self.found.skip(skipped.limit, skipped.detail, Some(path));
        }
    }

    fn place(&mut self, path: &str, unit: Unit, entry: usize) {
        let unit = FoundUnit {
            path: path.to_owned(),
            unit,
            owned_by: None,
        };
        self.found.units.push(Placed { unit, entry });
    }

    /// A hard link is the file that it names: evidence under its path too. Its content passed by under the other name; if
    /// nobody read it then, the report says so.
    fn resolve_hard_links(&mut self) {
        let mut places: HashMap<(String, UnitKind), Vec<usize>> = HashMap::new();
        for (place, placed) in self.found.units.iter().enumerate() {
            let key = (placed.unit.path.clone(), placed.unit.unit.kind);
            places.entry(key).or_default().push(place);
        }
        for (path, target, entry) in std::mem::take(&mut self.hard_links) {
            for cataloger in self.analysers.catalogers {
                if !cataloger.wants(&path, &[]) {
                    continue;
                }
                let key = (target.clone(), cataloger.kind());
                if !self.read.contains(&key) {
                    let detail = format!("it is a hard link to {target}, which was not read as evidence");
                    self.found.skip("file.hard_link", detail, Some(&path));
                }
                for place in places.get(&key).into_iter().flatten() {
                    self.copy_unit(*place, &path, entry);
                }
            }
        }
    }

    /// Copies count as packages: a hundred thousand links to one large unit would fill the memory.
    fn copy_unit(&mut self, place: usize, path: &str, entry: usize) {
        let packages = self.found.units[place].unit.unit.packages.len() as u64;
        match self.budget.take_packages(packages) {
            Ok(()) => {
                let unit = self.found.units[place].unit.unit.clone();
                self.place(path, unit, entry);
            }
            Err(exceeded) => self.found.skip(exceeded.limit, exceeded.detail, Some(path)),
        }
    }
}
