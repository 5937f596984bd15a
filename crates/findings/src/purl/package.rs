//! From a package URL back to the package that it names.

use super::ParsedPurl;
use crate::{Ecosystem, OsRelease, Package, PackageKind, Source};

/// How the name of a source rpm ends.
pub(super) const SOURCE_RPM: &str = ".src.rpm";

impl PackageKind {
    /// The kind that a type of package URL stands for.
    pub fn of_purl_type(type_name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.purl_type() == type_name)
    }
}

impl ParsedPurl {
    /// The package that it names, with the operating system that it says it belongs to; `None` where its type is none of
    /// ours.
    pub fn to_package(&self) -> Option<(Package, Option<OsRelease>)> {
        let kind = self.kind?;
        let mut package = Package::new(kind, self.package_name(kind), self.package_version(kind));
        if !kind.is_os() {
            return Some((package, None));
        }
        package.arch = self.qualifier("arch");
        package.modularity = self.qualifier("modularity").or_else(|| self.qualifier("rpmmod"));
        package.source = self
            .qualifiers
            .get("upstream")
            .map(|upstream| parse_upstream(kind, upstream, &package.version));
        Some((package, self.os()))
    }

    /// The same, with the capitals that the package URL of some types must not have, where an SBOM states the name apart from
    /// it (the `name` of a component).
    pub fn to_package_named(&self, stated: &str) -> Option<(Package, Option<OsRelease>)> {
        let (mut package, os) = self.to_package()?;
        if package.name.eq_ignore_ascii_case(stated) && package.kind != PackageKind::Python {
            stated.clone_into(&mut package.name);
        }
        Some((package, os))
    }

    fn qualifier(&self, key: &str) -> Option<String> {
        self.qualifiers.get(key).cloned()
    }

    /// As the ecosystem spells it.
    fn package_name(&self, kind: PackageKind) -> String {
        let name = &self.name;
        match (kind, &self.namespace) {
            (PackageKind::Java, Some(group)) => format!("{group}:{name}"),
            (PackageKind::Npm | PackageKind::Go | PackageKind::Composer, Some(path)) => {
                format!("{path}/{name}")
            }
            (PackageKind::Python, _) => Ecosystem::PyPi.comparable_name(name).into_owned(),
            _ => name.clone(),
        }
    }

    fn package_version(&self, kind: PackageKind) -> String {
        let version = self.version.clone().unwrap_or_default();
        match self.qualifiers.get("epoch") {
            Some(epoch) if kind == PackageKind::Rpm && epoch.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{epoch}:{version}")
            }
            _ => version,
        }
    }

    /// `distro=debian-12`, or the codename alone as older tools write it; without it, the namespace says which one at least.
    fn os(&self) -> Option<OsRelease> {
        let vendor = self.namespace.as_deref().map(|namespace| match namespace {
            "redhat" => "rhel",
            namespace => namespace,
        });
        let Some(distro) = self.qualifiers.get("distro") else {
            return vendor.map(|id| os_release(id, "", ""));
        };
        let is_version =
            |(at, _): &(usize, &str)| distro[at + 1..].starts_with(|first: char| first.is_ascii_digit());
        let version = distro.match_indices('-').find(is_version);
        Some(match (version, vendor) {
            (Some((at, _)), _) => os_release(&distro[..at], &distro[at + 1..], ""),
            (None, Some(vendor)) if !distro.starts_with(vendor) => os_release(vendor, "", distro),
            (None, _) => os_release(distro, "", ""),
        })
    }
}

fn os_release(id: &str, version: &str, codename: &str) -> OsRelease {
    OsRelease {
        id: id.to_owned(),
        version: version.to_owned(),
        codename: codename.to_owned(),
        ..OsRelease::default()
    }
}

/// A source that says no version has the package's.
fn parse_upstream(kind: PackageKind, upstream: &str, version: &str) -> Source {
    let source = |name: &str, version: &str| Source {
        name: name.to_owned(),
        version: version.to_owned(),
    };
    let file = upstream
        .strip_suffix(SOURCE_RPM)
        .filter(|_| kind == PackageKind::Rpm);
    if let Some(parts) = file.and_then(split_source_rpm) {
        return source(parts.0, parts.1);
    }
    match upstream.split_once('@') {
        Some((name, version)) => source(name, version),
        None => source(upstream, version),
    }
}

/// `name-version-release`, where only the name may have more hyphens.
fn split_source_rpm(file: &str) -> Option<(&str, &str)> {
    let release = file.rfind('-')?;
    let version = file[..release].rfind('-')?;
    Some((&file[..version], &file[version + 1..]))
}
