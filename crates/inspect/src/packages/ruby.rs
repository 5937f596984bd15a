//! Ruby: installed gems by the specifications that are generated at their installation, read without Ruby, and `Gemfile.lock`.

use findings::{Package, PackageKind, UnitKind};

use super::gather::{Gather, base_name, lines, text_of};
use crate::{Budget, Cataloger, Facts, File, FileError};

/// Reads `specifications/**/*.gemspec`.
pub(super) struct GemSpec;

/// Reads `Gemfile.lock`.
pub(super) struct GemLock;

impl Cataloger for GemSpec {
    fn kind(&self) -> UnitKind {
        UnitKind::GemSpec
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        let Some((directory, name)) = path.rsplit_once('/') else {
            return false;
        };
        let directory = directory.strip_suffix("/default").unwrap_or(directory);
        name.ends_with(".gemspec") && base_name(directory) == "specifications"
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = text_of(file, budget)?;
        let Some((name, version)) = by_stub(&text).or_else(|| by_assignments(&text)) else {
            return Err(FileError::malformed("the specification names no gem"));
        };
        let mut package = Package::new(PackageKind::Gem, name, version);
        package.licences = licences(&text);
        Ok(Gather { budget, facts }.add(package)?)
    }
}

/// The line that Ruby itself reads first: `# stub: name version platform paths`.
fn by_stub(text: &str) -> Option<(&str, &str)> {
    let stub = lines(text)
        .take(5)
        .find_map(|line| line.strip_prefix("# stub: "))?;
    let mut words = stub.split(' ');
    Some((words.next()?, words.next()?))
}

fn by_assignments(text: &str) -> Option<(&str, &str)> {
    Some((assigned(text, "name")?, assigned(text, "version")?))
}

/// The text in `s.field = "text".freeze`.
fn assigned<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    quoted(value(text, field)?).next()
}

fn licences(text: &str) -> Vec<String> {
    let list = value(text, "licenses").or_else(|| value(text, "license"));
    list.map(|list| quoted(list).map(str::to_owned).collect())
        .unwrap_or_default()
}

/// What is assigned to a field of the specification, whatever its variable is called.
fn value<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    lines(text).find_map(|line| {
        let (left, right) = line.split_once('=')?;
        let (variable, name) = left.trim().split_once('.')?;
        let is_field = name == field && variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_field.then_some(right)
    })
}

/// Texts between quotes of either kind.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split(['"', '\'']).skip(1).step_by(2)
}

impl Cataloger for GemLock {
    fn kind(&self) -> UnitKind {
        UnitKind::GemLock
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        matches!(base_name(path), "Gemfile.lock" | "gems.locked")
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = text_of(file, budget)?;
        let mut gather = Gather { budget, facts };
        let mut is_registry = false;
        for line in lines(&text) {
            if !line.starts_with(' ') {
                // `PATH` is the project itself, `GIT` a revision that no version names.
                is_registry = line == "GEM";
            } else if is_registry && let Some((name, version)) = locked(line) {
                gather.add(Package::new(PackageKind::Gem, name, version))?;
            }
        }
        Ok(())
    }
}

/// Name and version of `    nokogiri (1.13.0-x86_64-linux)`; deeper lines are what a gem wishes for.
fn locked(line: &str) -> Option<(&str, &str)> {
    let gem = line.strip_prefix("    ").filter(|gem| !gem.starts_with(' '))?;
    let (name, version) = gem.strip_suffix(')')?.split_once(" (")?;
    Some((name, version.split('-').next()?))
}

#[cfg(test)]
mod tests;
