//! Lockfiles of poetry, uv, pdm and pipenv, `pylock.toml` (PEP 751), and requirements with pinned versions.

use serde::Deserialize;

use super::package;
use crate::FileError;
use crate::packages::gather::{Gather, Items, Pairs, Text, extension, json, lines, toml};

type Reader = fn(&str, &mut Gather<'_>) -> Result<(), FileError>;

/// Who reads a file of this name.
pub(super) fn reader(name: &str) -> Option<Reader> {
    Some(match name {
        "poetry.lock" | "uv.lock" | "pdm.lock" => tables,
        "Pipfile.lock" => pipfile,
        _ if is_pylock(name) => tables,
        _ if name.starts_with("requirements") && extension(name) == "txt" => requirements,
        _ => return None,
    })
}

/// `pylock.toml` or `pylock.NAME.toml`.
fn is_pylock(name: &str) -> bool {
    name.starts_with("pylock.") && extension(name) == "toml" && name.split('.').count() <= 3
}

#[derive(Deserialize)]
struct Tables {
    /// poetry, uv, pdm.
    #[serde(default)]
    package: Items<Locked>,
    /// PEP 751.
    #[serde(default)]
    packages: Items<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    version: Text,
    /// uv's word of where it comes from.
    #[serde(default)]
    source: Pairs<Text>,
}

impl Locked {
    /// Whether it is the project itself or lies beside it.
    fn is_local(&self) -> bool {
        self.source
            .0
            .iter()
            .any(|(kind, _)| matches!(kind.as_str(), "editable" | "virtual" | "directory"))
    }
}

fn tables(text: &str, gather: &mut Gather<'_>) -> Result<(), FileError> {
    let tables: Tables = toml(text)?;
    for locked in tables.package.0.iter().chain(&tables.packages.0) {
        if !locked.is_local() {
            gather.add(package(locked.name.as_str(), locked.version.as_str()))?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Pipfile {
    #[serde(default)]
    default: Pairs<Pinned>,
    #[serde(default)]
    develop: Pairs<Pinned>,
}

#[derive(Deserialize)]
struct Pinned {
    #[serde(default)]
    version: Text,
}

fn pipfile(text: &str, gather: &mut Gather<'_>) -> Result<(), FileError> {
    let pipfile: Pipfile = json(text)?;
    for (name, pinned) in pipfile.default.0.iter().chain(&pipfile.develop.0) {
        if let Some(version) = pinned.version.as_str().strip_prefix("==") {
            gather.add(package(name, version))?;
        }
    }
    Ok(())
}

fn requirements(text: &str, gather: &mut Gather<'_>) -> Result<(), FileError> {
    for (name, version) in lines(text).filter_map(pinned) {
        gather.add(package(name, version))?;
    }
    Ok(())
}

/// Name and version of `name[extra]==1.0 ; marker --hash=…`; none of anything that leaves a choice.
fn pinned(line: &str) -> Option<(&str, &str)> {
    let line = line.split(['#', ';', '\\']).next()?.split(" --").next()?.trim();
    let (name, version) = line.split_once("==")?;
    let version = version.trim_start_matches('=').trim();
    let name = name.split('[').next()?.trim();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    (is_name && !version.contains(['*', ',', ' ', '/'])).then_some((name, version))
}
