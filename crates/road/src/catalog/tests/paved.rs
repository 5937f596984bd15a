use super::*;
use findings::Severity;
use policy::yaml::parse;
use time::Duration;
use time::macros::datetime;

use crate::base::Lifecycle;

const ROAD: &str = r##"# The platform team's.
apiVersion: road/v1
kind: BaseImage
metadata: {name: java17, owner: group:platform-java, contact: "#java-platform"}
spec:
  repo: registry.local/base/java17
  channels:
    stable: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  lifecycle: supported
  supportedUntil: 2027-09-30
  replacedBy: java21
  rebase: {safe: true, abi: glibc-2.36, arch: [amd64, arm64]}
  patchWithin: {critical: 24h, high: 7d}
---
apiVersion: road/v1
kind: BaseImage
metadata: {name: java21, owner: platform-java}
spec: {repo: base/java21, supportedUntil: 2030-01-01T12:00:00Z}
---
apiVersion: road/v1
kind: Exemption
spec: {app: video}
"##;

fn read_road(text: &str) -> Result<PavedRoad, CatalogErrors> {
    let name = "pavedroad.yaml";
    read_paved_road(&[SourceFile { name, text }], &limits())
}

#[test]
fn the_page_of_the_specification_is_read() {
    let road = read_road(ROAD).unwrap();
    let java = &road.bases[0];
    assert_eq!(java.repository.as_str(), "base/java17");
    assert_eq!(java.supported_until, datetime!(2027-10-01 0:00 UTC));
    assert_eq!(java.patch_within.within(Severity::High), Duration::days(7));
    assert_eq!(java.replaced_by.as_ref().unwrap().as_str(), "java21");
    assert_eq!(java.contact.as_ref().unwrap().as_str(), "#java-platform");
    assert_eq!(java.channels.len(), 1);
    let rebase = java.rebase.as_ref().unwrap();
    assert!(rebase.safe && rebase.arch == ["amd64", "arm64"]);
    assert_eq!(
        (road.bases[1].lifecycle, road.bases.len()),
        (Lifecycle::Supported, 2)
    );
    let later = &road.later[0];
    assert_eq!((later.kind.as_str(), later.line), ("Exemption", 21));
    let text = serde_json::to_string(java).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::base::BaseImage>(&text).unwrap(),
        *java
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (from, to, wanted) in [
        (
            "road/v1\nkind: BaseImage",
            "road/v2\nkind: BaseImage",
            "pavedroad.yaml:2: `apiVersion` is `road/v2`",
        ),
        (
            "kind: BaseImage",
            "kind: BaseImages",
            "pavedroad.yaml:3: `BaseImages` is no kind of the paved road, did you mean `BaseImage`?",
        ),
        (
            "  supportedUntil: 2027-09-30\n",
            "",
            "pavedroad.yaml:2: a base needs `spec.supportedUntil`",
        ),
        (
            ", owner: group:platform-java",
            "",
            "a base needs `metadata.owner`",
        ),
        (
            "2027-09-30",
            "soon",
            "pavedroad.yaml:10: `spec.supportedUntil`: `soon` is no date",
        ),
        (
            "registry.local/base/java17",
            "base/java17:stable",
            "pavedroad.yaml:6: `spec.repo`",
        ),
        (
            "replacedBy: java21",
            "replacedBy: java22",
            "`java22`, which is not declared",
        ),
        (
            "name: java21",
            "name: java17",
            "`base java17` is there already, at pavedroad.yaml:2",
        ),
        (
            "lifecycle: supported",
            "lifecycle: good",
            "pavedroad.yaml:9: `spec.lifecycle`",
        ),
        (
            "critical: 24h",
            "critical: 24",
            "pavedroad.yaml:13: `spec.patchWithin`: `24` is no span of time",
        ),
        ("critical: 24h", "dreadful: 24h", "no severity"),
        ("sha256:aa", "aa", "pavedroad.yaml:8: `spec.channels`"),
        ("stable:", "\"a\\nb\":", "no name of a channel"),
        (
            "supportedUntil: 2027",
            "suportedUntil: 2027",
            "did you mean `supportedUntil`?",
        ),
        ("base/java21", "base/java17", "both released to `base/java17`"),
    ] {
        let text = ROAD.replacen(from, to, 1);
        assert_ne!(text, ROAD, "{from}");
        let complaint = read_road(&text).unwrap_err().to_string();
        assert!(complaint.contains(wanted), "{complaint}\nwanted {wanted}");
    }
}

#[test]
fn lists_are_bounded() {
    let digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let channels: Vec<String> = (0..33).map(|n| format!("    c{n}: {digest}\n")).collect();
    let channels = channels.concat();
    let text = ROAD.replacen(&format!("    stable: {digest}\n"), &channels, 1);
    assert!(
        read_road(&text)
            .unwrap_err()
            .to_string()
            .contains("lists 33: at most 32")
    );
    let text = ROAD.replacen("[amd64, arm64]", &format!("[{}]", vec!["x"; 33].join(",")), 1);
    assert!(
        read_road(&text)
            .unwrap_err()
            .to_string()
            .contains("lists 33: at most 32")
    );
}

#[test]
fn keys_are_those_of_the_page() {
    use super::super::paved_document::{BaseDocument, BaseMetadata, BaseSpec, RebaseDocument};
    let keys = [
        BaseDocument::KEYS,
        BaseMetadata::KEYS,
        BaseSpec::KEYS,
        RebaseDocument::KEYS,
    ]
    .concat();
    for key in &keys {
        assert!(ROAD.contains(key), "{key} is not shown in the example");
    }
    assert!(parse::<BaseDocument>("{}").is_ok());
}
