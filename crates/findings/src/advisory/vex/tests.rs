use serde_json::json;
use time::macros::datetime;

use super::{purl::purl_means, *};
use crate::{
    Package, PackageKind,
    advisory::{
        Advisory, AdvisoryIndex, Knowledge, VulnerabilityFinding, find_vulnerabilities,
        test_data::shared_path,
    },
};

fn finding() -> (Vec<Package>, Vec<VulnerabilityFinding>) {
    let value = json!({"id": "GHSA-1", "modified": "2024-01-01T00:00:00Z", "aliases": ["CVE-2020-8552"], "affected": [{
        "package": {"ecosystem": "Go", "name": "k8s.io/apiserver"},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]});
    let index = AdvisoryIndex::build([Advisory::read(value.to_string().as_bytes(), "").unwrap()]).unwrap();
    let packages = vec![Package::new(PackageKind::Go, "k8s.io/apiserver", "v0.34.0")];
    let knowledge = Knowledge {
        index: &index,
        kev: None,
        epss: None,
    };
    let findings = find_vulnerabilities(&packages, None, &knowledge).findings;
    (packages, findings)
}

fn document(statements: &serde_json::Value) -> VexDocument {
    let value = json!({"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/1", "author": "a stranger",
        "timestamp": "2025-01-01T00:00:00Z", "version": 1, "statements": statements});
    VexDocument::read(value.to_string().as_bytes()).unwrap()
}

fn statement(products: &serde_json::Value, status: &str, at: &str) -> serde_json::Value {
    json!({"vulnerability": {"name": "CVE-2020-8552"}, "products": products, "status": status, "timestamp": at,
        "justification": "vulnerable_code_not_present"})
}

fn image() -> ImageIdentity {
    ImageIdentity {
        purls: vec!["pkg:oci/trivy@sha256%3Aabc?repository_url=registry.example/dhi/trivy".to_owned()],
        digests: vec!["sha256:abc".to_owned()],
    }
}

fn is_suppressed(statements: &serde_json::Value, trust: &Trust) -> (usize, bool) {
    let (packages, mut findings) = finding();
    apply_vex(
        &mut findings,
        &packages,
        None,
        &image(),
        &document(statements),
        trust,
    );
    assert_eq!(findings.len(), 1, "nothing is ever removed");
    (findings[0].vex.len(), findings[0].is_suppressed())
}

#[test]
fn real_documents_are_read() {
    let Some(directory) = shared_path("openvex") else {
        return;
    };
    let mut read = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let document = VexDocument::read(&std::fs::read(&path).unwrap()).unwrap();
            assert!(
                document
                    .statements
                    .iter()
                    .all(|statement| !statement.products.is_empty()),
                "{path:?}"
            );
            read += 1;
        }
    }
    assert_eq!(read, 17);
}

#[test]
fn only_a_trusted_signer_suppresses() {
    let trusted = Trust::Trusted("release@example.com".to_owned());
    let part =
        json!([{"@id": "pkg:oci/trivy", "subcomponents": [{"@id": "pkg:golang/k8s.io/apiserver@0.34.0"}]}]);
    let statements = json!([statement(&part, "not_affected", "2025-02-01T00:00:00Z")]);
    assert_eq!(is_suppressed(&statements, &trusted), (1, true));
    assert_eq!(is_suppressed(&statements, &Trust::Untrusted), (1, false));
}

#[test]
fn a_statement_is_about_what_it_names() {
    let trusted = Trust::Trusted("s".to_owned());
    for (product, is_about) in [
        (json!({"@id": "pkg:golang/k8s.io/apiserver@0.34.0"}), true),
        (json!({"@id": "pkg:golang/k8s.io/apiserver"}), true),
        (json!({"@id": "pkg:golang/k8s.io/apiserver@0.33.0"}), false),
        (json!({"@id": "pkg:oci/trivy"}), true),
        (json!({"@id": "pkg:oci/trivy@sha256:abc"}), true),
        (json!({"@id": "pkg:oci/trivy@sha256:def"}), false),
        (json!({"@id": "pkg:oci/other"}), false),
        (json!({"@id": "sha256:abc"}), true),
        (json!({"@id": "x", "hashes": {"sha-256": "ABC"}}), true),
        (json!({"identifiers": {"purl": "pkg:oci/trivy"}}), true),
        (
            json!({"@id": "pkg:oci/trivy", "subcomponents": [{"@id": "pkg:golang/k8s.io/api"}]}),
            false,
        ),
        (
            json!({"@id": "pkg:oci/trivy", "subcomponents": ["pkg:golang/k8s.io/apiserver"]}),
            true,
        ),
        (json!("pkg:oci/trivy"), true),
    ] {
        let statements = json!([statement(&json!([product]), "fixed", "2025-02-01T00:00:00Z")]);
        let noted = usize::from(is_about);
        assert_eq!(
            is_suppressed(&statements, &trusted),
            (noted, is_about),
            "{product}"
        );
    }
    assert_eq!(
        is_suppressed(
            &json!([statement(&json!([]), "fixed", "2025-02-01T00:00:00Z")]),
            &trusted
        ),
        (0, false)
    );
}

#[test]
fn the_newest_statement_counts() {
    let trusted = Trust::Trusted("s".to_owned());
    let whole = json!([{"@id": "pkg:oci/trivy"}]);
    let says = |status, at| statement(&whole, status, at);
    let older = says("not_affected", "2025-02-01T00:00:00Z");
    assert_eq!(
        is_suppressed(
            &json!([older, says("affected", "2025-03-01T00:00:00Z")]),
            &trusted
        ),
        (2, false)
    );
    assert_eq!(
        is_suppressed(
            &json!([older, says("affected", "2025-01-01T00:00:00Z")]),
            &trusted
        ),
        (2, true)
    );
    assert_eq!(
        is_suppressed(
            &json!([older, says("under_investigation", "2025-02-01T00:00:00Z")]),
            &trusted
        ),
        (2, false)
    );
}

#[test]
fn what_breaks_the_specification_is_refused() {
    let read = |value: serde_json::Value| VexDocument::read(value.to_string().as_bytes());
    let whole = |context: &str, statement: serde_json::Value| json!({"@context": context, "@id": "d", "author": "a", "timestamp": "2025-01-01T00:00:00Z", "statements": [statement]});
    let context = "https://openvex.dev/ns";
    let old = json!({"vulnerability": "CVE-1", "products": ["pkg:oci/a"], "status": "not_affected", "impact_statement": "i"});
    let document = read(whole(context, old.clone())).unwrap();
    assert_eq!(document.statements[0].at, datetime!(2025-01-01 0:00 UTC));
    assert_eq!(document.statements[0].vulnerability, ["CVE-1"]);
    assert!(read(whole("https://schema.org", old)).is_err());
    for statement in [
        json!({"vulnerability": "CVE-1", "status": "not_affected"}),
        json!({"vulnerability": "", "status": "fixed"}),
        json!({"vulnerability": "CVE-1", "status": "fine"}),
        json!({"vulnerability": "CVE-1", "status": "fixed", "timestamp": "today"}),
    ] {
        assert!(read(whole(context, statement.clone())).is_err(), "{statement}");
    }
}

#[test]
fn package_urls_that_say_less_mean_more() {
    for (statement, candidate, means) in [
        ("pkg:npm/%40scope/a@1.0.0", "pkg:npm/%40scope/a@1.0.0", true),
        ("pkg:npm/@scope/a", "pkg:npm/%40scope/a@1.0.0", true),
        ("pkg:npm/a", "pkg:npm/b@1.0.0", false),
        ("pkg:docker/dhi/trivy", "pkg:oci/dhi/trivy", false),
        ("pkg:oci/dhi%2Ftrivy", "pkg:oci/dhi/trivy", true),
        (
            "pkg:deb/debian/curl@1?arch=amd64",
            "pkg:deb/debian/curl@1?arch=amd64&distro=debian-12",
            true,
        ),
        (
            "pkg:deb/debian/curl@1?arch=arm64",
            "pkg:deb/debian/curl@1?arch=amd64",
            false,
        ),
        (
            "pkg:golang/github.com/a/b@27.5.1%2Bincompatible",
            "pkg:golang/github.com/a/b@v27.5.1+incompatible",
            true,
        ),
        ("pkg:pypi/Ruamel.Yaml@1", "pkg:pypi/ruamel-yaml@1", true),
        ("nothing", "pkg:npm/a", false),
        ("pkg:npm", "pkg:npm", false),
        ("pkg:npm/%zz%", "pkg:npm/%zz%", true),
    ] {
        assert_eq!(purl_means(statement, candidate), means, "{statement} {candidate}");
    }
}

#[test]
fn each_limit_refuses_what_exceeds_it() {
    use crate::advisory::{AdvisoryError, limits};
    let read = |statements: serde_json::Value| {
        let value = json!({"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/1", "author": "a",
            "timestamp": "2025-01-01T00:00:00Z", "version": 1, "statements": statements});
        VexDocument::read(value.to_string().as_bytes())
    };
    assert!(matches!(
        VexDocument::read(&vec![b' '; limits::VEX_DOCUMENT_BYTES + 1]),
        Err(AdvisoryError::TooLarge { .. })
    ));
    let of = |products: serde_json::Value| statement(&products, "fixed", "2025-01-01T00:00:00Z");
    let one = of(json!(["pkg:npm/a"]));
    assert!(read(json!(vec![one.clone(); limits::VEX_STATEMENTS + 1])).is_err());
    assert!(read(json!([of(json!(vec!["pkg:npm/a"; limits::VEX_PRODUCTS]))])).is_ok());
    assert!(read(json!([of(json!(vec!["pkg:npm/a"; limits::VEX_PRODUCTS + 1]))])).is_err());
    // Each product gets the parts that stand beside all of them: a document of some kilobytes would be gigabytes.
    let mut many = of(json!(vec!["p"; 1_000]));
    many["subcomponents"] = json!(vec!["s"; 1_000]);
    let error = read(json!([many])).unwrap_err().to_string();
    assert!(error.contains("more than 200000 products and parts"), "{error}");
    let long = "x".repeat(limits::VEX_ID_BYTES + 1);
    for name in [long.as_str(), "pkg:npm/a\u{202e}b", "pkg:npm/a\n"] {
        assert!(read(json!([of(json!([name]))])).is_err(), "{name:?}");
        assert!(
            read(json!([of(json!([{"@id": "p", "subcomponents": [name]}]))])).is_err(),
            "{name:?}"
        );
    }
    let mut hostile = one.clone();
    for id in ["", "a b", "CVE\u{202e}1", &"x".repeat(limits::ID_BYTES + 1)] {
        hostile["vulnerability"] = json!({ "name": id });
        assert!(read(json!([hostile])).is_err(), "{id:?}");
    }
    let mut dated = one;
    for date in ["soon", "10000-01-01T00:00:00Z", "2025-02-30T00:00:00Z"] {
        dated["timestamp"] = json!(date);
        assert!(read(json!([dated])).is_err(), "{date}");
    }
    let deep = format!(
        r#"{{"@context":"https://openvex.dev/ns","statements":{}"#,
        "[".repeat(100_000)
    );
    assert!(VexDocument::read(deep.as_bytes()).is_err());
}
