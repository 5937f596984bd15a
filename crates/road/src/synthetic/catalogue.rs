//! Packages, bases and advisories.

use std::sync::Arc;

use findings::{
    OsRelease, Package, PackageKind, Source, Unit, UnitKind,
    advisory::{Advisory, Affected, Database, Event, Range, RangeKind},
};

use super::{Parameters, digest, placed, random::Random};
use crate::fleet::{LayerFacts, PlacedUnit};

/// Versions of a package of a language.
pub(super) const VERSIONS: u32 = 40;

/// What an operating system is called, and how it installs packages.
const SYSTEMS: [(&str, &str, PackageKind); 8] = [
    ("debian", "12", PackageKind::Dpkg),
    ("debian", "11", PackageKind::Dpkg),
    ("ubuntu", "22.04", PackageKind::Dpkg),
    ("ubuntu", "24.04", PackageKind::Dpkg),
    ("alpine", "3.19.1", PackageKind::Apk),
    ("alpine", "3.20.3", PackageKind::Apk),
    ("rhel", "9.4", PackageKind::Rpm),
    ("almalinux", "8.9", PackageKind::Rpm),
];

/// A line of bases.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) os: OsRelease,
    pub(super) kind: PackageKind,
    packages: Vec<u32>,
    /// Layers of each version, lowest first.
    pub(super) versions: Vec<Vec<Arc<LayerFacts>>>,
}

impl Base {
    pub(super) fn new(line: u32, parameters: &Parameters, random: &mut Random) -> Self {
        let (id, version, kind) = SYSTEMS[line as usize % SYSTEMS.len()];
        // What every base has, and what this one has.
        let common = 0..parameters.os_packages / 2;
        let own =
            (common.end..parameters.os_packages).map(|_| parameters.os_packages / 2 + random.below(900));
        let mut packages: Vec<u32> = common.clone().chain(own).collect();
        packages.sort_unstable();
        packages.dedup();
        let os = OsRelease {
            id: id.to_owned(),
            version: version.to_owned(),
            ..OsRelease::default()
        };
        let mut base = Self {
            os,
            kind,
            packages,
            versions: Vec::new(),
        };
        for version in 0..parameters.base_versions {
            let what = format!("base {line} {version}");
            let status = placed(
                database_path(kind).to_owned(),
                &what,
                unit_kind(kind),
                base.installed(version, &[]),
            );
            let release = PlacedUnit {
                path: "etc/os-release".to_owned(),
                owned_by: None,
                id: digest(&format!("os {id} {version}")),
                unit: Arc::new(Unit::of_os(base.os.clone())),
            };
            let layer = LayerFacts::new(
                digest(&what),
                Some(digest(&format!("diff {what}"))),
                vec![release, status],
            );
            base.versions.push(vec![Arc::new(layer)]);
        }
        base
    }

    /// What is installed in a version of the base, with packages that an application adds.
    pub(super) fn installed(&self, version: u32, more: &[u32]) -> Vec<Package> {
        let numbers = self.packages.iter().chain(more);
        // A package changes with every third version of the base, not all at once.
        let packages = numbers.map(|name| os_package(self.kind, &self.os, *name, (version + name % 3) / 3));
        packages.collect()
    }
}

pub(super) fn database_path(kind: PackageKind) -> &'static str {
    match kind {
        PackageKind::Apk => "lib/apk/db/installed",
        PackageKind::Rpm => "var/lib/rpm/rpmdb.sqlite",
        _ => "var/lib/dpkg/status",
    }
}

pub(super) const fn unit_kind(kind: PackageKind) -> UnitKind {
    match kind {
        PackageKind::Dpkg => UnitKind::DpkgStatus,
        PackageKind::Apk => UnitKind::ApkInstalled,
        PackageKind::Rpm => UnitKind::RpmDatabase,
        PackageKind::Npm => UnitKind::NodeModule,
        PackageKind::Python => UnitKind::PythonInstalled,
        PackageKind::Go => UnitKind::GoBinary,
        _ => UnitKind::JavaArchive,
    }
}

fn os_package(kind: PackageKind, os: &OsRelease, name: u32, step: u32) -> Package {
    let version = match kind {
        PackageKind::Apk => format!("1.{}.{step}-r0", name % 9),
        PackageKind::Rpm => format!("1.{}.{step}-1.el{}", name % 9, &os.version[..1]),
        _ => format!("1.{}.{step}-1+{}{}", name % 9, os.id, os.version.replace('.', "")),
    };
    // Two packages of one source, as libraries and their tools are.
    let source = match name {
        0 | 1 => "openssl".to_owned(),
        name => format!("source{}", name / 2),
    };
    let mut package = Package::new(kind, format!("package{name}"), version.clone());
    package.source = Some(Source {
        name: source,
        version,
    });
    package
}

/// Names of a kind, the first of which are in most images.
pub(super) const fn names(kind: PackageKind) -> u32 {
    match kind {
        PackageKind::Npm => 20_000,
        PackageKind::Java => 8_000,
        _ => 5_000,
    }
}

/// The artifact of that day is among the most common ones.
const LOG4J: u32 = 3;

pub(super) fn name(kind: PackageKind, number: u32) -> String {
    match kind {
        PackageKind::Java if number == LOG4J => "org.apache.logging.log4j:log4j-core".to_owned(),
        PackageKind::Java => format!("org.example.group{}:artifact{number}", number / 5),
        PackageKind::Npm if number.is_multiple_of(7) => format!("@scope{}/module{number}", number % 50),
        PackageKind::Npm => format!("module{number}"),
        PackageKind::Go => format!("example.org/group{}/module{number}", number / 5),
        _ => format!("distribution{number}"),
    }
}

pub(super) fn version(kind: PackageKind, number: u32) -> String {
    let v = if kind == PackageKind::Go { "v" } else { "" };
    format!("{v}2.{number}.{}", number % 3)
}

pub(super) fn package(kind: PackageKind, number: u32, step: u32) -> Package {
    Package::new(kind, name(kind, number), version(kind, step))
}

pub(super) fn path(package: &Package) -> String {
    let (name, version) = (&package.name, &package.version);
    match package.kind {
        PackageKind::Npm => format!("app/node_modules/{name}/package.json"),
        PackageKind::Python => {
            format!("usr/local/lib/python3.12/site-packages/{name}-{version}.dist-info/METADATA")
        }
        _ => {
            let artifact = name.rsplit(':').next().unwrap_or_default();
            format!("app/lib/{artifact}-{version}.jar")
        }
    }
}

/// One in eight is about the distribution's packages; the rest about those of languages.
pub(super) fn advisory(number: u32, random: &mut Random) -> Advisory {
    let kinds = [
        PackageKind::Java,
        PackageKind::Npm,
        PackageKind::Python,
        PackageKind::Go,
    ];
    let (ecosystem, name, fixed, kind) = if number.is_multiple_of(8) {
        let source = random.zipf(500);
        let name = if source == 0 {
            "openssl".to_owned()
        } else {
            format!("source{source}")
        };
        (
            "Debian:12".to_owned(),
            name,
            format!("1.{}.2-1+debian12", (source * 2) % 9),
            RangeKind::Ecosystem,
        )
    } else {
        let kind = kinds[number as usize % kinds.len()];
        let package = random.zipf(names(kind) / 4);
        let fixed = version(kind, 1 + random.below(VERSIONS)).replace('v', "");
        let ecosystem = kind.language_ecosystem().map_or("", findings::Ecosystem::as_str);
        let range = if kind == PackageKind::Npm || kind == PackageKind::Go {
            RangeKind::Semver
        } else {
            RangeKind::Ecosystem
        };
        (ecosystem.to_owned(), self::name(kind, package), fixed, range)
    };
    let id = format!("CVE-2021-{}", 40_000 + number);
    Advisory {
        database: Database::of(&id, "NVD"),
        id,
        modified: None,
        published: None,
        withdrawn: None,
        aliases: Vec::new(),
        upstream: Vec::new(),
        related: Vec::new(),
        summary: format!("problem {number}"),
        details: String::new(),
        ratings: Vec::new(),
        affected: vec![Affected {
            ecosystem,
            name,
            ranges: vec![Range {
                kind,
                events: vec![Event::Introduced("0".to_owned()), Event::Fixed(fixed)],
            }],
            ..Affected::default()
        }],
    }
}
