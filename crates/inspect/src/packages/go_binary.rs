//! Modules in a Go binary, by the build information that the linker leaves in it.
//!
//! The release of Go itself is the module `stdlib`, as its advisories call it. A main module that was built from a work tree
//! has the version `(devel)`; see [`main_version`] for what stands in for it.

mod build_info;
mod main_version;

#[cfg(test)]
mod tests;

use findings::{Package, PackageKind, UnitKind};

use self::build_info::BuildInfo;
use super::executable::{Executable, is_executable};
use super::random_access::RandomAccess;
use crate::{Budget, Cataloger, Facts, File, FileError};

/// Any executable; those of other languages have no such information, which is no fault.
pub(super) struct GoBinary;

impl Cataloger for GoBinary {
    fn kind(&self) -> UnitKind {
        UnitKind::GoBinary
    }

    fn wants(&self, _path: &str, head: &[u8]) -> bool {
        is_executable(head)
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let mut source = RandomAccess::new(&mut file.content)?;
        let executable = match Executable::read(&mut source) {
            // What only begins like an executable is data.
            Err(FileError::Malformed(_)) => return Ok(()),
            read => read?,
        };
        let Some(info) = BuildInfo::find(&mut source, &executable, budget)? else {
            return Ok(());
        };
        let stdlib = stdlib_version(&info.go_version);
        facts.install(Package::new(PackageKind::Go, "stdlib", stdlib), budget)?;
        install_modules(&info.modules, budget, facts)
    }
}

/// A line `mod` or `dep`, with the line `=>` after it applied.
struct Module<'a> {
    path: &'a str,
    version: &'a str,
    is_main: bool,
}

fn install_modules(text: &str, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
    let mut last: Option<Module<'_>> = None;
    for line in text.lines() {
        let mut fields = line.split('\t');
        let key = fields.next().unwrap_or_default();
        let (path, version) = (
            fields.next().unwrap_or_default(),
            fields.next().unwrap_or_default(),
        );
        match (key, &mut last) {
            ("mod" | "dep", _) => {
                let module = Module {
                    path,
                    version,
                    is_main: key == "mod",
                };
                install(last.replace(module), text, budget, facts)?;
            }
            ("=>", Some(module)) => module.replace_by(path, version),
            _ => {}
        }
    }
    install(last, text, budget, facts)
}

impl<'a> Module<'a> {
    /// A directory takes the place of a module under its name, in a version that nobody knows.
    fn replace_by(&mut self, path: &'a str, version: &'a str) {
        let is_directory = matches!(version, "" | "(devel)") || path.starts_with(['.', '/']);
        self.version = if is_directory { "" } else { version };
        if !is_directory {
            self.path = path;
        }
    }
}

fn install(
    module: Option<Module<'_>>,
    text: &str,
    budget: &mut Budget,
    facts: &mut Facts,
) -> Result<(), FileError> {
    let Some(module) = module.filter(|module| !module.path.is_empty()) else {
        return Ok(());
    };
    let version = if module.version == "(devel)" {
        ""
    } else {
        module.version
    };
    let mut package = Package::new(PackageKind::Go, module.path, version);
    package.is_root = module.is_main;
    if module.is_main && version.is_empty() {
        (package.version, package.confidence) = main_version::of(module.path, text);
    }
    facts.install(package, budget)?;
    Ok(())
}

/// `go1.21.3` as advisories write it: in semantic form, without what a distributor adds. Empty between releases.
fn stdlib_version(go_version: &str) -> String {
    let Some(rest) = go_version
        .split_ascii_whitespace()
        .next()
        .and_then(|first| first.strip_prefix("go"))
    else {
        return String::new();
    };
    let (numbers, rest) = split_digits(rest, ".");
    let mut parts: Vec<&str> = numbers.split('.').filter(|part| !part.is_empty()).collect();
    parts.resize(3, "0");
    let release = parts.join(".");
    for stage in ["beta", "rc"] {
        if let Some(rest) = rest.strip_prefix(stage) {
            return format!("{release}-{stage}.{}", split_digits(rest, "").0);
        }
    }
    release
}

fn split_digits<'a>(text: &'a str, others: &str) -> (&'a str, &'a str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && !others.contains(c))
        .unwrap_or(text.len());
    text.split_at(end)
}
