//! Packages of Debian, Ubuntu and their kin, as dpkg keeps them.
//!
//! Advisories name the source package, which has a version of its own: a binary that was merely built again (`1.2-3+b1`)
//! has the source version `1.2-3`.

mod control;
mod copyright;
mod file_list;

#[cfg(test)]
mod tests;

use findings::{Package, PackageKind, Source, UnitKind};

pub(super) use self::copyright::Copyright;
pub(super) use self::file_list::FileList;

use self::control::Paragraph;
use crate::{Budget, Cataloger, Facts, File, FileError};

/// `var/lib/dpkg/status`.
pub(super) struct Status;

impl Cataloger for Status {
    fn kind(&self) -> UnitKind {
        UnitKind::DpkgStatus
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        path == "var/lib/dpkg/status"
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let bytes = file.in_memory(budget)?;
        read_paragraphs(bytes, budget, facts, |status| status.is_some_and(is_installed))
    }
}

/// A file of `var/lib/dpkg/status.d`: one package each, without a status (distroless). Names are the package's or base64 of
/// it, so that the content alone counts.
pub(super) struct StatusD;

impl Cataloger for StatusD {
    fn kind(&self) -> UnitKind {
        UnitKind::DpkgStatusD
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        status_d_name(path).is_some_and(|name| !name.ends_with(".md5sums"))
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let bytes = file.in_memory(budget)?;
        read_paragraphs(bytes, budget, facts, |status| status.is_none_or(is_installed))
    }
}

fn status_d_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix("var/lib/dpkg/status.d/")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// `want flag status`: `install ok installed`, and `hold ok installed` of a package that is kept from upgrades.
fn is_installed(status: &str) -> bool {
    status.split_ascii_whitespace().next_back() == Some("installed")
}

fn read_paragraphs(
    bytes: &[u8],
    budget: &mut Budget,
    facts: &mut Facts,
    counts: impl Fn(Option<&str>) -> bool,
) -> Result<(), FileError> {
    let mut nameless = 0_usize;
    for paragraph in control::paragraphs(bytes) {
        if !counts(paragraph.status.as_deref()) {
            continue;
        }
        match package(paragraph) {
            Some(package) => facts.install(package, budget)?,
            None => nameless += 1,
        }
    }
    if nameless > 0 {
        return Err(FileError::malformed(format!(
            "{nameless} paragraphs name no package"
        )));
    }
    Ok(())
}

fn package(paragraph: Paragraph) -> Option<Package> {
    let name = paragraph.package?;
    let version = paragraph.version.unwrap_or_default();
    let source = match &paragraph.source {
        Some(stated) => source(stated, &version),
        None => Source {
            name: name.clone(),
            version: version.clone(),
        },
    };
    Some(Package {
        source: Some(source),
        arch: paragraph.architecture,
        ..Package::new(PackageKind::Dpkg, name, version)
    })
}

/// `name` or `name (version)`.
fn source(stated: &str, binary_version: &str) -> Source {
    let (name, version) = match stated.split_once('(') {
        Some((name, rest)) => (name, rest.trim_end().trim_end_matches(')').trim()),
        None => (stated, binary_version),
    };
    Source {
        name: name.trim().to_owned(),
        version: version.to_owned(),
    }
}
