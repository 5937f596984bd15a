//! Package URLs (purl-spec): how SBOMs and other tools name a package.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{OsRelease, Package, PackageKind};

mod encoding;
mod package;
mod parse;
#[cfg(test)]
mod tests;

pub use parse::{ParsedPurl, PurlError};

/// A package URL. Made by [`Package::purl`]; [`Purl::parse`] reads what others made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Purl(String);

impl Purl {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a package URL of any type.
    pub fn parse(text: &str) -> Result<ParsedPurl, PurlError> {
        ParsedPurl::parse(text)
    }

    pub(crate) fn of(package: &Package, os: Option<&OsRelease>) -> Self {
        let [namespace, name] = namespace_and_name(package, os);
        let (epoch, version) = split_epoch(package);
        let mut text = format!("pkg:{}/", package.kind.purl_type());
        for segment in namespace.split('/').filter(|segment| !segment.is_empty()) {
            encoding::encode(segment, &mut text);
            text.push('/');
        }
        encoding::encode(&name, &mut text);
        if !version.is_empty() {
            text.push('@');
            encoding::encode(version, &mut text);
        }
        push_qualifiers(&qualifiers(package, os, epoch), &mut text);
        Self(text)
    }
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In the spelling that each type of purl-spec wants (PURL-TYPES).
fn namespace_and_name(package: &Package, os: Option<&OsRelease>) -> [String; 2] {
    let name = package.name.as_str();
    let split = |pair: Option<(&str, &str)>| match pair {
        Some((namespace, name)) => [namespace.to_owned(), name.to_owned()],
        None => [String::new(), name.to_owned()],
    };
    let vendor = || os.map(vendor_of).unwrap_or_default();
    match package.kind {
        PackageKind::Dpkg | PackageKind::Apk => [vendor(), name.to_ascii_lowercase()],
        PackageKind::Rpm => [vendor(), name.to_owned()],
        PackageKind::Java => split(name.split_once(':')),
        PackageKind::Npm => split(name.split_once('/').filter(|(scope, _)| scope.starts_with('@'))),
        PackageKind::Go | PackageKind::Composer => {
            split(name.rsplit_once('/')).map(|part| part.to_ascii_lowercase())
        }
        PackageKind::Python => [String::new(), name.to_ascii_lowercase().replace('_', "-")],
        PackageKind::Rust | PackageKind::Gem | PackageKind::NuGet => [String::new(), name.to_owned()],
    }
}

/// The namespace that stands for a distribution: its id, but for two that everybody calls by another name.
fn vendor_of(os: &OsRelease) -> String {
    match os.id.to_ascii_lowercase().as_str() {
        "rhel" => "redhat".to_owned(),
        id if id.starts_with("opensuse") => "opensuse".to_owned(),
        id => id.to_owned(),
    }
}

/// The epoch of an rpm is a qualifier, that of a deb a part of the version.
fn split_epoch(package: &Package) -> (Option<&str>, &str) {
    let version = package.version.as_str();
    let is_number = |epoch: &str| !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
    match version.split_once(':') {
        Some((epoch, version)) if package.kind == PackageKind::Rpm && is_number(epoch) => {
            (Some(epoch), version)
        }
        _ => (None, version),
    }
}

/// Sorted by key. Only packages of a distribution have any.
fn qualifiers(package: &Package, os: Option<&OsRelease>, epoch: Option<&str>) -> Vec<(&'static str, String)> {
    if !package.kind.is_os() {
        return Vec::new();
    }
    let distro = os.map(|os| match os.version.as_str() {
        "" => os.id.clone(),
        version => format!("{}-{version}", os.id),
    });
    let all = [
        ("arch", package.arch.clone()),
        ("distro", distro),
        ("epoch", epoch.map(str::to_owned)),
        ("modularity", package.modularity.clone()),
        ("upstream", upstream(package)),
    ];
    let is_said =
        |(key, value): (&'static str, Option<String>)| Some((key, value.filter(|value| !value.is_empty())?));
    all.into_iter().filter_map(is_said).collect()
}

/// The source package as other tools write it: the name of the source rpm, or the name with a version that differs.
fn upstream(package: &Package) -> Option<String> {
    let source = package.source.as_ref()?;
    let (name, version) = (&source.name, &source.version);
    let is_release = |version: &str| {
        let parts: Vec<_> = version.split('-').collect();
        parts.len() == 2 && !parts.contains(&"")
    };
    Some(
        if package.kind == PackageKind::Rpm && !name.is_empty() && is_release(version) {
            format!("{name}-{version}{}", package::SOURCE_RPM)
        } else if *version == package.version {
            name.clone()
        } else {
            format!("{name}@{version}")
        },
    )
}

fn push_qualifiers(qualifiers: &[(&'static str, String)], text: &mut String) {
    for (at, (key, value)) in qualifiers.iter().enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        encoding::encode(value, text);
    }
}
