//! Distributions, with documents as OSV publishes them and systems as their images say what they are.

use serde_json::{Value, json};

use super::*;
use crate::{PackageKind, Source, advisory::Advisory};

/// What an advisory says of a package: ecosystem, package URL, name and the version of the fix, if there is one.
type Affected = (&'static str, &'static str, &'static str, Option<&'static str>);

fn document(id: &str, upstream: &str, affected: &[Affected]) -> Value {
    let affected = affected.iter().map(|(ecosystem, purl, name, fixed)| {
        let mut events = vec![json!({ "introduced": "0" })];
        events.extend(fixed.map(|fixed| json!({ "fixed": fixed })));
        json!({
            "package": { "ecosystem": ecosystem, "name": name, "purl": purl },
            "ranges": [{ "type": "ECOSYSTEM", "events": events }],
            "ecosystem_specific": { "binaries": [{ "binary_name": "libx", "binary_version": "1" }] },
        })
    });
    json!({
        "schema_version": "1.7.0", "id": id, "modified": "2026-03-18T11:30:33Z", "published": "2025-07-01T10:06:01Z",
        "upstream": [upstream], "summary": "a security update", "affected": affected.collect::<Vec<_>>(),
    })
}

/// Id, CVE and what they say.
const DOCUMENTS: &[(&str, &str, &[Affected])] = &[
    (
        "UBUNTU-CVE-2022-1292",
        "CVE-2022-1292",
        &[
            (
                "Ubuntu:Pro:14.04:LTS",
                "pkg:deb/ubuntu/openssl?arch=source&distro=esm-infra-legacy/trusty",
                "openssl",
                Some("1.0.1f-1ubuntu2.27+esm5"),
            ),
            (
                "Ubuntu:22.04:LTS",
                "pkg:deb/ubuntu/openssl?arch=source&distro=jammy",
                "openssl",
                Some("3.0.2-0ubuntu1.1"),
            ),
            (
                "Ubuntu:Pro:FIPS-updates:20.04:LTS",
                "pkg:deb/ubuntu/openssl?arch=source&distro=fips-updates/focal",
                "openssl",
                Some("1.1.1f-1ubuntu2.fips.13"),
            ),
            (
                "Ubuntu:25.04",
                "pkg:deb/ubuntu/openssl?arch=source&distro=plucky",
                "openssl",
                Some("3.4.1-1ubuntu1"),
            ),
        ],
    ),
    // Everybody gets one fix, who has a contract another, or the only one.
    (
        "UBUNTU-CVE-2024-0001",
        "CVE-2024-0001",
        &[
            (
                "Ubuntu:Pro:22.04:LTS",
                "pkg:deb/ubuntu/apache2?arch=source&distro=esm-infra/jammy",
                "apache2",
                Some("2.4.52-1ubuntu4.7+esm1"),
            ),
            (
                "Ubuntu:22.04:LTS",
                "pkg:deb/ubuntu/apache2?arch=source&distro=jammy",
                "apache2",
                Some("2.4.52-1ubuntu4.7"),
            ),
            (
                "Ubuntu:Pro:22.04:LTS",
                "pkg:deb/ubuntu/jhead?arch=source&distro=esm-apps/jammy",
                "jhead",
                Some("1:3.06.0.1-2ubuntu0.22.04.1+esm1"),
            ),
            (
                "Ubuntu:22.04:LTS",
                "pkg:deb/ubuntu/jhead?arch=source&distro=jammy",
                "jhead",
                None,
            ),
        ],
    ),
    (
        "CGA-2h4c-9pxm-6h5v",
        "CVE-2025-32464",
        &[
            (
                "Wolfi",
                "pkg:apk/wolfi/haproxy-3.1?arch=x86_64",
                "haproxy-3.1",
                Some("3.1.7-r0"),
            ),
            (
                "Chainguard",
                "pkg:apk/chainguard/haproxy-3.1?arch=x86_64",
                "haproxy-3.1",
                Some("3.1.8-r0"),
            ),
        ],
    ),
    (
        "ALPINE-CVE-2023-5363",
        "CVE-2023-5363",
        &[
            (
                "Alpine:v3.17",
                "pkg:apk/alpine/openssl?arch=source",
                "openssl",
                Some("3.0.12-r0"),
            ),
            (
                "Alpine:v3.18",
                "pkg:apk/alpine/openssl?arch=source",
                "openssl",
                Some("3.1.4-r0"),
            ),
        ],
    ),
    (
        "RLSA-2026:1234",
        "CVE-2026-49825",
        &[(
            "Rocky Linux:9",
            "pkg:rpm/rocky-linux/python3.12-lxml?distro=rocky-linux-9&epoch=0",
            "python3.12-lxml",
            Some("0:4.9.3-2.el9_8.1"),
        )],
    ),
    (
        "ALSA-2023:7877",
        "CVE-2023-3446",
        &[
            ("AlmaLinux:8", "", "openssl-libs", Some("1:1.1.1k-12.el8_9")),
            ("AlmaLinux:8", "", "openssl", Some("1:1.1.1k-12.el8_9")),
        ],
    ),
    (
        "RHSA-2025:9978",
        "CVE-2025-32462",
        &[
            (
                "Red Hat:enterprise_linux:9::baseos",
                "pkg:rpm/redhat/sudo",
                "sudo",
                Some("0:1.9.5p2-10.el9_6.1"),
            ),
            (
                "Red Hat:rhel_eus:9.4::baseos",
                "pkg:rpm/redhat/sudo",
                "sudo",
                Some("0:1.9.5p2-10.el9_4.1"),
            ),
        ],
    ),
    (
        "SUSE-SU-2023:4518-1",
        "CVE-2023-5678",
        &[
            (
                "SUSE:Linux Enterprise Module for Basesystem 15 SP5",
                "pkg:rpm/suse/openssl-3&distro=SUSE%20Linux",
                "openssl-3",
                Some("3.0.8-150500.5.20.1"),
            ),
            (
                "SUSE:Linux Enterprise Server 12 SP5",
                "pkg:rpm/suse/openssl-1_1",
                "openssl-1_1",
                Some("1.1.1d-2.101.1"),
            ),
            (
                "openSUSE:Leap 15.5",
                "pkg:rpm/opensuse/openssl-3&distro=openSUSE%20Leap%2015.5",
                "openssl-3",
                Some("3.0.8-150500.5.20.1"),
            ),
        ],
    ),
    (
        "openSUSE-SU-2024:13447-1",
        "CVE-2023-5678",
        &[(
            "openSUSE:Tumbleweed",
            "pkg:rpm/opensuse/openssl-3&distro=openSUSE%20Tumbleweed",
            "openssl-3",
            Some("3.1.4-3.1"),
        )],
    ),
];

/// `ID`, `VERSION_ID` and `PRETTY_NAME` of its `os-release`.
type System = (&'static str, &'static str, &'static str);

const JAMMY: System = ("ubuntu", "22.04", "Ubuntu 22.04.4 LTS");
const TRUSTY: System = ("ubuntu", "14.04", "Ubuntu 14.04.6 LTS");
const FOCAL: System = ("ubuntu", "20.04", "Ubuntu 20.04.6 LTS");
const PLUCKY: System = ("ubuntu", "25.04", "Ubuntu 25.04");
const ROCKY_9: System = ("rocky", "9.4", "Rocky Linux 9.4 (Blue Onyx)");
const ROCKY_8: System = ("rocky", "8.9", "Rocky Linux 8.9 (Green Obsidian)");
const ALMA_8: System = ("almalinux", "8.9", "AlmaLinux 8.9 (Midnight Oncilla)");
const ALMA_9: System = ("almalinux", "9.3", "AlmaLinux 9.3 (Shamrock Pampas Cat)");
const RHEL_9: System = ("rhel", "9.6", "Red Hat Enterprise Linux 9.6 (Plow)");
const RHEL_8: System = ("rhel", "8.10", "Red Hat Enterprise Linux 8.10 (Ootpa)");
const SLES_15_5: System = ("sles", "15.5", "SUSE Linux Enterprise Server 15 SP5");
const SLES_15_4: System = ("sles", "15.4", "SUSE Linux Enterprise Server 15 SP4");
const SLES_12_5: System = ("sles", "12.5", "SUSE Linux Enterprise Server 12 SP5");
const LEAP: System = ("opensuse-leap", "15.5", "openSUSE Leap 15.5");
const LEAP_NEXT: System = ("opensuse-leap", "15.6", "openSUSE Leap 15.6");
const TUMBLEWEED: System = ("opensuse-tumbleweed", "20231120", "openSUSE Tumbleweed");
const WOLFI: System = ("wolfi", "20230201", "Wolfi");
const CHAINGUARD: System = ("chainguard", "20230214", "Chainguard");
const ALPINE_18: System = ("alpine", "3.18.4", "Alpine Linux v3.18");
const ALPINE_19: System = ("alpine", "3.19.0", "Alpine Linux v3.19");

const DEB: PackageKind = PackageKind::Dpkg;
const RPM: PackageKind = PackageKind::Rpm;
const APK: PackageKind = PackageKind::Apk;

const UBUNTU: &str = "UBUNTU-CVE-2022-1292";
const CONTRACT: &str = "UBUNTU-CVE-2024-0001";
const ROCKY: &str = "RLSA-2026:1234";
const ALMA: &str = "ALSA-2023:7877";
const RED_HAT: &str = "RHSA-2025:9978";
const SUSE: &str = "SUSE-SU-2023:4518-1";
const ROLLING: &str = "openSUSE-SU-2024:13447-1";
const CGA: &str = "CGA-2h4c-9pxm-6h5v";
const ALPINE: &str = "ALPINE-CVE-2023-5363";

/// System, package, source, version and the advisory that is meant for it.
type Row = (
    System,
    PackageKind,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

const ROWS: &[Row] = &[
    (JAMMY, DEB, "libssl3", "openssl", "3.0.2-0ubuntu1", Some(UBUNTU)),
    (JAMMY, DEB, "libssl3", "openssl", "3.0.2-0ubuntu1.1", None),
    (JAMMY, DEB, "openssl", "openssl-extra", "3.0.2-0ubuntu1", None),
    (
        JAMMY,
        DEB,
        "apache2",
        "apache2",
        "2.4.52-1ubuntu4.6",
        Some(CONTRACT),
    ),
    (JAMMY, DEB, "apache2", "apache2", "2.4.52-1ubuntu4.7", None),
    (
        JAMMY,
        DEB,
        "apache2",
        "apache2",
        "2.4.52-1ubuntu4.6+esm2",
        Some(CONTRACT),
    ),
    (JAMMY, DEB, "jhead", "jhead", "1:3.06.0.1-2", Some(CONTRACT)),
    (
        JAMMY,
        DEB,
        "jhead",
        "jhead",
        "1:3.06.0.1-2ubuntu0.22.04.1+esm1",
        None,
    ),
    (
        TRUSTY,
        DEB,
        "libssl1.0.0",
        "openssl",
        "1.0.1f-1ubuntu2.27+esm4",
        Some(UBUNTU),
    ),
    (
        TRUSTY,
        DEB,
        "libssl1.0.0",
        "openssl",
        "1.0.1f-1ubuntu2.27+esm5",
        None,
    ),
    // Certified builds have fixes of their own.
    (FOCAL, DEB, "libssl1.1", "openssl", "1.1.1f-1ubuntu2", None),
    (
        PLUCKY,
        DEB,
        "libssl3t64",
        "openssl",
        "3.4.0-1ubuntu1",
        Some(UBUNTU),
    ),
    (
        ROCKY_9,
        RPM,
        "python3.12-lxml",
        "python3.12-lxml",
        "4.9.3-2.el9",
        Some(ROCKY),
    ),
    (
        ROCKY_9,
        RPM,
        "python3.12-lxml",
        "python3.12-lxml",
        "4.9.3-2.el9_8.1",
        None,
    ),
    (
        ROCKY_8,
        RPM,
        "python3.12-lxml",
        "python3.12-lxml",
        "4.9.3-1.el8",
        None,
    ),
    (
        ALMA_8,
        RPM,
        "openssl-libs",
        "openssl",
        "1:1.1.1k-9.el8_7",
        Some(ALMA),
    ),
    (ALMA_8, RPM, "openssl-libs", "openssl", "1:1.1.1k-12.el8_9", None),
    // By the name of the package itself: its source is in the list too.
    (ALMA_8, RPM, "openssl-perl", "openssl", "1:1.1.1k-9.el8_7", None),
    (ALMA_9, RPM, "openssl-libs", "openssl", "1:1.1.1k-9.el8_7", None),
    (RHEL_9, RPM, "sudo", "sudo", "1.9.5p2-10.el9_3", Some(RED_HAT)),
    (RHEL_9, RPM, "sudo", "sudo", "1.9.5p2-10.el9_6.1", None),
    (RHEL_8, RPM, "sudo", "sudo", "1.8.29-10.el8", None),
    (
        SLES_15_5,
        RPM,
        "libopenssl3",
        "openssl-3",
        "3.0.8-150500.5.8.1",
        Some(SUSE),
    ),
    (
        SLES_15_5,
        RPM,
        "libopenssl3",
        "openssl-3",
        "3.0.8-150500.5.20.1",
        None,
    ),
    (
        SLES_15_4,
        RPM,
        "libopenssl3",
        "openssl-3",
        "3.0.8-150400.4.8.1",
        None,
    ),
    (
        SLES_12_5,
        RPM,
        "libopenssl1_1",
        "openssl-1_1",
        "1.1.1d-2.95.1",
        Some(SUSE),
    ),
    (
        LEAP,
        RPM,
        "libopenssl3",
        "openssl-3",
        "3.0.8-150500.5.8.1",
        Some(SUSE),
    ),
    (LEAP, RPM, "libopenssl3", "openssl-3", "3.0.8-150500.5.20.1", None),
    (
        LEAP_NEXT,
        RPM,
        "libopenssl3",
        "openssl-3",
        "3.0.8-150500.5.8.1",
        None,
    ),
    (
        TUMBLEWEED,
        RPM,
        "libopenssl3",
        "openssl-3",
        "3.1.4-2.1",
        Some(ROLLING),
    ),
    (TUMBLEWEED, RPM, "libopenssl3", "openssl-3", "3.1.4-3.1", None),
    (WOLFI, APK, "haproxy-3.1", "haproxy-3.1", "3.1.6-r1", Some(CGA)),
    (WOLFI, APK, "haproxy-3.1", "haproxy-3.1", "3.1.7-r0", None),
    (
        CHAINGUARD,
        APK,
        "haproxy-3.1",
        "haproxy-3.1",
        "3.1.7-r0",
        Some(CGA),
    ),
    (CHAINGUARD, APK, "haproxy-3.1", "haproxy-3.1", "3.1.8-r0", None),
    (ALPINE_18, APK, "libcrypto3", "openssl", "3.1.3-r0", Some(ALPINE)),
    (ALPINE_18, APK, "libcrypto3", "openssl", "3.1.4-r0", None),
    (ALPINE_19, APK, "libcrypto3", "openssl", "3.1.3-r0", None),
];

fn found(
    system: System,
    kind: PackageKind,
    name: &str,
    source: &str,
    version: &str,
    index: &AdvisoryIndex,
) -> Vec<String> {
    let os = OsRelease {
        id: system.0.to_owned(),
        version: system.1.to_owned(),
        name: system.2.to_owned(),
        ..OsRelease::default()
    };
    let package = Package {
        source: Some(Source {
            name: source.to_owned(),
            version: version.to_owned(),
        }),
        ..Package::new(kind, name, version)
    };
    let found = match_packages(&[package], Some(&os), index);
    found
        .matches
        .iter()
        .map(|found| found.advisory.to_string())
        .collect()
}

#[test]
fn documents_of_each_distribution_hit_what_they_mean_and_nothing_else() {
    let advisories = DOCUMENTS.iter().map(|(id, upstream, affected)| {
        let document = document(id, upstream, affected).to_string();
        Advisory::read(document.as_bytes(), "").unwrap()
    });
    let index = AdvisoryIndex::build(advisories).unwrap();
    assert!(index.stats().unknown_ecosystems.is_empty(), "{:?}", index.stats());
    for (system, kind, name, source, version, hit) in ROWS {
        let expected: Vec<&str> = hit.iter().copied().collect();
        assert_eq!(
            found(*system, *kind, name, source, version, &index),
            expected,
            "{system:?} {name} {version}"
        );
    }
}
