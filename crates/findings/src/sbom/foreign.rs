//! What other tools write beside a package URL.

use super::property::Properties;
use crate::{OsRelease, PackageKind, PlacedPackage, Source};

/// Names of properties that are looked at.
pub(super) const PREFIXES: [&str; 2] = ["syft:", "aquasecurity:trivy:"];

/// How SPDX documents name the source package.
const BUILT_FROM: &str = "built package from: ";

/// Says of a package what the properties of other tools say.
pub(super) fn apply(placed: &mut PlacedPackage, properties: Properties<'_>, source_info: Option<&str>) {
    let package = &mut placed.package;
    if package.kind.is_os() && package.source.is_none() {
        let said_by_info = || source_info.and_then(source_of_info);
        package.source = source_of_trivy(properties, package.kind)
            .or_else(|| source_of_syft(properties, &package.version))
            .or_else(said_by_info);
    }
    if package.kind == PackageKind::Rpm && package.modularity.is_none() {
        package.modularity = trivy(properties, "Modularitylabel")
            .or_else(|| properties.exactly("syft:metadata:modularityLabel"))
            .filter(|label| !label.is_empty())
            .map(str::to_owned);
    }
    let path = trivy(properties, "FilePath").or_else(|| properties.exactly("syft:location:0:path"));
    path.unwrap_or_default()
        .trim_start_matches('/')
        .clone_into(&mut placed.path);
}

fn trivy<'a>(properties: Properties<'a>, name: &str) -> Option<&'a str> {
    properties.exactly(&format!("aquasecurity:trivy:{name}"))
}

fn source_of_trivy(properties: Properties<'_>, kind: PackageKind) -> Option<Source> {
    let name = trivy(properties, "SrcName")?;
    let mut version = trivy(properties, "SrcVersion")?.to_owned();
    let said = |name: &str| trivy(properties, name).filter(|text| !text.is_empty());
    if let Some(release) = said("SrcRelease") {
        version = format!("{version}-{release}");
    }
    // The name of a source rpm has no epoch, and so it is kept here.
    if let Some(epoch) = said("SrcEpoch").filter(|epoch| *epoch != "0" && kind != PackageKind::Rpm) {
        version = format!("{epoch}:{version}");
    }
    Some(Source {
        name: name.to_owned(),
        version,
    })
}

/// A source whose version is not said has the package's.
fn source_of_syft(properties: Properties<'_>, version: &str) -> Option<Source> {
    let said = |name: &str| properties.exactly(name).filter(|text| !text.is_empty());
    let name = said("syft:metadata:source").or_else(|| said("syft:metadata:originPackage"))?;
    Some(Source {
        name: name.to_owned(),
        version: said("syft:metadata:sourceVersion").unwrap_or(version).to_owned(),
    })
}

fn source_of_info(info: &str) -> Option<Source> {
    let (name, version) = info.strip_prefix(BUILT_FROM)?.trim().split_once(' ')?;
    Some(Source {
        name: name.to_owned(),
        version: version.to_owned(),
    })
}

/// Some write the version alone as the distro (`distro=3.18.4`).
pub(super) fn tidied(mut os: OsRelease) -> OsRelease {
    let is_version = os.codename.starts_with(|first: char| first.is_ascii_digit());
    if os.version.is_empty() && is_version {
        os.version = std::mem::take(&mut os.codename);
    }
    os
}

/// What a component for the operating system says, by us or by others.
pub(super) fn os_of(name: &str, version: &str, properties: Properties<'_>) -> OsRelease {
    let syft = |name: &str| properties.exactly(&format!("syft:distro:{name}"));
    let text = |ours: &str, theirs: &str| {
        let said = properties.first(ours).or_else(|| syft(theirs));
        said.unwrap_or_default().to_owned()
    };
    let mut like = properties.all("os-like");
    like.extend(syft("idLike:0").map(str::to_owned));
    OsRelease {
        id: properties
            .first("os-id")
            .or_else(|| syft("id"))
            .unwrap_or_else(|| id_of(name))
            .to_owned(),
        version: syft("versionID").unwrap_or(version).to_owned(),
        codename: text("os-codename", "versionCodename"),
        name: text("os-name", "prettyName"),
        like,
    }
}

/// Families as other tools call them, where that is no id of an `os-release`.
fn id_of(name: &str) -> &str {
    match name {
        "redhat" => "rhel",
        "alma" => "almalinux",
        "oracle" => "ol",
        "amazon" => "amzn",
        "suse linux enterprise server" => "sles",
        "opensuse.leap" => "opensuse-leap",
        "opensuse.tumbleweed" => "opensuse-tumbleweed",
        "cbl-mariner" => "mariner",
        name => name,
    }
}
