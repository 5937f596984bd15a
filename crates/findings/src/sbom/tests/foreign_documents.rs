//! Documents as other tools write them, made by hand after their form.

use serde_json::{Value, json};

use super::*;
use crate::{Package, PackageKind};

fn read(document: &Value) -> Sbom {
    Sbom::read(document.to_string().as_bytes()).unwrap()
}

fn properties(pairs: &[(&str, &str)]) -> Value {
    pairs
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

fn advised(package: &Package) -> (PackageKind, &str, &str, &str, &str) {
    let (source, source_version) = package.advised();
    (
        package.kind,
        &package.name,
        &package.version,
        source,
        source_version,
    )
}

#[test]
fn sources_in_properties_with_an_aquasecurity_prefix() {
    let trivy = |pairs: &[(&str, &str)]| {
        let named: Vec<(String, &str)> = pairs
            .iter()
            .map(|(name, value)| (format!("aquasecurity:trivy:{name}"), *value))
            .collect();
        properties(
            &named
                .iter()
                .map(|(name, value)| (name.as_str(), *value))
                .collect::<Vec<_>>(),
        )
    };
    let sbom = read(&json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6",
        "metadata": { "component": { "type": "container", "name": "app:1", "purl": "pkg:oci/app@sha256:ab" } },
        "components": [
            { "type": "operating-system", "name": "debian", "version": "12.5" },
            { "type": "library", "name": "curl", "version": "7.88.1-10+b1", "purl": "pkg:deb/debian/curl@7.88.1-10%2Bb1?arch=amd64&distro=debian-12.5",
              "properties": trivy(&[("SrcName", "curl"), ("SrcVersion", "7.88.1"), ("SrcRelease", "10"), ("SrcEpoch", "1")]) },
            { "type": "library", "name": "libssl3", "version": "3.1.4-r0", "purl": "pkg:apk/alpine/libssl3@3.1.4-r0?distro=3.18.4",
              "properties": trivy(&[("SrcName", "openssl"), ("SrcVersion", "3.1.4-r0")]) },
            { "type": "library", "name": "nodejs", "version": "1:18-1", "purl": "pkg:rpm/redhat/nodejs@18-1?epoch=1&distro=redhat-8.9",
              "properties": trivy(&[("Modularitylabel", "nodejs:18"), ("SrcName", "nodejs"), ("SrcVersion", "18"), ("SrcRelease", "1"), ("SrcEpoch", "1")]) },
            { "type": "library", "group": "org.apache.logging.log4j", "name": "log4j-core", "version": "2.14.1",
              "purl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1", "properties": trivy(&[("FilePath", "app/a.jar")]),
              "licenses": [{ "license": { "name": "Apache License" } }, { "license": { "id": "MIT" } }] },
        ],
    }));
    let found: Vec<_> = sbom
        .packages
        .iter()
        .map(|placed| advised(&placed.package))
        .collect();
    assert_eq!(
        found,
        [
            (PackageKind::Dpkg, "curl", "7.88.1-10+b1", "curl", "1:7.88.1-10"),
            (PackageKind::Apk, "libssl3", "3.1.4-r0", "openssl", "3.1.4-r0"),
            (PackageKind::Rpm, "nodejs", "1:18-1", "nodejs", "18-1"),
            (
                PackageKind::Java,
                "org.apache.logging.log4j:log4j-core",
                "2.14.1",
                "org.apache.logging.log4j:log4j-core",
                "2.14.1"
            ),
        ]
    );
    assert_eq!(sbom.packages[2].package.modularity.as_deref(), Some("nodejs:18"));
    assert_eq!(sbom.packages[3].path, "app/a.jar");
    assert_eq!(sbom.packages[3].package.licences, ["Apache License", "MIT"]);
    let os = sbom.os.unwrap();
    assert_eq!((os.id.as_str(), os.version.as_str()), ("debian", "12.5"));
    assert_eq!(sbom.subject.as_deref(), Some("app:1"));
    assert!(sbom.unknowns.is_empty(), "{:?}", sbom.unknowns);
}

#[test]
fn upstreams_and_distros_of_syft() {
    let sbom = read(&json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5",
        "components": [
            { "type": "library", "name": "libssl3", "version": "3.0.1-1",
              "purl": "pkg:deb/debian/libssl3@3.0.1-1?arch=amd64&distro=debian-12&upstream=openssl",
              "properties": properties(&[("syft:package:type", "deb"), ("syft:location:0:path", "/var/lib/dpkg/status")]) },
            { "type": "library", "name": "musl-utils", "version": "1.2-r1", "purl": "pkg:apk/alpine/musl-utils@1.2-r1",
              "properties": properties(&[("syft:metadata:originPackage", "musl")]) },
            { "type": "library", "name": "Django", "version": "4.0", "purl": "pkg:pypi/Django@4.0" },
            { "type": "library", "name": "github.com/Azure/go-autorest", "version": "v0.11.1", "purl": "pkg:golang/github.com/azure/go-autorest@v0.11.1" },
            { "type": "operating-system", "name": "debian", "version": "12", "properties": properties(&[
                ("syft:distro:id", "debian"), ("syft:distro:prettyName", "Debian 12"),
                ("syft:distro:versionID", "12"), ("syft:distro:versionCodename", "bookworm")]) },
        ],
    }));
    let found: Vec<_> = sbom
        .packages
        .iter()
        .map(|placed| advised(&placed.package))
        .collect();
    assert_eq!(
        found[0],
        (PackageKind::Dpkg, "libssl3", "3.0.1-1", "openssl", "3.0.1-1")
    );
    assert_eq!(
        found[1],
        (PackageKind::Apk, "musl-utils", "1.2-r1", "musl", "1.2-r1")
    );
    assert_eq!(found[2].1, "django");
    assert_eq!(found[3].1, "github.com/Azure/go-autorest");
    assert_eq!(sbom.packages[0].path, "var/lib/dpkg/status");
    assert_eq!(sbom.os.unwrap().codename, "bookworm");
}

#[test]
fn without_a_component_for_it_the_packages_say_the_system() {
    let os = |purl: &str| {
        let sbom = read(&json!({
            "bomFormat": "CycloneDX", "specVersion": "1.2",
            "components": [
                { "type": "library", "name": "x", "purl": "pkg:apk/alpine/x@1" },
                { "type": "library", "name": "a", "purl": purl },
            ],
        }));
        let os = sbom.os.unwrap();
        (os.id, os.version)
    };
    assert_eq!(
        os("pkg:apk/alpine/a@1?distro=3.18.4"),
        ("alpine".to_owned(), "3.18.4".to_owned())
    );
    assert_eq!(
        os("pkg:apk/alpine/a@1?distro=alpine-3.18.4"),
        ("alpine".to_owned(), "3.18.4".to_owned())
    );
    assert_eq!(os("pkg:npm/a@1"), ("alpine".to_owned(), String::new()));
}

#[test]
fn spdx_of_others() {
    let purl = |purl: &str| json!([{ "referenceCategory": "PACKAGE_MANAGER", "referenceType": "purl", "referenceLocator": purl }]);
    let sbom = read(&json!({
        "spdxVersion": "SPDX-2.2", "SPDXID": "SPDXRef-DOCUMENT",
        "packages": [
            { "name": "app:1", "SPDXID": "SPDXRef-1", "primaryPackagePurpose": "CONTAINER" },
            { "name": "debian", "versionInfo": "12.5", "SPDXID": "SPDXRef-2", "primaryPackagePurpose": "OPERATING-SYSTEM" },
            { "name": "libc6", "versionInfo": "2.36-9", "SPDXID": "SPDXRef-3", "sourceInfo": "built package from: glibc 2.36-8",
              "licenseDeclared": "LicenseRef-a", "externalRefs": purl("pkg:deb/debian/libc6@2.36-9?distro=debian-12.5") },
            { "name": "lodash", "versionInfo": "4.17.20", "SPDXID": "SPDXRef-4", "licenseDeclared": "MIT",
              "externalRefs": purl("pkg:npm/lodash@4.17.20") },
            { "name": "no package", "SPDXID": "SPDXRef-5" },
        ],
        "hasExtractedLicensingInfos": [{ "licenseId": "LicenseRef-a", "extractedText": "GPL-2+ with exceptions" }],
    }));
    assert_eq!(
        advised(&sbom.packages[0].package),
        (PackageKind::Dpkg, "libc6", "2.36-9", "glibc", "2.36-8")
    );
    assert_eq!(sbom.packages[0].package.licences, ["GPL-2+ with exceptions"]);
    assert_eq!(sbom.packages[1].package.licences, ["MIT"]);
    assert_eq!(
        (sbom.packages.len(), sbom.os.unwrap().version.as_str()),
        (2, "12.5")
    );
    assert_eq!(sbom.subject.as_deref(), Some("app:1"));
}
