mod facts;
mod limits;

use std::io::{self, Cursor};

use findings::{
    ByteFinding, ByteFindingKind, LayerReport, ListingEntry, Package, PackageKind, Severity, UnitKind,
};
use flate2::{Compression as Level, write::GzEncoder};
use oci::{Algorithm, Digest};

use super::*;
use crate::{Budget, Exceeded, Facts, tar::tests::builder::*};

/// Reads `*/db` (language) or `*/status` (distribution): lines of a name and a version; `own NAME PATH`; `fail`; `limit`.
struct Lines(UnitKind);

impl Cataloger for Lines {
    fn kind(&self) -> UnitKind {
        self.0
    }

    fn wants(&self, path: &str, _: &[u8]) -> bool {
        path.ends_with(if self.0 == UnitKind::DpkgStatus {
            "status"
        } else {
            "db"
        })
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let mut text = String::new();
        file.content.read_to_string(&mut text)?;
        let kind = if self.0 == UnitKind::DpkgStatus {
            PackageKind::Dpkg
        } else {
            PackageKind::Npm
        };
        for line in text.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["own", name, path] => facts.owned.push((name.to_owned(), path.to_owned())),
                ["fail"] => return Err(FileError::malformed("line")),
                ["limit"] => budget.take_packages(u64::MAX)?,
                [name, version] => facts.packages.push(Package::new(kind, name, version)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Finds the word `secret` once for each time it is there.
struct Words;

impl ByteAnalyser for Words {
    fn wants(&self, _: &str, head: &[u8], _: u64, _: u32) -> bool {
        head.starts_with(b"text")
    }

    fn look(&mut self, file: &mut File<'_>, sink: &mut Vec<ByteFinding>) -> Result<(), FileError> {
        let mut text = String::new();
        file.content.read_to_string(&mut text)?;
        let findings = text.match_indices("secret").map(|(place, _)| ByteFinding {
            kind: ByteFindingKind::Secret,
            rule: "word".to_owned(),
            title: String::new(),
            severity: Severity::High,
            path: file.path.to_owned(),
            inner_path: Vec::new(),
            line: Some(place as u64),
            excerpt: None,
            fingerprint: None,
            fix: None,
            is_example: false,
            pack: "test".to_owned(),
        });
        sink.extend(findings);
        if text.ends_with("limit") {
            return Err(FileError::Exceeded(Exceeded {
                limit: "file.memory",
                detail: String::new(),
            }));
        }
        Ok(())
    }
}

/// Spools to memory.
#[derive(Default)]
struct MemorySpool {
    made: usize,
}

impl SpoolMaker for MemorySpool {
    fn make(&mut self) -> io::Result<Box<dyn Spool>> {
        self.made += 1;
        Ok(Box::new(Cursor::new(Vec::new())))
    }
}

fn digest(blob: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, blob)
}

fn inspect_with(blob: &[u8], spool: &mut dyn SpoolMaker, limits: &Limits) -> LayerReport {
    let catalogers: [&dyn Cataloger; 2] = [&Lines(UnitKind::NodeModule), &Lines(UnitKind::DpkgStatus)];
    let mut bytes: [Box<dyn ByteAnalyser>; 1] = [Box::new(Words)];
    let mut analysers = Analysers {
        version: "test",
        catalogers: &catalogers,
        bytes: &mut bytes,
        hashes_files: true,
    };
    inspect_layer(blob, &digest(blob), spool, &mut analysers, limits)
}

fn inspect(parts: &[Part]) -> LayerReport {
    inspect_with(&archive(parts), &mut NoSpool, &Limits::default())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn listed(report: &LayerReport) -> Vec<ListingEntry> {
    report.listing.entries(1 << 30).unwrap()
}

fn oddities(report: &LayerReport) -> Vec<(&str, &str)> {
    let pairs = report.oddities.iter();
    pairs
        .map(|oddity| (oddity.path.as_str(), oddity.what.as_str()))
        .collect()
}

fn not_scannable(report: &LayerReport) -> Vec<(&str, Option<&str>)> {
    let pairs = report.not_scannable.iter();
    pairs
        .map(|note| (note.limit.as_str(), note.path.as_deref()))
        .collect()
}

/// Path, packages and owner of each unit.
fn units(report: &LayerReport) -> Vec<(&str, Vec<&str>, Option<&str>)> {
    let units = report.units.iter();
    units
        .map(|found| {
            let names = found.unit.packages.iter().map(|package| package.name.as_str());
            (found.path.as_str(), names.collect(), found.owned_by.as_deref())
        })
        .collect()
}
