//! One archive and what is nested in it.

use std::collections::HashSet;
use std::io::Cursor;

use findings::{Confidence, Oddity, Package};

use super::evidence::{self, Manifest, archive_suffix, by_file_name};
use super::identity::{add_marks, by_manifest, has_class_in, is_class, is_named, package};
use super::log4j::Marks;
use super::zip::{Directory, Entry};
use super::{groups, pom};
use crate::packages::gather::{Gather, base_name};
use crate::{Budget, Exceeded, Facts, FileError, ReadSeek};

/// `pom.properties`, manifests and `pom.xml` are small; what is larger is none.
const MAX_TEXT: u64 = 1 << 20;
/// Notes that are kept of one file, of each kind.
const MAX_NOTES: usize = 100;

/// The walk through one file of a layer.
pub(super) struct Walk<'a> {
    /// Where packages go.
    pub gather: Gather<'a>,
    /// The file.
    pub path: &'a str,
}

/// Where the walk is.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The name of the archive.
    pub name: &'a str,
    /// The archives around it, and its own name in the innermost.
    pub inner: &'a [String],
}

/// Evidence in one archive, by the places of its entries.
#[derive(Default)]
struct Evidence<'a> {
    properties: Vec<Entry<'a>>,
    poms: Vec<Entry<'a>>,
    manifest: Option<Entry<'a>>,
    nested: Vec<Entry<'a>>,
    marks: Marks,
    has_classes: bool,
}

impl<'a> Evidence<'a> {
    fn of(directory: &'a Directory) -> Result<Self, FileError> {
        let mut evidence = Self::default();
        for entry in directory.entries() {
            evidence.note(entry?);
        }
        Ok(evidence)
    }

    /// A name that two entries have which are read: loaders of classes use one of them, and not all the same.
    fn repeated(&self) -> Option<&str> {
        let mut seen = HashSet::new();
        let mut names = self
            .properties
            .iter()
            .chain(&self.nested)
            .map(|entry| entry.name.as_ref());
        names.find(|name| !seen.insert(*name))
    }

    fn note(&mut self, entry: Entry<'a>) {
        let name = entry.name.as_ref();
        self.has_classes |= is_class(name);
        self.marks.note(name, entry.crc);
        let in_maven = name.starts_with("META-INF/maven/") || name.contains("/META-INF/maven/");
        if in_maven && name.ends_with("/pom.properties") {
            self.properties.push(entry);
        } else if in_maven && name.ends_with("/pom.xml") {
            self.poms.push(entry);
        } else if name.eq_ignore_ascii_case("META-INF/MANIFEST.MF") {
            self.manifest.get_or_insert(entry);
        } else if archive_suffix(name).is_some() {
            self.nested.push(entry);
        }
    }
}

impl Walk<'_> {
    /// Reads an archive that lies in as many others as `place` says.
    ///
    /// # Errors
    /// A limit that ends the walk is exceeded, or the archive is none.
    pub(super) fn archive(&mut self, source: &mut dyn ReadSeek, place: Place<'_>) -> Result<(), FileError> {
        let depth = u32::try_from(place.inner.len()).unwrap_or(u32::MAX);
        self.budget().check_depth(depth)?;
        let directory = Directory::read(source, self.budget())?;
        if let Some(what) = directory.check(self.budget())? {
            self.odd(place, what.to_owned());
        }
        let evidence = Evidence::of(&directory)?;
        if let Some(name) = evidence.repeated() {
            self.odd(place, format!("two entries are called `{name}`"));
        }
        self.packages(source, place, &directory, &evidence)?;
        for entry in &evidence.nested {
            self.nested(source, place, &directory, entry)?;
        }
        Ok(())
    }

    fn budget(&mut self) -> &mut Budget {
        self.gather.budget
    }

    fn facts(&mut self) -> &mut Facts {
        self.gather.facts
    }

    /// Reads an archive in an archive. What is wrong with it alone does not end the walk.
    fn nested(
        &mut self,
        source: &mut dyn ReadSeek,
        place: Place<'_>,
        directory: &Directory,
        entry: &Entry<'_>,
    ) -> Result<(), FileError> {
        let mut inner = place.inner.to_vec();
        inner.push(entry.name.clone().into_owned());
        let place = Place {
            name: &entry.name,
            inner: &inner,
        };
        let most = self.budget().limits().file_memory;
        let result = match self.contents(source, place, directory, entry, most) {
            Ok(bytes) => self.archive(&mut Cursor::new(bytes), place),
            Err(error) => Err(error),
        };
        self.tolerate(place, result)
    }

    /// Ends the walk by what is used up for all; notes what is wrong with one archive.
    fn tolerate(&mut self, place: Place<'_>, result: Result<(), FileError>) -> Result<(), FileError> {
        match result {
            Err(FileError::Exceeded(exceeded)) if !is_final(&exceeded) => self.skip(place, &exceeded),
            Err(FileError::Malformed(what)) => self.odd(place, what),
            other => return other,
        }
        Ok(())
    }

    fn skip(&mut self, place: Place<'_>, exceeded: &Exceeded) {
        if self.facts().skipped.len() < MAX_NOTES {
            let detail = format!("{}: {}", place.inner.join("!"), exceeded.detail);
            let limit = exceeded.limit;
            self.facts().skipped.push(Exceeded { limit, detail });
        }
    }

    fn odd(&mut self, place: Place<'_>, what: String) {
        if self.facts().oddities.len() < MAX_NOTES {
            let what = match place.inner {
                [] => what,
                inner => format!("{}: {what}", inner.join("!")),
            };
            let path = self.path.to_owned();
            self.facts().oddities.push(Oddity { path, what });
        }
    }

    fn contents(
        &mut self,
        source: &mut dyn ReadSeek,
        place: Place<'_>,
        directory: &Directory,
        entry: &Entry<'_>,
        most: u64,
    ) -> Result<Vec<u8>, FileError> {
        let contents = directory.contents(source, entry, most, self.budget())?;
        if let Some(what) = contents.odd {
            self.odd(place, format!("`{}`: {what}", entry.name));
        }
        Ok(contents.bytes)
    }

    /// A small text, if it can be read.
    fn text(
        &mut self,
        source: &mut dyn ReadSeek,
        place: Place<'_>,
        directory: &Directory,
        entry: &Entry<'_>,
    ) -> Result<Option<String>, FileError> {
        let read = self.contents(source, place, directory, entry, MAX_TEXT);
        let text = read
            .as_ref()
            .ok()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        self.tolerate(place, read.map(drop))?;
        Ok(text)
    }

    fn packages(
        &mut self,
        source: &mut dyn ReadSeek,
        place: Place<'_>,
        directory: &Directory,
        evidence: &Evidence<'_>,
    ) -> Result<(), FileError> {
        let mut found = self.by_properties(source, place, directory, evidence)?;
        if !found.iter().any(|package| package.inner_path == place.inner) {
            found.extend(self.by_itself(source, place, directory, evidence)?);
        }
        add_marks(&mut found, place, &evidence.marks.judge());
        for package in found {
            self.gather.add(package)?;
        }
        Ok(())
    }

    /// One package for each `pom.properties`: the archive's own, and those that were copied into it.
    fn by_properties(
        &mut self,
        source: &mut dyn ReadSeek,
        place: Place<'_>,
        directory: &Directory,
        evidence: &Evidence<'_>,
    ) -> Result<Vec<Package>, FileError> {
        let mut found = Vec::new();
        for entry in &evidence.properties {
            let text = self.text(source, place, directory, entry)?;
            let Some(coordinates) = text.as_deref().and_then(evidence::pom_properties) else {
                continue;
            };
            let is_own = evidence.properties.len() == 1 || is_named(place.name, &coordinates.artifact);
            let mut package = package(&coordinates, Confidence::High, place);
            if !is_own {
                package.inner_path.push(entry.name.clone().into_owned());
            }
            found.push(package);
        }
        Ok(found)
    }

    /// The archive itself by its manifest, its `pom.xml` or its name, in this order.
    fn by_itself(
        &mut self,
        source: &mut dyn ReadSeek,
        place: Place<'_>,
        directory: &Directory,
        evidence: &Evidence<'_>,
    ) -> Result<Option<Package>, FileError> {
        let stem = base_name(place.name)
            .rsplit_once('.')
            .map_or("", |(stem, _)| stem);
        if !evidence.has_classes || evidence::holds_no_code(stem) {
            return Ok(None);
        }
        let has_class_in = |package: &str| has_class_in(directory, package);
        if let Some(entry) = &evidence.manifest
            && let Some(text) = self.text(source, place, directory, entry)?
            && let Some(package) = by_manifest(&Manifest::parse(&text), place, has_class_in)
        {
            return Ok(Some(package));
        }
        if let [entry] = evidence.poms.as_slice()
            && evidence.properties.is_empty()
            && let Some(text) = self.text(source, place, directory, entry)?
            && let Some(coordinates) = pom::coordinates(&text)
        {
            return Ok(Some(package(&coordinates, Confidence::Medium, place)));
        }
        let named = by_file_name(place.name).map(|mut coordinates| {
            coordinates.group = groups::group_of(&coordinates.artifact, has_class_in).map(str::to_owned);
            package(&coordinates, Confidence::Medium, place)
        });
        Ok(named)
    }
}

/// Whether nothing more of the layer or the file can be read.
fn is_final(exceeded: &Exceeded) -> bool {
    matches!(
        exceeded.limit,
        "archive.bytes" | "archive.entries" | "report.packages"
    )
}
