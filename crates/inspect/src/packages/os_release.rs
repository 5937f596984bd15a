//! Which operating system it is: `os-release` and the files that are older than it.
//!
//! Each file is a unit of its own; which one counts is decided where layers are overlaid, since an upper layer may bring
//! only one of them.

#[cfg(test)]
mod tests;

use findings::{OsRelease, UnitKind};

use crate::{Budget, Cataloger, Facts, File, FileError};

/// Bytes of the longest value that is believed; those of real releases have some dozens.
const MAX_VALUE: usize = 1_024;

/// `etc/os-release` and `usr/lib/os-release` (os-release(5)).
pub(super) struct OsReleaseFile;

impl Cataloger for OsReleaseFile {
    fn kind(&self) -> UnitKind {
        UnitKind::OsRelease
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        matches!(path, "etc/os-release" | "usr/lib/os-release")
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = String::from_utf8_lossy(file.in_memory(budget)?);
        let release = os_release(&text);
        if release == OsRelease::default() {
            return Err(FileError::malformed("it names no operating system"));
        }
        facts.os = Some(release);
        Ok(())
    }
}

fn os_release(text: &str) -> OsRelease {
    let mut release = OsRelease::default();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        if value.len() > MAX_VALUE {
            continue;
        }
        match key {
            "ID" => release.id = unquote(value).to_ascii_lowercase(),
            "VERSION_ID" => release.version = unquote(value),
            "VERSION_CODENAME" => release.codename = unquote(value),
            "PRETTY_NAME" => release.name = unquote(value),
            "ID_LIKE" => {
                release.like = unquote(value)
                    .split_ascii_whitespace()
                    .map(str::to_ascii_lowercase)
                    .collect();
            }
            _ => {}
        }
    }
    release
}

/// A value as a shell would read it, without expansions: os-release(5) has them escaped.
fn unquote(value: &str) -> String {
    let mut chars = value.chars();
    let mut out = String::with_capacity(value.len());
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (Some('"'), '\\') => match chars.next() {
                Some(escaped @ ('"' | '$' | '\\' | '`')) => out.push(escaped),
                Some(other) => out.extend(['\\', other]),
                None => {}
            },
            (None, '\\') => out.extend(chars.next()),
            (None, ' ' | '\t' | '#' | ';') => break,
            _ => out.push(c),
        }
    }
    out
}

/// One line each: `etc/alpine-release`, `etc/debian_version`, `etc/redhat-release` and its kin.
pub(super) struct ReleaseFile;

impl Cataloger for ReleaseFile {
    fn kind(&self) -> UnitKind {
        UnitKind::OsRelease
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        release_line(path).is_some()
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = String::from_utf8_lossy(file.in_memory(budget)?);
        let line = text.lines().next().unwrap_or_default().trim();
        facts.os = release_line(file.path)
            .filter(|_| line.len() <= MAX_VALUE)
            .and_then(|read| read(line));
        match facts.os {
            Some(_) => Ok(()),
            None => Err(FileError::malformed("it names no release")),
        }
    }
}

fn release_line(path: &str) -> Option<fn(&str) -> Option<OsRelease>> {
    match path {
        "etc/alpine-release" => Some(alpine_release),
        "etc/debian_version" => Some(debian_version),
        "etc/redhat-release"
        | "etc/centos-release"
        | "etc/rocky-release"
        | "etc/almalinux-release"
        | "etc/oracle-release"
        | "etc/fedora-release" => Some(redhat_release),
        _ => None,
    }
}

/// `3.18.4`; of edge `3.19_alpha20230901`.
fn alpine_release(line: &str) -> Option<OsRelease> {
    starts_with_digit(line).then(|| OsRelease {
        id: "alpine".to_owned(),
        version: line.to_owned(),
        ..OsRelease::default()
    })
}

/// `12.5`, of which `VERSION_ID` has the 12; `trixie/sid` before a release and ever after in sid.
fn debian_version(line: &str) -> Option<OsRelease> {
    let mut release = OsRelease {
        id: "debian".to_owned(),
        ..OsRelease::default()
    };
    if starts_with_digit(line) {
        line.split('.').next()?.clone_into(&mut release.version);
    } else {
        line.split('/').next()?.clone_into(&mut release.codename);
    }
    (!line.is_empty()).then_some(release)
}

/// `Rocky Linux release 9.3 (Blue Onyx)`.
fn redhat_release(line: &str) -> Option<OsRelease> {
    let (name, rest) = line.split_once(" release ")?;
    let version = rest.split_ascii_whitespace().next()?;
    let id = match name.to_ascii_lowercase() {
        name if name.starts_with("red hat enterprise") => "rhel".to_owned(),
        name if name.starts_with("oracle") => "ol".to_owned(),
        name => name.split_ascii_whitespace().next()?.to_owned(),
    };
    let kin: &[&str] = match id.as_str() {
        "fedora" => &[],
        "rhel" | "ol" => &["fedora"],
        _ => &["rhel", "fedora"],
    };
    starts_with_digit(version).then(|| OsRelease {
        id,
        version: version.to_owned(),
        name: line.to_owned(),
        like: kin.iter().map(|&id| id.to_owned()).collect(),
        ..OsRelease::default()
    })
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// `etc/apk/repositories`: edge has no release of its own, its packages are newer than the one that `os-release` names.
pub(super) struct ApkRepositories;

impl Cataloger for ApkRepositories {
    fn kind(&self) -> UnitKind {
        UnitKind::OsRelease
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        path == "etc/apk/repositories"
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = String::from_utf8_lossy(file.in_memory(budget)?);
        let branches = || text.lines().filter_map(main_branch);
        let branch = branches()
            .find(|&branch| branch == "edge")
            .or_else(|| branches().next());
        // Repositories of others (Wolfi's, a mirror under another name) say nothing about the release; that is no fault.
        facts.os = branch.map(|branch| OsRelease {
            id: "alpine".to_owned(),
            version: branch.trim_start_matches('v').to_owned(),
            name: if branch == "edge" {
                "Alpine Linux edge".to_owned()
            } else {
                String::new()
            },
            ..OsRelease::default()
        });
        Ok(())
    }
}

/// The branch of `https://…/alpine/<branch>/main`. Tagged ones (`@edge https://…`) serve only what is asked of them by tag.
fn main_branch(line: &str) -> Option<&str> {
    let line = line.trim();
    if line.starts_with(['#', '@']) {
        return None;
    }
    let mut parts = line.trim_end_matches('/').rsplit('/');
    let repository = parts.next()?;
    let branch = parts.next()?;
    let is_branch = branch == "edge" || branch.strip_prefix('v').is_some_and(starts_with_digit);
    (repository == "main" && is_branch && branch.len() <= MAX_VALUE).then_some(branch)
}
