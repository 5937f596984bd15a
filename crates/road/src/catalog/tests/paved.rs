use super::*;
use findings::Severity;
use policy::yaml::parse;
use std::collections::BTreeSet;
use time::Duration;
use time::macros::datetime;

use crate::app_road::{AutoRebase, Ring};
use crate::base::Lifecycle;
use crate::paving::{RoadEntry, RoadKind};

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
  retireNotice: 30d
---
apiVersion: road/v1
kind: BaseImage
metadata: {name: java21, owner: platform-java}
spec: {repo: base/java21, supportedUntil: 2030-01-01T12:00:00Z}
---
apiVersion: road/v1
kind: Toolchain
metadata: {name: actions, owner: platform-ci, contact: "#ci"}
spec:
  builders: [https://github.com/actions/runner/github-hosted]
  slsaLevel: 3
  supportedUntil: 2028-01-01
---
apiVersion: road/v1
kind: GoldenPath
metadata: {name: java-service, owner: platform-java}
spec:
  version: 3
  template: https://git.example/templates/java-service
  bases: [java17, java21]
  toolchains: [actions]
  policies: [known-exploited]
  gives: [patches without a rebuild, a dashboard]
  supportedUntil: 2028-01-01
---
apiVersion: road/v1
kind: AppRoad
metadata: {name: checkout}
spec:
  path: java-service@3
  ring: early
  tier: 1
  autoRebase: true
  freeze: [2026-12-20/2027-01-03]
  targetLevels: {technology: 3, policy: 3}
---
apiVersion: road/v1
kind: Exemption
spec:
  app: video
  rule: TE-CON-2
  reason: "needs CUDA base"
  owner: team-video
  approvedBy: [platform]
  createdAt: 2026-11-01
  expiresAt: 2027-02-01
  maxRenewals: 2
  compensating: "weekly rebuild + scan"
"##;

/// What is there, what stands there instead, and what is said of it.
type Wrong = (&'static str, &'static str, &'static str);

const OF_BASES: &[Wrong] = &[
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
    (
        "retireNotice: 30d",
        "retireNotice: soon",
        "pavedroad.yaml:14: `spec.retireNotice`",
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
];

const OF_OTHERS: &[Wrong] = &[
    (
        "2027-09-30",
        "9999-12-31",
        "pavedroad.yaml:10: `spec.supportedUntil`: `9999-12-31` is no date before 2101",
    ),
    (
        "[java17, java21]",
        "[java17, java22]",
        "pavedroad.yaml:29: GoldenPath `java-service@3`: it names BaseImage `java22`, which is not declared, did you mean",
    ),
    (
        "toolchains: [actions]",
        "toolchains: [action]",
        "it names Toolchain `action`",
    ),
    (
        "path: java-service@3",
        "path: java-service@4",
        "pavedroad.yaml:41: AppRoad `checkout`: it names GoldenPath `java-service@4`",
    ),
    (
        "  path: java-service@3\n",
        "",
        "AppRoad `checkout`: it has no end",
    ),
    (
        "java-service@3\n",
        "java-service\n",
        "pavedroad.yaml:45: `spec.path`: `java-service` is no golden path",
    ),
    (
        "ring: early",
        "ring: first",
        "pavedroad.yaml:46: `spec.ring`: `first` is no ring",
    ),
    (
        "autoRebase: true",
        "autoRebase: always",
        "pavedroad.yaml:48: `spec.autoRebase`: `always` is none of",
    ),
    (
        "2026-12-20/2027-01-03",
        "2026-12-20",
        "pavedroad.yaml:49: `spec.freeze`: `2026-12-20` is no window",
    ),
    (
        "technology: 3",
        "technology: 9",
        "pavedroad.yaml:50: AppRoad `checkout`: `targetLevels` is 9",
    ),
    (
        "tier: 1",
        "tier: 300",
        "pavedroad.yaml:47: `spec.tier`: `300` is no small number",
    ),
    (
        "slsaLevel: 3",
        "slsaLevel: 9",
        "pavedroad.yaml:26: Toolchain `actions`: `slsaLevel` is 9",
    ),
    (
        "  expiresAt: 2027-02-01\n",
        "",
        "pavedroad.yaml:52: an exemption needs `spec.expiresAt`",
    ),
    (
        "2027-02-01",
        "2029-02-01",
        "pavedroad.yaml:61: Exemption `video:TE-CON-2`: it lasts longer than 366 days",
    ),
    (
        "[platform]",
        "[team-video]",
        "pavedroad.yaml:59: Exemption `video:TE-CON-2`: nobody but its owner",
    ),
    ("owner: team-video", "owner: a b", "`spec.owner`: `a b` is no"),
];

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
    assert_eq!(java.retire_notice, Some(30 * 24 * 60 * 60));
    let rebase = java.rebase.as_ref().unwrap();
    assert!(rebase.safe && rebase.arch == ["amd64", "arm64"]);
    assert_eq!(
        (road.bases[1].lifecycle, road.bases.len()),
        (Lifecycle::Supported, 2)
    );
    let text = serde_json::to_string(java).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::base::BaseImage>(&text).unwrap(),
        *java
    );
}

#[test]
fn the_other_kinds_of_the_page_are_read() {
    let [
        RoadEntry::Toolchain(actions),
        RoadEntry::GoldenPath(path),
        RoadEntry::AppRoad(checkout),
        RoadEntry::Exemption(video),
    ] = &read_road(ROAD).unwrap().entries[..]
    else {
        panic!("four entries, in their order");
    };
    assert_eq!((actions.slsa_level, actions.builders.len()), (3, 1));
    assert_eq!(
        (path.id.as_str(), path.bases.len(), path.gives.len()),
        ("java-service@3", 2, 2)
    );
    assert_eq!(
        (checkout.ring, checkout.auto_rebase, checkout.tier),
        (Ring::Early, AutoRebase::Auto, Some(1))
    );
    assert_eq!(checkout.freezes[0].until, datetime!(2027-01-04 0:00 UTC));
    assert_eq!(
        checkout.target_levels.values().copied().collect::<Vec<_>>(),
        [3, 3]
    );
    assert_eq!(*video, crate::exemption::tests::video());
    for entry in read_road(ROAD).unwrap().entries {
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<RoadEntry>(&text).unwrap(), entry);
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (from, to, wanted) in OF_BASES.iter().chain(OF_OTHERS) {
        let text = ROAD.replacen(from, to, 1);
        assert_ne!(text, ROAD, "{from}");
        let complaint = read_road(&text).unwrap_err().to_string();
        assert!(complaint.contains(wanted), "{complaint}\nwanted {wanted}");
    }
}

#[test]
fn all_keys_that_are_unknown_are_told_with_their_lines() {
    let mut text = ROAD.replacen("  lifecycle: supported\n", "  livecycle: {of: [it]}\n", 1);
    for (from, to) in [
        ("metadata: {name: java17", "metadata: {nam: java17"),
        ("rebase: {safe: true", "rebase: {save: true"),
        ("  slsaLevel: 3", "  slsa: 3"),
    ] {
        text = text.replacen(from, to, 1);
    }
    let told = read_road(&text).unwrap_err().errors;
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    let wanted = [
        "pavedroad.yaml:4: `metadata` has no key `nam`, did you mean `name`?",
        "pavedroad.yaml:9: `spec` of a base has no key `livecycle`, did you mean `lifecycle`?",
        "pavedroad.yaml:12: `rebase` has no key `save`, did you mean `safe`?",
        "pavedroad.yaml:26: `spec` of a toolchain has no key `slsa`",
    ];
    assert_eq!(told.len(), wanted.len(), "{told:?}");
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.contains(wanted), "{told}\nwanted {wanted}");
    }
    // Reading does not go on for ever, and the next document is none the worse for it.
    let keys: Vec<String> = (0..2 * policy::yaml::MAX_UNKNOWN_KEYS)
        .map(|number| format!("k{number}: 1\n"))
        .collect();
    let many = format!("apiVersion: road/v1\nkind: Toolchain\n{}", keys.concat());
    let faults = policy::yaml::parse_all::<super::super::paved_document::ToolchainDocument>(&many);
    assert_eq!(
        faults.err().map(|faults| faults.len()),
        Some(policy::yaml::MAX_UNKNOWN_KEYS + 1)
    );
    assert!(policy::yaml::parse::<super::super::paved_document::ToolchainDocument>(&many).is_err());
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
fn the_signer_of_a_base_is_read() {
    assert_eq!(read_road(ROAD).unwrap().bases[0].signer, None);
    let text = ROAD.replacen("  patchWithin:", "  signer: platform\n  patchWithin:", 1);
    let read = read_road(&text).unwrap();
    assert_eq!(read.bases[0].signer.as_deref(), Some("platform"));
}

#[test]
fn keys_are_those_of_the_page() {
    use super::super::paved_document::{
        AppRoadSpec, BaseDocument, BaseMetadata, BaseSpec, EntryMetadata, ExemptionSpec, GoldenPathSpec,
        RebaseDocument, ToolchainSpec,
    };
    let keys = [
        BaseDocument::KEYS,
        BaseMetadata::KEYS,
        BaseSpec::KEYS,
        RebaseDocument::KEYS,
        EntryMetadata::KEYS,
        ToolchainSpec::KEYS,
        GoldenPathSpec::KEYS,
        AppRoadSpec::KEYS,
        ExemptionSpec::KEYS,
    ]
    .concat();
    for key in &keys {
        // Two have tests of their own.
        let is_shown = ROAD.contains(key) || ["signer", "until"].contains(key);
        assert!(is_shown, "{key} is not shown in the example");
    }
    assert!(parse::<BaseDocument>("{}").is_ok());
}

#[test]
fn the_schema_has_the_keys_that_are_read() {
    use super::super::paved_document::{
        AppRoadSpec, BaseDocument, BaseSpec, EntryMetadata, ExemptionSpec, GoldenPathSpec, ToolchainSpec,
    };
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    let keys = |properties: &serde_json::Value| -> BTreeSet<String> {
        properties.as_object().unwrap().keys().cloned().collect()
    };
    let known = |keys: &[&str]| -> BTreeSet<String> { keys.iter().map(ToString::to_string).collect() };
    let of = |kind: &str, part: &str| keys(&schema["$defs"][kind]["properties"][part]["properties"]);
    let specs = [
        ("BaseImage", BaseSpec::KEYS),
        ("Toolchain", ToolchainSpec::KEYS),
        ("GoldenPath", GoldenPathSpec::KEYS),
        ("AppRoad", AppRoadSpec::KEYS),
        ("Exemption", ExemptionSpec::KEYS),
    ];
    assert_eq!(specs.map(|(kind, _)| kind), RoadKind::ALL.map(RoadKind::as_str));
    for (kind, wanted) in specs {
        assert_eq!(of(kind, "spec"), known(wanted), "{kind}");
        assert_eq!(
            keys(&schema["$defs"][kind]["properties"]),
            known(BaseDocument::KEYS)
        );
        assert!(of(kind, "metadata").is_subset(&known(EntryMetadata::KEYS)));
    }
    let spec = |kind: &str, key: &str| schema["$defs"][kind]["properties"]["spec"]["properties"][key].clone();
    let words = |words: &[&str]| serde_json::to_value(words).unwrap();
    assert_eq!(
        spec("BaseImage", "lifecycle")["enum"],
        words(&Lifecycle::WORDS.map(|(word, _)| word))
    );
    assert_eq!(
        spec("AppRoad", "ring")["enum"],
        words(&Ring::WORDS.map(|(word, _)| word))
    );
    assert_eq!(
        spec("AppRoad", "freeze")["maxItems"],
        crate::app_road::MAX_FREEZES
    );
    assert_eq!(
        spec("Exemption", "maxRenewals")["maximum"],
        crate::exemption::MAX_RENEWALS
    );
    assert_eq!(
        spec("Exemption", "reason")["maxLength"],
        crate::exemption::MAX_REASON_BYTES
    );
    assert_eq!(
        spec("Exemption", "approvedBy")["maxItems"],
        crate::exemption::MAX_APPROVERS
    );
}

#[test]
fn what_is_hostile_is_refused_within_limits() {
    let with = |from: &str, to: &str| read_road(&ROAD.replacen(from, to, 1)).unwrap_err().to_string();
    let many = |word: &str, count: usize| vec![word; count].join(",");
    let freezes = many("2026-12-20/2027-01-03", 51);
    assert!(with("[2026-12-20/2027-01-03]", &format!("[{freezes}]")).contains("lists 51: at most 50"));
    let approvers = many("platform", 21);
    assert!(with("[platform]", &format!("[{approvers}]")).contains("lists 21: at most 20"));
    let bases = many("java17", 51);
    assert!(with("[java17, java21]", &format!("[{bases}]")).contains("lists 51: at most 50"));
    let topics: Vec<String> = (0..33).map(|n| format!("t{n}: 1")).collect();
    let topics = format!("{{{}}}", topics.join(","));
    assert!(with("{technology: 3, policy: 3}", &topics).contains("lists 33: at most 32"));
    let builder = format!("[\"{}\"]", "x".repeat(301));
    assert!(
        with("[https://github.com/actions/runner/github-hosted]", &builder)
            .contains("`builders` must be one line")
    );
    assert!(with("\"needs CUDA base\"", "\"a\\e[31mb\"").contains("`reason` must be one line"));
    assert!(with("app: video", "app: \"../../etc\"").contains("is no name of an application"));
    assert!(with("name: checkout", "name: \"<script>\"").contains("is no name of an application"));
    assert!(with("replacedBy: java21", "replacedBy: java17").contains("replaced by itself"));
    assert!(with("createdAt: 2026-11-01", "createdAt: 0000-00-00").contains("is no date"));
    let mut bomb = vec!["a0: &a0 [x,x,x,x,x,x,x,x,x]".to_owned()];
    for level in 1..9 {
        bomb.push(format!(
            "a{level}: &a{level} [{}]",
            many(&format!("*a{}", level - 1), 9)
        ));
    }
    let bomb = format!("apiVersion: road/v1\nkind: Exemption\n{}\n", bomb.join("\n"));
    assert!(read_road(&bomb).is_err());
    let deep = format!(
        "apiVersion: road/v1\nkind: AppRoad\nspec: {}\n",
        "[".repeat(100_000)
    );
    assert!(read_road(&deep).is_err());
}
