//! Packages of one image against all advisories.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use findings::{
    OsRelease, Package, PackageKind,
    advisory::{Advisory, AdvisoryIndex, match_packages},
};

use crate::{
    bench::Bench,
    layers,
    report::{Bar, Judged, Section},
    statistics::Series,
};

/// Packages of the image.
const PACKAGES: usize = 300;

/// Times that it is measured.
const TIMES: usize = 51;

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench
        .advisories
        .as_deref()
        .context("no advisories: --advisories DIR names a directory as OSV.dev exports it")?;
    let advisories = read(directory)?;
    let count = advisories.len();
    let started = Instant::now();
    let index = AdvisoryIndex::build(advisories)?;
    let built = started.elapsed();
    let packages = packages()?;
    let os = OsRelease {
        id: "debian".to_owned(),
        version: "12".to_owned(),
        codename: "bookworm".to_owned(),
        name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        like: Vec::new(),
    };
    let mut section = Section::beside("Packages against advisories", "–");
    let old: Vec<Package> = packages.iter().map(oldest).collect();
    for (packages, which) in [(&packages, "as they are"), (&old, "in the oldest version")] {
        let (mut times, mut found) = (Series::default(), 0);
        for _ in 0..TIMES {
            let started = Instant::now();
            found = std::hint::black_box(match_packages(packages, Some(&os), &index))
                .matches
                .len();
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        section.row(
            format!("{PACKAGES} packages {which} against {count} advisories, {found} matches: median"),
            format!("{:.2} ms", times.median()),
            "–",
            Judged::of(times.median(), " ms", Bar::AtMost(5.0)),
        );
        section.note(format!(
            "{which}: slowest of {TIMES} times {:.2} ms",
            times.maximum()
        ));
    }
    section.note(format!(
        "packages of a Debian 12 of that day, and in a version before all others, so that everything that was ever said of them \
         matches; reading the index once takes {:.1} s",
        built.as_secs_f64()
    ));
    Ok(section)
}

/// The package in a version that every advisory about it is about.
fn oldest(package: &Package) -> Package {
    let mut old = package.clone();
    "0~".clone_into(&mut old.version);
    if let Some(source) = &mut old.source {
        source.version.clone_from(&old.version);
    }
    old
}

/// The first packages of the Debian that layers are made of.
fn packages() -> Result<Vec<Package>> {
    let mut archive = tar::Archive::new(File::open(layers::debian()?)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !entry.path()?.ends_with("var/lib/dpkg/status") {
            continue;
        }
        let mut status = String::new();
        entry.read_to_string(&mut status)?;
        let packages = status.split("\n\n").filter_map(package);
        let packages: Vec<Package> = packages.take(PACKAGES).collect();
        ensure!(packages.len() == PACKAGES, "only {} packages", packages.len());
        return Ok(packages);
    }
    anyhow::bail!("the archive has no list of packages")
}

fn package(stanza: &str) -> Option<Package> {
    let field = |name: &str| {
        let mut lines = stanza.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let mut package = Package::new(PackageKind::Dpkg, field("Package")?, field("Version")?);
    if let Some(source) = field("Source") {
        let (name, version) = source.split_once(" (").map_or((source, None), |(name, version)| {
            (name, version.strip_suffix(')'))
        });
        package.source = Some(findings::Source {
            name: name.to_owned(),
            version: version.unwrap_or(&package.version).to_owned(),
        });
    }
    Some(package)
}

/// Every document of every zip and every directory below one.
fn read(directory: &Path) -> Result<Vec<Advisory>> {
    let mut all = Vec::new();
    for ecosystem in fs::read_dir(directory)? {
        let ecosystem = ecosystem?.path();
        let home = ecosystem
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let zip = ecosystem.join("all.zip");
        if !zip.is_file() {
            continue;
        }
        let mut zip = zip::ZipArchive::new(File::open(zip)?)?;
        for number in 0..zip.len() {
            let mut bytes = Vec::new();
            zip.by_index(number)?.read_to_end(&mut bytes)?;
            // As an import does, which names those that break the schema and takes the others.
            all.extend(Advisory::read(&bytes, &home).ok());
        }
    }
    Ok(all)
}
