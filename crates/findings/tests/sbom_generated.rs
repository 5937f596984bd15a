//! The bodies of the fuzz targets for SBOMs on generated documents: seconds, on a stable toolchain.
//!
//! The documents are made of the members and values that readers look at, most in their places. The seed is fixed: what
//! fails once fails again.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "sbom_generated/bodies.rs"]
mod bodies;

use proptest::{collection::vec, prelude::*, sample::select, test_runner::RngSeed};
use serde_json::{Map, Value, json};

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1_500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(3),
        ..ProptestConfig::default()
    }
}

/// Members of a component of `CycloneDX`, properties of all tools, and values for any of them.
const MEMBERS: &[&str] = &[
    "type",
    "group",
    "name",
    "version",
    "purl",
    "licenses",
    "properties",
    "components",
    "other",
];
const NAMES: &[&str] = &[
    "roadbed:kind",
    "roadbed:name",
    "roadbed:version",
    "roadbed:source-name",
    "roadbed:source-version",
    "roadbed:arch",
    "roadbed:licence",
    "roadbed:inner-path",
    "roadbed:root",
    "roadbed:confidence",
    "roadbed:first-version",
    "roadbed:last-version",
    "roadbed:mitigation",
    "roadbed:layer",
    "roadbed:layers",
    "roadbed:layer-0-digest",
    "roadbed:layer-1-created-by",
    "roadbed:os-id",
    "roadbed:unknown",
    "syft:metadata:source",
    "syft:location:0:path",
    "syft:distro:idLike:0",
    "aquasecurity:trivy:SrcName",
    "aquasecurity:trivy:SrcVersion",
    "aquasecurity:trivy:SrcEpoch",
    "aquasecurity:trivy:FilePath",
];
const VALUES: &[&str] = &[
    "",
    "a",
    "0",
    "1",
    "2:3-4",
    "true",
    "low",
    "deb",
    "rpm",
    "npm",
    "MIT",
    "MIT OR Zlib",
    "LicenseRef-0",
    "NOASSERTION",
    "operating-system",
    "library",
    "container",
    "redhat",
    "/a/b",
    "a=b",
    "\u{1b}[0m",
    "\u{202e}",
    "pkg:deb/debian/a@1?distro=debian-12&upstream=b",
    "pkg:rpm/redhat/a@1-2?epoch=1",
    "pkg:npm/%40a/b@1",
    "pkg:maven/a/b@1",
    "pkg:npm/%1b",
    "pkg:github/a/b@1",
    "pkg:",
];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        20 => select(VALUES).prop_map(|text| json!(text)),
        1 => Just(json!(null)),
        1 => Just(json!(7)),
        1 => Just(json!([{}])),
    ]
}

/// Of which most are package URLs.
fn purl() -> impl Strategy<Value = &'static str> {
    let purls: Vec<&str> = VALUES
        .iter()
        .copied()
        .filter(|value| value.starts_with("pkg:"))
        .collect();
    prop_oneof![3 => select(purls), 1 => select(VALUES)]
}

fn properties() -> impl Strategy<Value = Value> {
    let property = (select(NAMES), value()).prop_map(|(name, value)| json!({ "name": name, "value": value }));
    vec(property, 0..5).prop_map(Value::Array)
}

fn component() -> impl Strategy<Value = Value> {
    let licence = select(&["id", "name"][..]);
    let licences = vec((licence, select(VALUES)), 0..3).prop_map(|all| {
        all.into_iter()
            .map(|(key, text)| json!({ "license": { key: text } }))
            .collect::<Value>()
    });
    let odd = vec((select(MEMBERS), value()), 0..2);
    (select(VALUES), value(), purl(), licences, properties(), odd).prop_map(
        |(name, version, purl, licences, properties, odd)| {
            let mut component = json!({
                "type": "library", "name": name, "version": version, "purl": purl,
                "licenses": licences, "properties": properties,
            });
            for (member, value) in odd {
                if !matches!(member, "licenses" | "properties" | "components") {
                    component[member] = value;
                }
            }
            component
        },
    )
}

fn cyclonedx() -> impl Strategy<Value = Value> {
    (component(), vec((component(), component()), 1..4)).prop_map(|(about, pairs)| {
        let nested = pairs.into_iter().map(|(mut outer, inner)| {
            outer["components"] = json!([inner]);
            outer
        });
        json!({
            "bomFormat": "CycloneDX", "specVersion": "1.4",
            "metadata": { "component": about }, "components": nested.collect::<Value>(),
        })
    })
}

fn spdx() -> impl Strategy<Value = Value> {
    let odd = select(&["CONTAINER", "OPERATING-SYSTEM", "OPERATING_SYSTEM"][..]);
    let purpose = prop_oneof![3 => Just("LIBRARY"), 1 => odd];
    let comment = (select(NAMES), select(VALUES)).prop_map(|(name, value)| format!("{name}={value}"));
    let package = (component(), purpose, vec(comment, 0..5)).prop_map(|(component, purpose, comments)| {
        let annotations: Value = comments
            .iter()
            .map(|comment| json!({ "comment": comment }))
            .collect();
        let mut package = Map::new();
        package.insert("name".to_owned(), component["name"].clone());
        package.insert("versionInfo".to_owned(), component["version"].clone());
        package.insert("licenseDeclared".to_owned(), component["version"].clone());
        package.insert("sourceInfo".to_owned(), json!("built package from: a 1"));
        package.insert("primaryPackagePurpose".to_owned(), json!(purpose));
        package.insert(
            "externalRefs".to_owned(),
            json!([{ "referenceType": "purl", "referenceLocator": component["purl"] }]),
        );
        package.insert("annotations".to_owned(), annotations);
        Value::Object(package)
    });
    vec(package, 1..5).prop_map(|packages| {
        json!({
            "spdxVersion": "SPDX-2.3", "packages": packages,
            "hasExtractedLicensingInfos": [{ "licenseId": "LicenseRef-0", "extractedText": "a text" }],
        })
    })
}

/// The bytes, now and then with one of them replaced.
fn damaged(document: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<u8>> {
    (document, any::<prop::sample::Index>(), any::<u8>(), 0..4_u8).prop_map(
        |(document, place, byte, dice)| {
            let mut bytes = serde_json::to_vec(&document).unwrap();
            if dice == 0 {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_cyclonedx(data in damaged(cyclonedx())) {
        bodies::cyclonedx(&data);
    }

    #[test]
    fn any_spdx(data in damaged(spdx())) {
        bodies::spdx(&data);
    }
}

#[test]
fn seeds_are_accepted() {
    for (name, seed) in [
        (
            "cyclonedx",
            include_bytes!("../../../fuzz/seeds/findings_cyclonedx/0").as_slice(),
        ),
        ("spdx", include_bytes!("../../../fuzz/seeds/findings_spdx/0")),
    ] {
        let sbom = findings::sbom::Sbom::read(seed).unwrap();
        assert_eq!(sbom.packages.len(), 1, "{name}");
        bodies::cyclonedx(seed);
        bodies::spdx(seed);
    }
}

/// A property over documents that are all refused, or empty, would prove little.
#[test]
fn enough_documents_have_packages() {
    fn share(strategy: impl Strategy<Value = Vec<u8>>) -> usize {
        use proptest::strategy::ValueTree as _;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        (0..500)
            .map(|_| strategy.new_tree(&mut runner).unwrap().current())
            .filter_map(|document| findings::sbom::Sbom::read(&document).ok())
            .filter(|sbom| !sbom.packages.is_empty())
            .count()
    }
    let (cyclonedx, spdx) = (share(damaged(cyclonedx())), share(damaged(spdx())));
    assert!(cyclonedx > 100, "{cyclonedx}");
    assert!(spdx > 100, "{spdx}");
}
