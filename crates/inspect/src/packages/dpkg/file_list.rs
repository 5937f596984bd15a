//! Which files belong to which package: `var/lib/dpkg/info/*.list`, and `status.d/*.md5sums` of distroless images.

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::{alphabet, engine::DecodePaddingMode};
use findings::UnitKind;

use super::status_d_name;
use crate::{Budget, Cataloger, Facts, File, FileError};

/// Makes no unit, only ownership.
pub(in crate::packages) struct FileList;

impl Cataloger for FileList {
    fn kind(&self) -> UnitKind {
        UnitKind::DpkgStatus
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        list_package(path).is_some() || md5sums_package(path).is_some()
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = String::from_utf8_lossy(file.in_memory(budget)?);
        if let Some(package) = list_package(file.path) {
            own_all(package, list_paths(&text), budget, facts);
        } else if let Some(package) = md5sums_package(file.path) {
            let paths = text.lines().filter_map(|line| line.split_once("  "));
            own_all(&package, paths.map(|(_, path)| path), budget, facts);
        }
        Ok(())
    }
}

fn own_all<'a>(package: &str, paths: impl Iterator<Item = &'a str>, budget: &mut Budget, facts: &mut Facts) {
    for path in paths {
        if !facts.own(package, "", path.strip_prefix("./").unwrap_or(path), budget) {
            return;
        }
    }
}

/// The paths of a list that are no directories: a directory comes right before what is in it.
fn list_paths(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().filter(|line| *line != "/.").peekable();
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            let is_directory = lines
                .peek()
                .and_then(|next| next.strip_prefix(line))
                .is_some_and(|rest| rest.starts_with('/'));
            if !is_directory {
                return Some(line);
            }
        }
    })
}

/// `<package>.list` or `<package>:<architecture>.list`.
fn list_package(path: &str) -> Option<&str> {
    let stem = path.strip_prefix("var/lib/dpkg/info/")?.strip_suffix(".list")?;
    let package = stem.split(':').next()?;
    (!package.is_empty() && !package.contains('/')).then_some(package)
}

fn md5sums_package(path: &str) -> Option<String> {
    let stem = status_d_name(path)?.strip_suffix(".md5sums")?;
    Some(decoded(stem).unwrap_or_else(|| stem.to_owned()))
}

/// The package whose name is kept as base64. Names of packages have no capitals (Debian Policy, 5.6.7), so a stem that has
/// some is none.
fn decoded(stem: &str) -> Option<String> {
    const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
        &alphabet::URL_SAFE,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    if !stem.contains(|c: char| c.is_ascii_uppercase() || c == '=') {
        return None;
    }
    let name = String::from_utf8(ANY_PADDING.decode(stem).ok()?).ok()?;
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
}
