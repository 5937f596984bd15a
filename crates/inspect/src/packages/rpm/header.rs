//! The header of one package: an index of tags and a store of values (rpm's `docs/manual/format_header.md`), without the
//! magic that it has in files.

use findings::{Package, PackageKind, Source};

use super::u32_be;
use crate::{Budget, Facts, FileError};

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const LICENSE: u32 = 1014;
const ARCH: u32 = 1022;
const SOURCERPM: u32 = 1044;
const DIRINDEXES: u32 = 1116;
const BASENAMES: u32 = 1117;
const DIRNAMES: u32 = 1118;
const MODULARITYLABEL: u32 = 5096;

const INT32: u32 = 4;
const STRING: u32 = 6;
const STRING_ARRAY: u32 = 8;

/// Bytes of an entry of the index: tag, type, offset, count.
const ENTRY: usize = 16;

/// A header whose parts are where it says.
pub(super) struct Header<'a> {
    index: &'a [u8],
    store: &'a [u8],
}

impl<'a> Header<'a> {
    /// Finds the parts.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, FileError> {
        let parts = || {
            let entries = usize::try_from(u32_be(blob, 0)).ok()?;
            let length = usize::try_from(u32_be(blob, 4)).ok()?;
            let (index, rest) = blob.get(8..)?.split_at_checked(entries.checked_mul(ENTRY)?)?;
            Some(Self {
                index,
                store: rest.get(..length)?,
            })
        };
        let header = parts().ok_or_else(|| {
            FileError::malformed(format!(
                "the header of a package goes beyond its {} bytes",
                blob.len()
            ))
        })?;
        if header.string(NAME).is_none() {
            return Err(FileError::malformed("the header of a package has no name"));
        }
        Ok(header)
    }

    /// The package, unless it is a key that rpm keeps as if it were one.
    pub(super) fn package(&self) -> Option<Package> {
        let name = self.string(NAME).filter(|name| name != "gpg-pubkey")?;
        let release = [self.string(VERSION), self.string(RELEASE)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("-");
        let version = match self.number(EPOCH) {
            Some(epoch) => format!("{epoch}:{release}"),
            None => release.clone(),
        };
        let source = self
            .string(SOURCERPM)
            .and_then(|file| source(&file, &release, &version));
        Some(Package {
            source,
            arch: self.string(ARCH),
            modularity: self.string(MODULARITYLABEL),
            licences: self.string(LICENSE).into_iter().collect(),
            ..Package::new(PackageKind::Rpm, name, version)
        })
    }

    /// Notes the files of the package.
    pub(super) fn own(&self, package: &str, budget: &mut Budget, facts: &mut Facts) {
        let indexes = self.value(DIRINDEXES, INT32).unwrap_or_default().chunks_exact(4);
        // Each directory has a file; more of them than files would only take memory.
        let directories: Vec<&[u8]> = self.strings(DIRNAMES).take(indexes.len()).collect();
        for (name, index) in self.strings(BASENAMES).zip(indexes) {
            let directory = usize::try_from(u32_be(index, 0))
                .ok()
                .and_then(|index| directories.get(index));
            let Some(directory) = directory else {
                continue;
            };
            if directory.len().saturating_add(name.len()) > budget.limits().path_bytes {
                continue;
            }
            let (directory, name) = (String::from_utf8_lossy(directory), String::from_utf8_lossy(name));
            if !facts.own(package, &directory, &name, budget) {
                return;
            }
        }
    }

    /// The values of a tag, from where the first begins; numbers end where their count says.
    fn value(&self, tag: u32, kind: u32) -> Option<&'a [u8]> {
        let entry = self
            .index
            .chunks_exact(ENTRY)
            .find(|entry| u32_be(entry, 0) == tag && u32_be(entry, 4) == kind)?;
        let value = self.store.get(usize::try_from(u32_be(entry, 8)).ok()?..)?;
        let count = usize::try_from(u32_be(entry, 12)).ok()?;
        match kind {
            INT32 => value.get(..count.checked_mul(4)?),
            _ => Some(value),
        }
    }

    fn number(&self, tag: u32) -> Option<u32> {
        self.value(tag, INT32)
            .filter(|value| value.len() >= 4)
            .map(|value| u32_be(value, 0))
    }

    fn string(&self, tag: u32) -> Option<String> {
        let text = self.value(tag, STRING)?.split(|&byte| byte == 0).next()?;
        (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
    }

    fn strings(&self, tag: u32) -> impl Iterator<Item = &'a [u8]> {
        let count = self
            .index
            .chunks_exact(ENTRY)
            .find(|entry| u32_be(entry, 0) == tag && u32_be(entry, 4) == STRING_ARRAY)
            .and_then(|entry| usize::try_from(u32_be(entry, 12)).ok());
        self.value(tag, STRING_ARRAY)
            .unwrap_or_default()
            .split(|&byte| byte == 0)
            .take(count.unwrap_or(0))
    }
}

/// Of `bash-5.1.8-6.el9.src.rpm`. The name of the file has no epoch; where the source has the version and release of the
/// package it has its epoch too.
fn source(file: &str, release: &str, version: &str) -> Option<Source> {
    let stem = file
        .strip_suffix(".src.rpm")
        .or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let (rest, _) = stem.rsplit_once('-')?;
    let (name, _) = rest.rsplit_once('-')?;
    let stated = &stem[name.len() + 1..];
    Some(Source {
        name: name.to_owned(),
        version: if stated == release { version } else { stated }.to_owned(),
    })
}
