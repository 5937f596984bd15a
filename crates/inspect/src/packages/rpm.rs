//! Packages of Red Hat, SUSE and their kin: the database of rpm, in the three formats that it has had.
//!
//! All of them keep one blob a package, in the form that [`header`] reads. A database that is damaged gives what can be
//! read of it and says what was wrong.

mod berkeley;
mod header;
mod ndb;
mod sqlite;

#[cfg(test)]
pub(super) mod tests;

use findings::UnitKind;

use super::random_access::RandomAccess;
use crate::{Budget, Cataloger, Exceeded, Facts, File, FileError};

/// The database in `var/lib/rpm` or where newer systems keep it.
pub(super) struct Database;

impl Cataloger for Database {
    fn kind(&self) -> UnitKind {
        UnitKind::RpmDatabase
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        path.rsplit_once('/').is_some_and(|(directory, name)| {
            matches!(
                directory,
                "var/lib/rpm" | "usr/lib/sysimage/rpm" | "usr/share/rpm"
            ) && matches!(name, "rpmdb.sqlite" | "Packages.db" | "Packages")
        })
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let mut source = RandomAccess::new(&mut file.content)?;
        let head = source.read_some(0, 16)?;
        let mut blobs = Blobs {
            budget,
            facts,
            problem: None,
        };
        match () {
            () if head.is_empty() => {}
            () if head == sqlite::MAGIC => sqlite::walk(&mut source, &mut blobs)?,
            () if head.starts_with(ndb::MAGIC) => ndb::walk(&mut source, &mut blobs)?,
            () => berkeley::walk(&mut source, &mut blobs)?,
        }
        blobs.problem.map_or(Ok(()), Err)
    }
}

/// Takes the blobs of a database.
struct Blobs<'a> {
    budget: &'a mut Budget,
    facts: &'a mut Facts,
    problem: Option<FileError>,
}

impl Blobs<'_> {
    /// Takes one. Only a limit ends the walk: a package that cannot be read does not hide the others.
    fn take(&mut self, blob: &[u8]) -> Result<(), Exceeded> {
        match header::Header::parse(blob) {
            Ok(header) => {
                if let Some(package) = header.package() {
                    let name = package.name.clone();
                    self.facts.install(package, self.budget)?;
                    header.own(&name, self.budget, self.facts);
                }
            }
            Err(problem) => self.note(problem),
        }
        Ok(())
    }

    /// Keeps the first of what was wrong.
    fn note(&mut self, problem: FileError) {
        self.problem.get_or_insert(problem);
    }

    /// Whether a blob of that length may be put together in memory.
    fn admits(&mut self, length: u64) -> bool {
        let most = self.budget.limits().file_memory;
        if length > most {
            self.note(FileError::Exceeded(Exceeded {
                limit: "file.memory",
                detail: format!("a package has {length} bytes, {most} are read"),
            }));
        }
        length <= most
    }
}

/// A number of four bytes, least byte first; 0 beyond the end.
fn u32_le(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |four| u32::from_le_bytes(*four))
}

/// A number of four bytes, greatest byte first; 0 beyond the end.
fn u32_be(bytes: &[u8], at: usize) -> u32 {
    u32_le(bytes, at).swap_bytes()
}
