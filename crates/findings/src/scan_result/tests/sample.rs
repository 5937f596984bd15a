//! An image with packages of all kinds, and advisories about some of them. Shared with the tests outside of the crate.

use std::sync::Arc;

use findings::{
    ByteFinding, ByteFindingKind, Compression, Confidence, DecisionText, FoundUnit, ImageConfig, ImageReport,
    LayerReport, Listing, OsRelease, Package, PackageKind, SCHEMA, ScanResult, ScanTarget, Severity, Source,
    Step, Unit, UnitKind,
    advisory::{Advisory, AdvisoryIndex, Epss, Kev, Knowledge, find_vulnerabilities},
};
use oci::{Algorithm, Digest};
use serde_json::{Value, json};

/// The image, asked about.
pub(crate) fn scanned() -> ScanResult {
    let mut result = result(&|text| text.to_owned());
    ask(&mut result);
    result
}

/// The image with a text put into every place that a stranger fills, asked about.
pub(crate) fn hostile(text: &str) -> ScanResult {
    let mut result = result(&|name| format!("{name}{text}"));
    ask(&mut result);
    let mut plain = scanned();
    for finding in &mut plain.vulnerabilities {
        finding.title = format!("{}{text}", finding.title).into();
    }
    result.vulnerabilities = plain.vulnerabilities;
    result
}

/// Asks the advisories of [`index`].
pub(crate) fn ask(result: &mut ScanResult) {
    let (index, kev, epss) = (index(), kev(), epss());
    let knowledge = Knowledge {
        index: &index,
        kev: Some(&kev),
        epss: Some(&epss),
    };
    let report = find_vulnerabilities(&result.judged_packages(), result.os.as_ref(), &knowledge);
    result.set_vulnerabilities(report, 7);
}

fn digest(text: &str) -> Digest {
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

fn result(stranger: &dyn Fn(&str) -> String) -> ScanResult {
    let image = ImageReport {
        layers: vec![Arc::new(base(stranger)), Arc::new(top(stranger))],
    };
    let step = |created_by: &str| Step {
        created_by: stranger(created_by),
        is_empty: false,
    };
    let config = ImageConfig {
        history: vec![
            step("ADD rootfs.tar / # buildkit"),
            step("COPY app /app # buildkit"),
        ],
        ..ImageConfig::default()
    };
    let target = ScanTarget {
        name: "registry.example/team/app:1.0".to_owned(),
        digest: Some(digest("manifest")),
        platform: Some("linux/amd64".to_owned()),
    };
    let overlay = image.overlay().unwrap();
    let mut result = ScanResult::of_image(target, &image, &overlay, Some(&config));
    let mut root = file(
        ByteFindingKind::Configuration,
        "config.root-user",
        "The image runs as root",
        "",
    );
    root.fix = Some("create a user in the image and name it with USER".to_owned());
    result.add_configuration([root]);
    result.unknowns = vec![stranger("layer 1: layer.ratio was exceeded in app/huge.bin")];
    result.decision = Some(DecisionText {
        outcome: "refuse".to_owned(),
        reasons: vec![stranger("no-critical: CVE-2022-0001 in libssl3")],
    });
    result
}

fn base(stranger: &dyn Fn(&str) -> String) -> LayerReport {
    let mut glibc = with_source(PackageKind::Dpkg, "libc6", "2.36-9", "glibc", "2.36-9");
    glibc.licences = vec!["GPL-2+".to_owned(), stranger("LGPL-2.1-or-later")];
    let mut openssl = with_source(PackageKind::Dpkg, "libssl3", "3.0.1-1+b1", "openssl", "3.0.1-1");
    openssl.licences = vec!["Apache-2.0".to_owned()];
    let busybox = with_source(
        PackageKind::Dpkg,
        "busybox",
        "1:1.35.0-4",
        "busybox",
        "1:1.35.0-4",
    );
    let headers = with_source(PackageKind::Dpkg, "linux-libc-dev", "6.1.1-1", "linux", "6.1.1-1");
    let odd = with_source(
        PackageKind::Dpkg,
        &stranger("odd"),
        &stranger("1"),
        &stranger("odd-src"),
        "",
    );
    let packages = vec![glibc, openssl, busybox, headers, odd];
    let os = OsRelease {
        id: "debian".to_owned(),
        version: "12".to_owned(),
        codename: "bookworm".to_owned(),
        name: stranger("Debian GNU/Linux 12 (bookworm)"),
        like: vec![stranger("like")],
    };
    let python = Package::new(PackageKind::Python, "pyyaml", "5.1");
    let mut owned = found(
        "usr/lib/python3/dist-packages/PyYAML-5.1.egg-info",
        UnitKind::PythonInstalled,
        vec![python],
    );
    owned.owned_by = Some(stranger("dpkg python3-yaml"));
    let mut report = layer("base");
    report.units = vec![
        FoundUnit {
            path: "etc/os-release".to_owned(),
            unit: Unit::of_os(os),
            owned_by: None,
        },
        owned,
        found("var/lib/dpkg/status", UnitKind::DpkgStatus, packages),
    ];
    let mut key = file(
        ByteFindingKind::Secret,
        "private-key",
        "Private key",
        &stranger("root/.ssh/id_rsa"),
    );
    key.severity = Severity::High;
    key.line = Some(1);
    key.excerpt = Some(stranger("-----BEGIN…"));
    key.fingerprint = Some("0a1b".to_owned());
    let mut example = key.clone();
    example.is_example = true;
    "usr/share/doc/key.pem".clone_into(&mut example.path);
    report.findings = vec![key, example];
    report
}

fn top(stranger: &dyn Fn(&str) -> String) -> LayerReport {
    let mut report = layer("top");
    report.units = vec![
        found(&stranger("app/app.war"), UnitKind::JavaArchive, java(stranger)),
        found("app/bin/tool", UnitKind::GoBinary, go()),
        found("app/bin/crab", UnitKind::RustBinary, rust()),
        one(
            "app/composer.lock",
            UnitKind::Composer,
            PackageKind::Composer,
            "Laravel/Framework",
            "10.0.0",
        ),
        one(
            "app/app.deps.json",
            UnitKind::DotNet,
            PackageKind::NuGet,
            "Newtonsoft.Json",
            "12.0.1",
        ),
        one(
            "app/node_modules/a/package.json",
            UnitKind::NodeModule,
            PackageKind::Npm,
            "@scope/A",
            "1.2.3",
        ),
        one(
            "usr/lib/python3.11/a.dist-info/METADATA",
            UnitKind::PythonInstalled,
            PackageKind::Python,
            "typing-extensions",
            "4.0.0",
        ),
        one(
            "usr/lib/ruby/specifications/rack.gemspec",
            UnitKind::GemSpec,
            PackageKind::Gem,
            "rack",
            "2.0.0",
        ),
    ];
    let mut miner = file(ByteFindingKind::Malware, "miner", "Miner", &stranger("tmp/x"));
    miner.severity = Severity::Critical;
    miner.inner_path = vec![stranger("a.zip")];
    report.findings = vec![miner];
    report
}

fn java(stranger: &dyn Fn(&str) -> String) -> Vec<Package> {
    let mut log4j = Package::new(PackageKind::Java, "org.apache.logging.log4j:log4j-core", "2.14.1");
    log4j.inner_path = vec!["WEB-INF/lib/log4j-core-2.14.1.jar".to_owned()];
    log4j.mitigations = vec!["JndiLookup.class removed".to_owned()];
    let mut guessed = Package::new(PackageKind::Java, "guessed", "1.0");
    guessed.confidence = Confidence::Low;
    guessed.version_range = Some(("1.0".to_owned(), "1.4".to_owned()));
    guessed.inner_path = vec![stranger("WEB-INF/lib/g.jar"), "inner.jar".to_owned()];
    let mut licensed = Package::new(PackageKind::Java, "com.example:Lib", "3");
    licensed.licences = vec!["MIT OR Apache-2.0".to_owned()];
    vec![log4j, guessed, licensed]
}

fn go() -> Vec<Package> {
    let mut root = Package::new(PackageKind::Go, "example.com/Tool", "");
    root.is_root = true;
    vec![
        root,
        Package::new(PackageKind::Go, "github.com/Azure/go-autorest", "v0.11.1"),
        Package::new(PackageKind::Go, "stdlib", "1.21.3"),
    ]
}

fn rust() -> Vec<Package> {
    let mut root = Package::new(PackageKind::Rust, "crab", "0.1.0");
    root.is_root = true;
    vec![root, Package::new(PackageKind::Rust, "time", "0.1.0")]
}

fn with_source(kind: PackageKind, name: &str, version: &str, source: &str, source_version: &str) -> Package {
    let mut package = Package::new(kind, name, version);
    package.arch = Some("amd64".to_owned());
    package.source = Some(Source {
        name: source.to_owned(),
        version: source_version.to_owned(),
    });
    package
}

fn one(path: &str, unit: UnitKind, kind: PackageKind, name: &str, version: &str) -> FoundUnit {
    found(path, unit, vec![Package::new(kind, name, version)])
}

fn found(path: &str, kind: UnitKind, packages: Vec<Package>) -> FoundUnit {
    FoundUnit {
        path: path.to_owned(),
        unit: Unit::of_packages(kind, packages),
        owned_by: None,
    }
}

fn file(kind: ByteFindingKind, rule: &str, title: &str, path: &str) -> ByteFinding {
    ByteFinding {
        kind,
        rule: rule.to_owned(),
        title: title.to_owned(),
        severity: Severity::Medium,
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

fn layer(name: &str) -> LayerReport {
    LayerReport {
        schema: SCHEMA,
        analysers: "test".to_owned(),
        blob: digest(name),
        diff_id: Some(digest(&format!("{name}, uncompressed"))),
        compression: Compression::Gzip,
        bytes: 0,
        entries: 0,
        config: None,
        units: Vec::new(),
        whiteouts: Vec::new(),
        opaque: Vec::new(),
        findings: Vec::new(),
        oddities: Vec::new(),
        not_scannable: Vec::new(),
        listing: Listing::of(&[]),
        tables: None,
        rebase: None,
        chart: None,
    }
}

/// Id, CVE, ecosystem, name, first version without it and rating, of one package of nearly every kind.
const ADVISORIES: [[&str; 6]; 16] = [
    [
        "DEBIAN-1",
        "CVE-2022-0001",
        "Debian:12",
        "openssl",
        "3.0.2-1",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    ],
    [
        "DEBIAN-2",
        "CVE-2022-0002",
        "Debian:12",
        "openssl",
        "3.0.2-1",
        "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:N/A:N",
    ],
    [
        "DEBIAN-3",
        "CVE-2022-0003",
        "Debian:12",
        "busybox",
        "1:1.36-1",
        "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:N",
    ],
    [
        "DEBIAN-4",
        "CVE-2022-0004",
        "Debian:12",
        "linux",
        "6.2-1",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    ],
    [
        "DEBIAN-5",
        "CVE-2022-0005",
        "Debian:12",
        "glibc",
        "",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L",
    ],
    [
        "GHSA-1",
        "CVE-2021-44228",
        "Maven",
        "org.apache.logging.log4j:log4j-core",
        "2.15.0",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H",
    ],
    [
        "GHSA-2",
        "CVE-2021-45105",
        "Maven",
        "org.apache.logging.log4j:log4j-core",
        "2.17.0",
        "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H",
    ],
    ["GHSA-3", "CVE-2022-0013", "Maven", "com.example:Lib", "4", ""],
    [
        "GO-1",
        "CVE-2022-0021",
        "Go",
        "github.com/Azure/go-autorest",
        "0.12.0",
        "",
    ],
    ["GO-2", "CVE-2022-0022", "Go", "stdlib", "1.21.4", ""],
    ["RUSTSEC-1", "CVE-2022-0031", "crates.io", "time", "0.2.0", ""],
    [
        "GHSA-4",
        "CVE-2022-0041",
        "Packagist",
        "laravel/framework",
        "10.1.0",
        "",
    ],
    [
        "GHSA-5",
        "CVE-2022-0051",
        "NuGet",
        "Newtonsoft.Json",
        "13.0.1",
        "",
    ],
    ["GHSA-6", "CVE-2022-0061", "npm", "@scope/A", "1.3.0", ""],
    [
        "PYSEC-1",
        "CVE-2022-0071",
        "PyPI",
        "typing-extensions",
        "4.1.0",
        "",
    ],
    ["PYSEC-2", "CVE-2022-0072", "PyPI", "pyyaml", "6.0", ""],
];

fn index() -> AdvisoryIndex {
    AdvisoryIndex::build(ADVISORIES.map(advisory)).unwrap()
}

fn advisory([id, cve, ecosystem, name, fixed, cvss]: [&str; 6]) -> Advisory {
    let mut events = vec![json!({ "introduced": "0" })];
    if !fixed.is_empty() {
        events.push(json!({ "fixed": fixed }));
    }
    let severity: Vec<Value> = match cvss {
        "" => Vec::new(),
        cvss => vec![json!({ "type": "CVSS_V3", "score": cvss })],
    };
    let document = json!({
        "id": id,
        "modified": "2024-01-01T00:00:00Z",
        "aliases": [cve],
        "summary": format!("A flaw in {name}"),
        "severity": severity,
        "affected": [{
            "package": { "ecosystem": ecosystem, "name": name },
            "ranges": [{ "type": "ECOSYSTEM", "events": events }],
        }],
    });
    Advisory::read(document.to_string().as_bytes(), "Feed").unwrap()
}

fn kev() -> Kev {
    let document = json!({
        "catalogVersion": "1",
        "vulnerabilities": [{ "cveID": "CVE-2022-0003", "dateAdded": "2023-01-01" }],
    });
    Kev::read(document.to_string().as_bytes()).unwrap()
}

fn epss() -> Epss {
    Epss::read(b"#model_version:v1,score_date:2024-01-01\ncve,epss,percentile\nCVE-2022-0071,0.6,0.9\n")
        .unwrap()
}
