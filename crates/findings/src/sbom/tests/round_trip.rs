//! Image and SBOM get the same answer.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{Confidence, Package, PackageKind, ScanTarget, Source};

#[test]
fn an_sbom_says_what_the_image_does() {
    for text in ["", "\u{1b}[31m\u{202e}\0\"<&>'\n", "#?@%&=/!:"] {
        let result = sample::hostile(text);
        for form in FORMS {
            let sbom = Sbom::read(written(form, &result).as_bytes()).unwrap();
            assert_eq!(sbom.packages, packages_of(&result));
            assert_eq!(sbom.os, result.os);
            assert_eq!(sbom.layers, result.layers);
            assert_eq!(sbom.subject.as_ref(), Some(&result.target.name));
            assert_eq!(sbom.unknowns, result.unknowns);
        }
    }
}

#[test]
fn advisories_say_the_same_of_an_sbom_and_of_the_image() {
    let result = sample::scanned();
    assert!(
        result.vulnerabilities.len() >= 14,
        "{}",
        result.vulnerabilities.len()
    );
    for form in FORMS {
        let sbom = Sbom::read(written(form, &result).as_bytes()).unwrap();
        let mut again = ScanResult::of_sbom(ScanTarget::default(), sbom);
        sample::ask(&mut again);
        assert_eq!(again.vulnerabilities, result.vulnerabilities);
        assert_eq!(again.packages, result.packages);
    }
}

#[test]
fn a_stranger_excuses_nothing() {
    let result = sample::scanned();
    let sbom = Sbom::read(result.to_cyclonedx(&SbomOptions::default()).as_bytes()).unwrap();
    let mut again = ScanResult::of_sbom(ScanTarget::default(), sbom.without_excuses());
    sample::ask(&mut again);
    let counts = |result: &ScanResult, id: &str| {
        let is_it = |finding: &&crate::advisory::VulnerabilityFinding| {
            &*finding.id == id && crate::Standing::of(finding) == crate::Standing::Counts
        };
        result.vulnerabilities.iter().filter(is_it).count()
    };
    for id in ["CVE-2021-44228", "CVE-2022-0072"] {
        assert_eq!((counts(&result, id), counts(&again, id)), (0, 1), "{id}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9.:@/_~+-]{0,9}",
        "[ -~]{0,9}",
        "\\PC{0,6}",
        "(.|\n){0,4}"
    ]
}

fn package() -> impl Strategy<Value = Package> {
    let kind = prop::sample::select(PackageKind::ALL.to_vec());
    let confidence = prop::sample::select(vec![Confidence::Low, Confidence::Medium, Confidence::High]);
    let licence = prop_oneof![
        text(),
        prop::sample::select(vec![
            "MIT".to_owned(),
            "MIT OR Zlib".to_owned(),
            "NOASSERTION".to_owned()
        ]),
    ];
    let first = (
        kind,
        text(),
        text(),
        option::of((text(), text())),
        option::of(text()),
        option::of(text()),
    );
    let second = (
        vec(licence, 0..3),
        vec(text(), 0..3),
        any::<bool>(),
        confidence,
        option::of((text(), text())),
        vec(text(), 0..3),
    );
    (first, second).prop_map(|(first, second)| {
        let mut package = Package::new(first.0, first.1, first.2);
        package.source = first.3.map(|(name, version)| Source { name, version });
        package.arch = first.4;
        package.modularity = first.5;
        (package.licences, package.inner_path, package.is_root) = (second.0, second.1, second.2);
        (package.confidence, package.version_range, package.mitigations) = (second.3, second.4, second.5);
        package
    })
}

fn os() -> impl Strategy<Value = OsRelease> {
    (text(), text(), text(), text(), vec(text(), 0..3)).prop_map(|(id, version, codename, name, like)| {
        OsRelease {
            id,
            version,
            codename,
            name,
            like,
        }
    })
}

fn placed() -> impl Strategy<Value = PlacedPackage> {
    (package(), option::of(0_usize..9), text(), option::of(text())).prop_map(
        |(package, layer, path, owned_by)| PlacedPackage {
            package,
            layer,
            path,
            owned_by,
            coverage: None,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_comes_back(packages in vec(placed(), 0..4), os in option::of(os())) {
        let result = ScanResult { os, packages, ..ScanResult::default() };
        for form in FORMS {
            let text = written(form, &result);
            let sbom = Sbom::read(text.as_bytes()).unwrap();
            prop_assert_eq!(&sbom.packages, &result.packages, "{}", text);
            prop_assert_eq!(&sbom.os, &result.os, "{}", text);
        }
    }
}
