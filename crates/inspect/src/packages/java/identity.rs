//! From evidence to packages.

use findings::{Confidence, Package, PackageKind};

use super::archive::Place;
use super::evidence::{Coordinates, Manifest, by_file_name};
use super::groups;
use super::log4j::{self, Judged};
use super::zip::Directory;
use crate::packages::gather::{base_name, extension};

/// The package that a manifest names.
pub(super) fn by_manifest(
    manifest: &Manifest,
    place: Place<'_>,
    has_class_in: impl Fn(&str) -> bool,
) -> Option<Package> {
    let named = by_file_name(place.name);
    let stem = base_name(place.name)
        .rsplit_once('.')
        .map_or("", |(stem, _)| stem);
    let artifact = match &named {
        Some(named) => named.artifact.as_str(),
        None if groups::group_of(stem, &has_class_in).is_some() => stem,
        None => manifest.artifact()?,
    };
    let known = groups::group_of(artifact, has_class_in);
    let coordinates = Coordinates {
        group: known.or_else(|| manifest.group(artifact)).map(str::to_owned),
        artifact: artifact.to_owned(),
        version: manifest.version()?.to_owned(),
    };
    // A manifest may be left over from another archive; the file's name tells.
    let confidence = match &coordinates.group {
        _ if !is_named(place.name, artifact) => Confidence::Low,
        Some(_) if known.is_some() || manifest.artifact() == Some(artifact) => Confidence::High,
        _ => Confidence::Medium,
    };
    let mut package = package(&coordinates, confidence, place);
    package.licences = manifest.licences();
    Some(package)
}

/// Adds the copies of log4j-core that are known by their classes, and what the classes say of one that has coordinates.
pub(super) fn add_marks(found: &mut Vec<Package>, place: Place<'_>, copies: &[Judged]) {
    let mut unclaimed: Vec<&Judged> = copies.iter().collect();
    for package in found.iter_mut().filter(|package| package.name == log4j::NAME) {
        let is_removed = !copies.is_empty() && copies.iter().all(|copy| !copy.has_lookup);
        if is_removed && !log4j::predates_lookup(&package.version) {
            package.mitigations.push(log4j::REMOVED.to_owned());
        }
        // The coordinates are those of one copy; others beside it have none.
        let claimed = unclaimed.iter().position(|copy| copy.is_home).unwrap_or(0);
        if unclaimed
            .get(claimed)
            .is_some_and(|copy| is_of(copy, &package.version))
        {
            unclaimed.remove(claimed);
        }
    }
    for copy in unclaimed {
        let mut package = copy.package.clone();
        package.inner_path = place.inner.iter().cloned().chain(package.inner_path).collect();
        found.push(package);
    }
}

/// Whether classes can be of this version. Those of another known release cannot: somebody changed the one or the other.
fn is_of(copy: &Judged, version: &str) -> bool {
    copy.exact.is_empty() || copy.exact.contains(&version) || !log4j::knows_version(version)
}

/// A package of these coordinates.
pub(super) fn package(coordinates: &Coordinates, confidence: Confidence, place: Place<'_>) -> Package {
    let mut package = Package::new(PackageKind::Java, coordinates.name(), coordinates.version.clone());
    package.confidence = confidence;
    package.inner_path = place.inner.to_vec();
    package
}

/// Whether an archive of this name is the artifact's: `artifact.jar` or `artifact-…`.
pub(super) fn is_named(name: &str, artifact: &str) -> bool {
    base_name(name)
        .strip_prefix(artifact)
        .is_some_and(|rest| rest.starts_with(['.', '-']))
}

/// Whether an archive has a class whose path begins so.
pub(super) fn has_class_in(directory: &Directory, package: &str) -> bool {
    directory
        .entries()
        .flatten()
        .any(|entry| entry.name.starts_with(package) && is_class(&entry.name))
}

/// Whether an entry is a class.
pub(super) fn is_class(name: &str) -> bool {
    extension(name) == "class"
}
