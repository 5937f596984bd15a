//! Packages of Alpine, Wolfi and their kin: the database of apk.
//!
//! One letter a field, an empty line between packages. Files follow their directory: `F:` names it, `R:` a file in it.

#[cfg(test)]
mod tests;

use findings::{Package, PackageKind, Source, UnitKind};

use crate::{Budget, Cataloger, Facts, File, FileError};

/// `lib/apk/db/installed`, and where apk 3 keeps it.
pub(super) struct Installed;

impl Cataloger for Installed {
    fn kind(&self) -> UnitKind {
        UnitKind::ApkInstalled
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        matches!(path, "lib/apk/db/installed" | "usr/lib/apk/db/installed")
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let bytes = file.in_memory(budget)?;
        let mut entry = Entry::default();
        let mut nameless = 0_usize;
        for line in bytes.split(|&byte| byte == b'\n').chain([&b""[..]]) {
            match line.strip_suffix(b"\r").unwrap_or(line) {
                [] => {
                    let finished = std::mem::take(&mut entry);
                    nameless += usize::from(finished.is_nameless());
                    if let Some(package) = finished.package() {
                        facts.install(package, budget)?;
                    }
                }
                [letter, b':', value @ ..] => entry.take(*letter, value.trim_ascii(), budget, facts),
                _ => {}
            }
        }
        if nameless > 0 {
            return Err(FileError::malformed(format!(
                "{nameless} entries name no package"
            )));
        }
        Ok(())
    }
}

/// What is known so far of one package.
#[derive(Default)]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    origin: Option<String>,
    arch: Option<String>,
    licence: Option<String>,
    directory: String,
    has_no_room: bool,
}

impl Entry {
    fn take(&mut self, letter: u8, value: &[u8], budget: &mut Budget, facts: &mut Facts) {
        let text = String::from_utf8_lossy(value);
        match letter {
            b'P' => self.name = Some(text.into_owned()),
            b'V' => self.version = Some(text.into_owned()),
            b'A' => self.arch = Some(text.into_owned()),
            b'o' => self.origin = Some(text.into_owned()),
            b'L' => self.licence = Some(text.into_owned()),
            b'F' => self.directory = text.into_owned(),
            b'R' if !self.has_no_room => {
                let package = self.name.as_deref().unwrap_or_default();
                self.has_no_room = !facts.own(package, &self.directory, &text, budget);
            }
            _ => {}
        }
    }

    fn is_nameless(&self) -> bool {
        self.name.is_none() && self.version.is_some()
    }

    fn package(self) -> Option<Package> {
        let name = self.name.filter(|name| !name.is_empty())?;
        let version = self.version.unwrap_or_default();
        Some(Package {
            source: Some(Source {
                name: self.origin.unwrap_or_else(|| name.clone()),
                version: version.clone(),
            }),
            arch: self.arch,
            licences: self
                .licence
                .into_iter()
                .filter(|licence| !licence.is_empty())
                .collect(),
            ..Package::new(PackageKind::Apk, name, version)
        })
    }
}
