use super::*;
use crate::advisory::test_data::shared;

#[test]
fn kinds_are_told_by_content() {
    for (bytes, kind) in [
        (&br#"{"id":"X","affected":[]}"#[..], Some(DocumentKind::Osv)),
        (
            br#" {"affected":[{"id":"x","catalogVersion":1}], "id" : "X"}"#,
            Some(DocumentKind::Osv),
        ),
        (
            b"\xef\xbb\xbf{\"title\":\"t\",\"catalogVersion\":\"1\",\"vuln",
            Some(DocumentKind::Kev),
        ),
        (
            br#"{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x"}"#,
            Some(DocumentKind::OpenVex),
        ),
        (br#"{"@context":"https://schema.org","id":"x"}"#, None),
        (
            b"#model_version:v1,score_date:x\ncve,epss,percentile\n",
            Some(DocumentKind::Epss),
        ),
        (b"cve,epss,percentile\n", Some(DocumentKind::Epss)),
        (b"PK\x03\x04", Some(DocumentKind::Zip)),
        (b"\x1f\x8b\x08", Some(DocumentKind::Gzip)),
        (br#"{"nested":{"id":1,"affected":2}}"#, None),
        (br#"{"un\"closed"#, None),
        (b"", None),
    ] {
        assert_eq!(
            recognise("x.json", bytes),
            kind,
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
    assert_eq!(recognise("a/b.vex.json", b"{"), Some(DocumentKind::OpenVex));
}

#[test]
fn real_files_are_told() {
    for (name, kind) in [
        ("kev/known_exploited_vulnerabilities.json", DocumentKind::Kev),
        (
            "openvex/dhi__vex__trivy__dhi-trivy.vex.json",
            DocumentKind::OpenVex,
        ),
        ("log4j/apache/APACHE-CVE-2021-44228.json", DocumentKind::Osv),
        ("osv/Go/all.zip", DocumentKind::Zip),
    ] {
        if let Some(bytes) = shared(name) {
            assert_eq!(recognise("x", &bytes), Some(kind), "{name}");
        }
    }
}
