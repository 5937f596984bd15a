//! What hides what.

use super::*;
use crate::layer_report::{ByteFindingKind, Compression};
use crate::{Listing, ListingEntry, Package, PackageKind, SCHEMA, Severity, Unit};

fn layer(units: &[&str]) -> LayerReport {
    LayerReport {
        schema: SCHEMA,
        analysers: "test".to_owned(),
        blob: oci::Digest::of(oci::Algorithm::Sha256, units.join(" ").as_bytes()),
        diff_id: None,
        compression: Compression::None,
        bytes: 0,
        entries: 0,
        config: None,
        units: units
            .iter()
            .map(|path| unit(path, UnitKind::JavaArchive))
            .collect(),
        whiteouts: Vec::new(),
        opaque: Vec::new(),
        findings: Vec::new(),
        oddities: Vec::new(),
        not_scannable: Vec::new(),
        listing: listing(&units.iter().map(|path| (*path, '0')).collect::<Vec<_>>()),
        tables: None,
        rebase: None,
        chart: None,
    }
}

fn unit(path: &str, kind: UnitKind) -> FoundUnit {
    FoundUnit {
        path: path.to_owned(),
        unit: Unit::of_packages(kind, vec![Package::new(PackageKind::Java, "a:b", "1")]),
        owned_by: None,
    }
}

fn listing(entries: &[(&str, char)]) -> Listing {
    let entries: Vec<ListingEntry> = entries
        .iter()
        .map(|&(path, kind)| ListingEntry {
            path: path.to_owned(),
            kind,
            mode: 0o644,
            size: 1,
            content: String::new(),
        })
        .collect();
    Listing::of(&entries)
}

fn secret(path: &str) -> ByteFinding {
    ByteFinding {
        kind: ByteFindingKind::Secret,
        rule: "private-key".to_owned(),
        title: "Private key".to_owned(),
        severity: Severity::High,
        path: path.to_owned(),
        inner_path: Vec::new(),
        line: None,
        excerpt: None,
        fingerprint: None,
        fix: None,
        is_example: false,
        pack: "roadbed".to_owned(),
    }
}

fn present(layers: Vec<LayerReport>) -> Vec<(String, usize)> {
    let image = ImageReport {
        layers: layers.into_iter().map(Arc::new).collect(),
    };
    let overlay = image.overlay().unwrap();
    overlay
        .units
        .iter()
        .map(|unit| (unit.found.path.clone(), unit.layer))
        .collect()
}

fn at(path: &str, layer: usize) -> (String, usize) {
    (path.to_owned(), layer)
}

#[test]
fn an_upper_layer_replaces_what_a_lower_one_has_at_the_path() {
    let lower = || layer(&["app/a.jar", "app/b.jar"]);
    assert_eq!(
        present(vec![lower(), layer(&["app/a.jar"])]),
        [at("app/a.jar", 1), at("app/b.jar", 0)]
    );
    // Also by a file that is no unit any more.
    let mut plain = layer(&[]);
    plain.listing = listing(&[("app/a.jar", '0')]);
    assert_eq!(present(vec![lower(), plain]), [at("app/b.jar", 0)]);
    // A directory that is listed again changes nothing; a file in its place does.
    let mut directory = layer(&[]);
    directory.listing = listing(&[("app", '5')]);
    assert_eq!(present(vec![lower(), directory]).len(), 2);
    let mut file = layer(&[]);
    file.listing = listing(&[("app", '2')]);
    assert!(present(vec![lower(), file]).is_empty());
}

/// `a-b` and `a.jar` lie between `a` and what is below it.
#[test]
fn a_file_hides_what_was_below_it_and_none_that_begin_alike() {
    let mut plain = layer(&[]);
    for (path, left) in [
        ("a", vec!["a-b/c.jar", "a.jar", "ab.jar"]),
        ("a.j", vec!["a-b/c.jar", "a.jar", "a/b.jar", "ab.jar"]),
        ("a.jar", vec!["a-b/c.jar", "a/b.jar", "ab.jar"]),
        ("b", vec!["a-b/c.jar", "a.jar", "a/b.jar", "ab.jar"]),
    ] {
        let lower = layer(&["a-b/c.jar", "a.jar", "a/b.jar", "ab.jar"]);
        plain.listing = listing(&[(path, '0')]);
        let left: Vec<_> = left.into_iter().map(|path| at(path, 0)).collect();
        assert_eq!(present(vec![lower, plain.clone()]), left, "{path}");
    }
}

#[test]
fn whiteouts_and_opaque_directories_hide_lower_layers_only() {
    let lower = || layer(&["app/a.jar", "app/lib/b.jar", "apps.jar"]);
    let mut upper = layer(&[]);
    upper.whiteouts = vec!["app/lib".to_owned()];
    assert_eq!(
        present(vec![lower(), upper]),
        [at("app/a.jar", 0), at("apps.jar", 0)]
    );
    let mut upper = layer(&["app/c.jar"]);
    upper.opaque = vec!["app".to_owned()];
    assert_eq!(
        present(vec![lower(), upper]),
        [at("app/c.jar", 1), at("apps.jar", 0)]
    );
    let mut upper = layer(&["a.jar"]);
    upper.opaque = vec![String::new()];
    assert_eq!(present(vec![lower(), upper]), [at("a.jar", 1)]);
}

#[test]
fn a_secret_stays_and_says_who_hides_it() {
    let mut lower = layer(&[]);
    lower.findings = vec![secret("root/.ssh/id_rsa"), secret("etc/key.pem")];
    let mut upper = layer(&[]);
    upper.whiteouts = vec!["root/.ssh/id_rsa".to_owned()];
    let image = ImageReport {
        layers: vec![Arc::new(lower), Arc::new(layer(&[])), Arc::new(upper)],
    };
    let overlay = image.overlay().unwrap();
    let hidden: Vec<_> = overlay
        .findings
        .iter()
        .map(|found| (found.finding.path.as_str(), found.hidden_by))
        .collect();
    assert_eq!(hidden, [("etc/key.pem", None), ("root/.ssh/id_rsa", Some(2))]);
}

#[test]
fn a_wish_counts_only_where_nothing_is_installed() {
    let mut wish = layer(&[]);
    wish.units = vec![unit("app/package-lock.json", UnitKind::NodeLock)];
    assert_eq!(present(vec![wish.clone()]).len(), 1);
    wish.units
        .push(unit("app/node_modules/a/package.json", UnitKind::NodeModule));
    assert_eq!(
        present(vec![wish.clone()]),
        [at("app/node_modules/a/package.json", 0)]
    );
    // What belongs to the distribution is not what the application wished for.
    wish.units[1].owned_by = Some("node-a".to_owned());
    assert_eq!(present(vec![wish]).len(), 2);
}

#[test]
fn the_operating_system_is_what_the_topmost_file_of_the_highest_rank_says() {
    let os = |path: &str, id: &str| FoundUnit {
        path: path.to_owned(),
        unit: Unit::of_os(OsRelease {
            id: id.to_owned(),
            ..OsRelease::default()
        }),
        owned_by: None,
    };
    let mut lower = layer(&[]);
    lower.units = vec![os("etc/os-release", "debian"), os("usr/lib/os-release", "other")];
    let mut upper = layer(&[]);
    upper.units = vec![os("etc/os-release", "ubuntu")];
    upper.listing = listing(&[("etc/os-release", '0')]);
    let image = ImageReport {
        layers: vec![Arc::new(lower), Arc::new(upper)],
    };
    assert_eq!(image.overlay().unwrap().os.unwrap().id, "ubuntu");
}

#[test]
fn a_cache_counts_while_a_container_would_find_files_in_it() {
    let mut lower = layer(&[]);
    lower.listing = listing(&[
        ("root/.cache/pip/http/a", '0'),
        ("var/cache/apt/archives/a.deb", '0'),
        ("var/cache/apt/archives/lock", '0'),
        ("var/lib/apt/lists", '5'),
    ]);
    let mut upper = layer(&[]);
    upper.whiteouts = vec!["var/cache/apt/archives".to_owned()];
    let caches = |layers: Vec<LayerReport>| {
        let layers = layers.into_iter().map(Arc::new).collect();
        ImageReport { layers }.caches().unwrap()
    };
    assert_eq!(
        caches(vec![lower.clone()]),
        ["root/.cache/pip", "var/cache/apt/archives"]
    );
    assert_eq!(caches(vec![lower, upper]), ["root/.cache/pip"]);
}

#[test]
fn a_layer_that_hides_the_same_over_and_over_is_not_followed() {
    let lower = layer(&["app/a.jar", "app/b.jar"]);
    let mut upper = layer(&[]);
    upper.whiteouts = vec!["app".to_owned(); 100];
    let image = ImageReport {
        layers: vec![Arc::new(lower), Arc::new(upper)],
    };
    assert!(image.overlay_within(201).unwrap().units.is_empty());
    let error = image.overlay_within(200).unwrap_err();
    assert!(matches!(error, ListingError::TooMuchWork), "{error}");
}

/// A layer with a database of packages, written `name=version`.
fn installs(path: &str, kind: UnitKind, packages: &[&str]) -> LayerReport {
    let mut report = layer(&[]);
    let package = |text: &&str| {
        let (name, version) = text.split_once('=').unwrap();
        Package::new(PackageKind::Dpkg, name, version)
    };
    report.units = vec![FoundUnit {
        path: path.to_owned(),
        unit: Unit::of_packages(kind, packages.iter().map(package).collect()),
        owned_by: None,
    }];
    report.listing = listing(&[(path, '0')]);
    report
}

fn came_with(layers: Vec<LayerReport>) -> Vec<(String, usize)> {
    let image = ImageReport {
        layers: layers.into_iter().map(Arc::new).collect(),
    };
    let overlay = image.overlay().unwrap();
    let packages = overlay.units.iter().flat_map(PresentUnit::packages);
    packages
        .map(|(package, layer)| (package.name.clone(), layer))
        .collect()
}

#[test]
fn a_package_of_a_list_that_is_written_again_came_with_the_layer_that_installed_it() {
    let status = |packages: &[&str]| installs("var/lib/dpkg/status", UnitKind::DpkgStatus, packages);
    let base = || status(&["libc6=1", "openssl=1", "tar=1"]);
    assert_eq!(
        came_with(vec![
            base(),
            layer(&[]),
            status(&["curl=1", "libc6=1", "openssl=1", "tar=1"]),
            // Upgraded, and one taken away.
            status(&["curl=1", "libc6=1", "openssl=2"]),
        ]),
        [at("curl", 2), at("libc6", 0), at("openssl", 3)]
    );
    // What went and came back came with the layer in which it came back.
    assert_eq!(
        came_with(vec![base(), status(&["tar=1"]), status(&["libc6=1", "tar=1"])]),
        [at("libc6", 2), at("tar", 0)]
    );
    // An archive that is replaced by the same one lies in the upper layer: whoever put it there must replace it.
    let jar = || installs("app/a.jar", UnitKind::JavaArchive, &["a=1"]);
    assert_eq!(came_with(vec![jar(), jar()]), [at("a", 1)]);
}
