//! What the catalogers of languages share: taking packages, and parsers with bounds.

mod lenient;

use std::borrow::Cow;

use findings::Package;
use serde::de::DeserializeOwned;

pub(super) use self::lenient::{Items, Licences, Pairs, Text};
use crate::{Budget, Exceeded, Facts, File, FileError};

/// The longest name or version that is believed. The longest in public registries have a few hundred bytes.
const MAX_WORD: usize = 512;
/// The longest statement of a licence that is kept; some packages put the whole text there.
const MAX_LICENCE: usize = 200;
/// Licences that are kept of one package.
const MAX_LICENCES: usize = 20;
/// The largest TOML, YAML or JSON with comments that is read. Their parsers build a tree before anything is taken from it; the largest lockfiles
/// in public have a few megabytes.
const MAX_TREE: usize = 16 << 20;
/// A line that is looked at; no format here has longer ones that matter.
const MAX_LINE: usize = 64 * 1024;

/// Takes the packages of one file.
pub(super) struct Gather<'a> {
    /// What the layer may still cost.
    pub budget: &'a mut Budget,
    /// What was found.
    pub facts: &'a mut Facts,
}

impl Gather<'_> {
    /// Keeps a package if its name and version can be a name and a version.
    pub(super) fn add(&mut self, mut package: Package) -> Result<(), Exceeded> {
        if !is_word(&package.name) || !is_word(&package.version) {
            return Ok(());
        }
        self.budget.take_packages(1)?;
        package.licences.retain(|licence| is_licence(licence));
        package.licences.truncate(MAX_LICENCES);
        self.facts.packages.push(package);
        Ok(())
    }
}

/// Whether a text can be the name or the version of anything.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_WORD
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
        && !text.contains("${")
}

fn is_licence(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_LICENCE && !text.chars().any(char::is_control) && text != "UNKNOWN"
}

/// The file as text; bytes that are no UTF-8 are replaced.
pub(super) fn text_of<'a>(file: &File<'a>, budget: &Budget) -> Result<Cow<'a, str>, FileError> {
    let bytes = file.in_memory(budget)?;
    Ok(String::from_utf8_lossy(
        bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes),
    ))
}

/// Lines that are short enough to mean something.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.len() <= MAX_LINE)
}

/// Reads JSON. The parser refuses more than 128 levels.
pub(super) fn json<T: DeserializeOwned>(text: &str) -> Result<T, FileError> {
    serde_json::from_str(text).map_err(|error| FileError::malformed(format!("no such JSON: {error}")))
}

/// Reads TOML. The parser refuses more than 80 levels.
pub(super) fn toml<T: DeserializeOwned>(text: &str) -> Result<T, FileError> {
    check_tree(text)?;
    toml::from_str(text).map_err(|error| FileError::malformed(format!("no such TOML: {}", error.message())))
}

/// Reads YAML without aliases, which no lockfile has.
pub(super) fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, FileError> {
    check_tree(text)?;
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: 64,
            max_documents: 1,
            max_events: 8_000_000,
            max_nodes: 4_000_000,
            max_total_scalar_bytes: MAX_TREE,
        },
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| FileError::malformed(format!("no such YAML: {}", error.without_snippet())))
}

/// Refuses a text that is too large to be turned into something else as a whole.
pub(super) fn check_tree(text: &str) -> Result<(), FileError> {
    if text.len() <= MAX_TREE {
        return Ok(());
    }
    Err(FileError::Exceeded(Exceeded {
        limit: "lockfile.bytes",
        detail: format!("the lockfile has {} bytes, more than {MAX_TREE}", text.len()),
    }))
}

/// The last component of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What follows the last dot of the last component.
pub(super) fn extension(path: &str) -> &str {
    base_name(path)
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
}

/// Whether a version is one of a registry: not a URL, a branch, or a path.
pub(super) fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains(['/', '\\', '#'])
}

/// `name@version` apart; the name may begin with `@`.
pub(super) fn split_at_sign(text: &str) -> Option<(&str, &str)> {
    let at = text.get(1..)?.find('@')? + 1;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests;
