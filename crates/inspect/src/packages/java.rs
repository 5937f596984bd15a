//! Java archives: what is in them, by their own word, by their names, and log4j-core by its classes.
//!
//! An archive is its `pom.properties`, else its manifest, else its own `pom.xml`, else its file name. What others depend on
//! is never taken for what is there.

mod archive;
mod evidence;
mod groups;
mod identity;
mod log4j;
mod pom;
mod zip;

use findings::UnitKind;
use flate2::Crc;

use self::archive::{Place, Walk};
use self::log4j::Marks;
use super::gather::{Gather, extension, text_of};
use crate::{Budget, Cataloger, Facts, File, FileError};

/// Reads archives of classes and what is nested in them.
pub(super) struct JavaArchive;

impl Cataloger for JavaArchive {
    fn kind(&self) -> UnitKind {
        UnitKind::JavaArchive
    }

    fn wants(&self, path: &str, head: &[u8]) -> bool {
        is_archive(path, head) || is_loose_properties(path) || log4j::is_loose_lookup(path)
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        if is_loose_properties(file.path) {
            return read_properties(file, budget, facts);
        }
        if log4j::is_loose_lookup(file.path) {
            return read_lookup(file, budget, facts);
        }
        budget.begin_archive();
        let path = file.path;
        let mut walk = Walk {
            gather: Gather { budget, facts },
            path,
        };
        walk.archive(
            &mut file.content,
            Place {
                name: path,
                inner: &[],
            },
        )
    }
}

fn is_archive(path: &str, head: &[u8]) -> bool {
    // A script may stand before an executable archive, so these names are enough. Any zip may hold classes.
    let suffix = extension(path);
    head.starts_with(b"PK\x03\x04")
        || ["jar", "war", "ear"]
            .iter()
            .any(|known| suffix.eq_ignore_ascii_case(known))
}

fn is_loose_properties(path: &str) -> bool {
    path.ends_with("/pom.properties")
        && (path.starts_with("META-INF/maven/") || path.contains("/META-INF/maven/"))
}

/// Of an archive that was unpacked into the image.
fn read_properties(file: &File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
    let text = text_of(file, budget)?;
    if let Some(coordinates) = evidence::pom_properties(&text) {
        let package = findings::Package::new(
            findings::PackageKind::Java,
            coordinates.name(),
            coordinates.version,
        );
        Gather { budget, facts }.add(package)?;
    }
    Ok(())
}

/// The lookup alone, unpacked into the image: which releases have these very bytes.
fn read_lookup(file: &File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
    let mut crc = Crc::new();
    crc.update(file.in_memory(budget)?);
    let mut marks = Marks::default();
    marks.note(file.path, crc.sum());
    for mut copy in marks.judge() {
        copy.package.inner_path.clear();
        Gather {
            budget: &mut *budget,
            facts: &mut *facts,
        }
        .add(copy.package)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
