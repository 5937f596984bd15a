//! An SBOM of what the catalogers find gets the same findings as the image: from real databases of every kind, with the release of
//! the distribution and the labels of modules.

use std::io::{Cursor, Write as _};
use std::sync::Arc;

use findings::advisory::{Advisory, AdvisoryIndex, Knowledge, find_vulnerabilities};
use findings::output::{OutputForm, OutputOptions};
use findings::sbom::Sbom;
use findings::{Ecosystem, ImageReport, PackageKind, Release, ScanResult, ScanTarget};
use oci::{Algorithm, Digest};
use serde_json::json;

use super::CATALOGERS;
use super::executable::build::{FORMATS, executable};
use super::rpm::tests::build::{Tag, berkeley, header, ndb, sqlite};
use crate::Limits;
use crate::layer::{Analysers, NoSpool, inspect_layer};
use crate::tar::tests::builder::{Part, archive, file};

const DPKG: &str = "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl (3.0.11-1)\n\
    Version: 3.0.11-1+b1\n\nPackage: tzdata\nStatus: install ok installed\nArchitecture: all\nVersion: 1:2024a-0+deb12u1\n\n\
    Package: python3-yaml\nStatus: install ok installed\nArchitecture: amd64\nSource: pyyaml\nVersion: 6.0-3\n";
const APK: &str = "P:ssl_client\nV:1.36.1-r5\nA:x86_64\nL:GPL-2.0-only\no:busybox\n\nP:musl\nV:1.2.4_git20230717-r4\nA:x86_64\n\n";
const GEM: &str = "# -*- encoding: utf-8 -*-\n# stub: nokogiri 1.13.0 x86_64-linux lib\nGem::Specification.new do |s|\nend\n";
const MODULES: &str = "path\texample.org/app\nmod\texample.org/app\tv1.2.3\th1:a\n\
    dep\tgithub.com/BurntSushi/toml\tv0.3.1\th1:b\ndep\tgopkg.in/yaml.v2\tv2.2.8+incompatible\th1:c\n";
const CRATES: &str = r#"{"packages":[{"name":"app","version":"0.1.0","source":"local","root":true},
    {"name":"openssl-src","version":"111.10.0+1.1.1g","source":"crates.io"}]}"#;

fn debian() -> Vec<Part> {
    let mut parts = vec![
        file(
            "etc/os-release",
            "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
        ),
        file("var/lib/dpkg/status", DPKG),
        file(
            "var/lib/dpkg/info/python3-yaml.list",
            "/usr/lib/python3/dist-packages/PyYAML-6.0.egg-info\n",
        ),
        file(
            "usr/lib/python3/dist-packages/PyYAML-6.0.egg-info",
            "Metadata-Version: 2.1\nName: PyYAML\nVersion: 6.0\n",
        ),
    ];
    parts.extend(languages());
    parts
}

/// What each language leaves behind.
fn languages() -> Vec<Part> {
    vec![
        file(
            "app/node_modules/@babel/core/package.json",
            r#"{"name":"@babel/core","version":"7.0.0-beta.1","license":"MIT"}"#,
        ),
        file(
            "usr/lib/python3.11/site-packages/Django-2.2.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: Django\nVersion: 2.2.0\n",
        ),
        file(
            "usr/local/bundle/specifications/nokogiri-1.13.0-x86_64-linux.gemspec",
            GEM,
        ),
        file(
            "app/vendor/composer/installed.json",
            r#"[{"name":"symfony/http-kernel","version":"v5.4.1","license":["MIT"]}]"#,
        ),
        file(
            "app/App.deps.json",
            r#"{"runtimeTarget":{"name":"x"},"libraries":{"Newtonsoft.Json/12.0.1":{"type":"package"}}}"#,
        ),
        file("app/app.war", war()),
        file(
            "usr/bin/program",
            executable(FORMATS[0], ".go.buildinfo", &go("go1.21.3")),
        ),
        file(
            "usr/bin/tool",
            executable(FORMATS[0], ".dep-v0", &deflated(CRATES)),
        ),
    ]
}

fn alpine() -> Vec<Part> {
    vec![
        file(
            "etc/os-release",
            "ID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME=\"Alpine Linux v3.19\"\n",
        ),
        file(
            "etc/apk/repositories",
            "https://dl-cdn.alpinelinux.org/alpine/edge/main\n",
        ),
        file("lib/apk/db/installed", APK),
    ]
}

/// A package of a module beside one of the same name outside of any.
fn rocky(path: &str, database: impl Fn(&[Vec<u8>]) -> Vec<u8>) -> Vec<Part> {
    let package = |name: &str, more: Vec<Tag>| {
        let mut tags: Vec<Tag> = vec![
            (1000, name.into()),
            (1001, "18.1.0".into()),
            (1002, "1.el8".into()),
            (1022, "x86_64".into()),
        ];
        tags.extend(more);
        header(&tags)
    };
    let nodejs = vec![
        (1003, vec![1].into()),
        (1044, "nodejs-18.1.0-1.el8.src.rpm".into()),
        (5096, "nodejs:18:8090:abc".into()),
    ];
    let blobs = [package("nodejs", nodejs), package("bash", Vec::new())];
    vec![
        file("etc/os-release", "ID=\"rocky\"\nVERSION_ID=\"8.9\"\n"),
        file(path, database(&blobs)),
    ]
}

fn go(version: &str) -> Vec<u8> {
    let modules = [&[0x30; 16][..], MODULES.as_bytes(), &[0xf9; 16]].concat();
    let mut out = b"\xff Go buildinf:\x08\x02".to_vec();
    out.resize(32, 0);
    for text in [version.as_bytes(), &modules] {
        let mut length = text.len();
        while length >= 0x80 {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend(text);
    }
    out
}

fn deflated(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A jar in a war.
fn war() -> Vec<u8> {
    let properties = "groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n";
    let jar = zipped(&[
        (
            "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties",
            properties.as_bytes(),
        ),
        ("org/apache/logging/log4j/core/lookup/JndiLookup.class", b"class"),
    ]);
    zipped(&[("WEB-INF/lib/log4j-core-2.14.1.jar", &jar)])
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What is in an image of one layer.
fn scanned(parts: &[Part]) -> ScanResult {
    let blob = archive(parts);
    let mut analysers = Analysers {
        version: "test",
        catalogers: CATALOGERS,
        bytes: &mut [],
        hashes_files: false,
    };
    let digest = Digest::of(Algorithm::Sha256, &blob);
    let report = inspect_layer(
        blob.as_slice(),
        &digest,
        &mut NoSpool,
        &mut analysers,
        &Limits::default(),
    );
    assert!(report.not_scannable.is_empty(), "{:?}", report.not_scannable);
    let image = ImageReport {
        layers: vec![Arc::new(report)],
    };
    let overlay = image.overlay().unwrap();
    ScanResult::of_image(ScanTarget::default(), &image, &overlay, None)
}

/// One advisory for each package at its version, and one that means another release or stream.
fn advisories(result: &ScanResult) -> AdvisoryIndex {
    let os = result.os.as_ref().and_then(Ecosystem::of_os);
    let mut advisories = Vec::new();
    for (number, package) in result.judged_packages().iter().enumerate() {
        let (name, version) = package.advised();
        let (ecosystem, other) = match (package.kind.language_ecosystem(), &os) {
            (Some(ecosystem), _) => (ecosystem.as_str().to_owned(), None),
            (None, Some((ecosystem, Release::Known(release)))) => {
                (format!("{ecosystem}:{release}"), Some(format!("{ecosystem}:1")))
            }
            (None, os) => panic!("{os:?}"),
        };
        let stream = |stream: &str| match package.modularity {
            Some(_) => json!(format!(
                "pkg:rpm/rocky-linux/{name}?rpmmod={name}%3A{stream}%3A1%3Aabc"
            )),
            None => json!(null),
        };
        let mut push = |id: String, ecosystem: &str, purl: serde_json::Value| {
            let mut package = json!({ "ecosystem": ecosystem, "name": name });
            if purl.is_string() {
                package["purl"] = purl;
            }
            let advisory = json!({
                "id": id, "modified": "2024-01-01T00:00:00Z",
                "affected": [{ "package": package, "versions": [version] }],
            });
            advisories.push(Advisory::read(advisory.to_string().as_bytes(), "test").unwrap());
        };
        push(format!("HIT-{number}"), &ecosystem, stream("18"));
        if let Some(other) = other {
            push(format!("RELEASE-{number}"), &other, stream("18"));
        }
        if package.modularity.is_some() {
            push(format!("STREAM-{number}"), &ecosystem, stream("16"));
        }
    }
    AdvisoryIndex::build(advisories).unwrap()
}

fn ask(result: &mut ScanResult, index: &AdvisoryIndex) {
    let knowledge = Knowledge {
        index,
        kev: None,
        epss: None,
    };
    let report = find_vulnerabilities(&result.judged_packages(), result.os.as_ref(), &knowledge);
    result.set_vulnerabilities(report, 1);
}

/// Image and both SBOMs have the same findings, one for each package that is judged; what was found.
fn agree(parts: &[Part]) -> ScanResult {
    let mut image = scanned(parts);
    let index = advisories(&image);
    ask(&mut image, &index);
    assert_eq!(image.vulnerabilities.len(), image.judged_packages().len());
    assert!(
        image
            .vulnerabilities
            .iter()
            .all(|finding| finding.id.starts_with("HIT-"))
    );
    for form in [OutputForm::CycloneDx, OutputForm::Spdx] {
        let text = image.to_form(form, &OutputOptions::default());
        let sbom = Sbom::read(text.as_bytes()).unwrap();
        let mut again = ScanResult::of_sbom(ScanTarget::default(), sbom);
        ask(&mut again, &index);
        assert_eq!(again.os, image.os, "{form}");
        assert_eq!(again.packages, image.packages, "{form}");
        assert_eq!(again.vulnerabilities, image.vulnerabilities, "{form}");
    }
    image
}

#[test]
fn a_debian_image_with_every_language() {
    let image = agree(&debian());
    for kind in [
        PackageKind::Dpkg,
        PackageKind::Java,
        PackageKind::Npm,
        PackageKind::Python,
        PackageKind::Go,
        PackageKind::Rust,
        PackageKind::Gem,
        PackageKind::Composer,
        PackageKind::NuGet,
    ] {
        let is_kind = |placed: &&findings::PlacedPackage| placed.package.kind == kind;
        assert!(image.packages.iter().any(|placed| is_kind(&placed)), "{kind:?}");
    }
    let owned: Vec<_> = image
        .packages
        .iter()
        .filter(|placed| placed.owned_by.is_some())
        .collect();
    assert_eq!((owned.len(), owned[0].package.name.as_str()), (1, "pyyaml"));
    let jar = image
        .packages
        .iter()
        .find(|placed| placed.package.kind == PackageKind::Java)
        .unwrap();
    assert_eq!(jar.full_path(), "app/app.war!WEB-INF/lib/log4j-core-2.14.1.jar");
}

#[test]
fn alpine_edge_is_still_edge_in_its_sbom() {
    let image = agree(&alpine());
    let os = image.os.as_ref().unwrap();
    assert_eq!(
        Ecosystem::of_os(os),
        Some((Ecosystem::Alpine, Release::Known("edge".to_owned())))
    );
}

#[test]
fn packages_of_modules_keep_their_label() {
    for (path, database) in [
        (
            "usr/lib/sysimage/rpm/rpmdb.sqlite",
            sqlite as fn(&[Vec<u8>]) -> Vec<u8>,
        ),
        ("usr/lib/sysimage/rpm/Packages.db", ndb),
        ("var/lib/rpm/Packages", |blobs| berkeley(blobs, false)),
    ] {
        let image = agree(&rocky(path, database));
        let labels: Vec<_> = image
            .packages
            .iter()
            .map(|placed| placed.package.modularity.as_deref())
            .collect();
        assert_eq!(labels, [None, Some("nodejs:18:8090:abc")], "{path}");
    }
}
