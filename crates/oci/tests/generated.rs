//! The bodies of the fuzz targets on a few thousand generated inputs each: seconds, on a stable toolchain.
//!
//! The inputs are made from the pieces that each grammar is about, so that most come near to being accepted.
//! The seed is fixed: what fails once fails again.

#[path = "generated/bodies.rs"]
mod bodies;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::RngSeed;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2),
        ..ProptestConfig::default()
    }
}

/// Up to `most` of `pieces` in a row.
fn joined(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    vec(select(pieces), 0..=most).prop_map(|parts| parts.concat())
}

/// Text of `strategy`, now and then with one byte replaced by any other.
fn damaged(strategy: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    (strategy, any::<prop::sample::Index>(), any::<u8>(), 0..4u8).prop_map(|(text, place, byte, dice)| {
        let mut bytes = text.into_bytes();
        if dice == 0 && !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes
    })
}

fn digest_text() -> impl Strategy<Value = String> {
    let algorithm = select(&["sha256", "sha512", "sha384", "SHA256", "sha256+b64", ""][..]);
    let length = select(&[64usize, 128, 63, 65, 0][..]);
    let hex = (
        length,
        select(&['0', 'a', 'f', 'A', 'g', 'é'][..]),
        any::<prop::sample::Index>(),
    );
    (algorithm, hex).prop_map(|(algorithm, (length, odd, place))| {
        let mut hex: Vec<char> = "0123456789abcdef".chars().cycle().take(length).collect();
        if length > 0 {
            hex[place.index(length)] = odd;
        }
        format!("{algorithm}:{}", hex.into_iter().collect::<String>())
    })
}

const NAME_PIECES: &[&str] = &[
    "a", "b7", "0", ".", "_", "__", "-", "--", "/", "..", "A", "é", "\0", " ",
];
const TAG_PIECES: &[&str] = &["v", "1", "_", ".", "-", "Z", ":", "/", "+", "é", "\n"];
const MEDIA_PIECES: &[&str] = &[
    "a",
    "application",
    "/",
    "vnd.x",
    "+json",
    ";",
    " ",
    "q=1",
    "-",
    "é",
    "\r\n",
    "*",
];
const PATTERN_PIECES: &[&str] = &["a", "b", "a", "b", "-", "*", "/", "/", "**/", "/**", "**", "c"];
const RANGE_PIECES: &[&str] = &[
    "bytes",
    "=",
    "-",
    "0",
    "9",
    "500",
    "18446744073709551615",
    ",",
    " ",
    "/",
    "*",
    "bytes=",
    "bytes ",
    "x",
];

fn repo_name_text() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => joined(&NAME_PIECES[..9], 8),
        3 => joined(NAME_PIECES, 8),
        1 => (250..260usize).prop_map(|n| "a".repeat(n)),
    ]
}

fn media_type_text() -> impl Strategy<Value = String> {
    let name = || joined(&["a", "application", "vnd.x", "+json", "-", ".1"], 4);
    let whole = (name(), name(), select(&["", ";", "; q=1", " ", ";é"][..]))
        .prop_map(|(kind, subtype, parameters)| format!("{kind}/{subtype}{parameters}"));
    prop_oneof![
        whole,
        joined(MEDIA_PIECES, 8),
        (120..130usize).prop_map(|n| format!("{0}/{0}", "a".repeat(n)))
    ]
}

/// JSON of a manifest from fields that are mostly right, each there or not, once or twice.
fn manifest_text() -> impl Strategy<Value = String> {
    let sha = format!("sha256:{}", "0".repeat(64));
    let good =
        format!(r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{sha}","size":7}}"#);
    let rich = format!(
        r#"{{"mediaType":"a/b","digest":"{sha}","size":0,"urls":["u"],"annotations":{{"k":"v"}},"platform":{{"os":"linux","os.features":["f"]}},"data":"eA==","x":{{"y":[1]}}}}"#
    );
    let bad = format!(r#"{{"mediaType":"a/b","digest":"{sha}","size":-1}}"#);
    let descriptor = select(vec![
        good.clone(),
        good,
        rich.clone(),
        rich,
        bad,
        "null".to_owned(),
        "{}".to_owned(),
    ]);
    let list = vec(descriptor.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(",")));
    let field = prop_oneof![
        descriptor
            .clone()
            .prop_map(|value| format!(r#""config":{value}"#)),
        descriptor.prop_map(|value| format!(r#""subject":{value}"#)),
        list.clone().prop_map(|value| format!(r#""layers":{value}"#)),
        list.prop_map(|value| format!(r#""manifests":{value}"#)),
        select(vec![
            r#""mediaType":"application/vnd.oci.image.manifest.v1+json""#,
            r#""mediaType":"application/vnd.oci.image.index.v1+json""#,
            r#""mediaType":"application/vnd.docker.distribution.manifest.v2+json""#,
            r#""annotations":{"a":"b","c":"d"}"#,
            r#""annotations":{"a":"b","a":"d"}"#,
            r#""artifactType":"x/y""#,
            r#""custom":{"deep":[[[{"er":null}]]]}"#,
            r#""Layers":[]"#,
        ])
        .prop_map(str::to_owned),
    ];
    vec(field, 0..5).prop_map(|fields| {
        let fields: Vec<String> = std::iter::once(r#""schemaVersion":2"#.to_owned())
            .chain(fields)
            .collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn digest(data in prop_oneof![damaged(digest_text()), vec(any::<u8>(), 0..200)]) {
        bodies::digest(&data);
    }

    #[test]
    fn repo_name(data in damaged(repo_name_text())) {
        bodies::repo_name(&data);
    }

    #[test]
    fn tag(data in damaged(joined(TAG_PIECES, 6))) {
        bodies::tag(&data);
    }

    #[test]
    fn reference(data in prop_oneof![damaged(digest_text()), damaged(joined(TAG_PIECES, 6))]) {
        bodies::reference(&data);
    }

    #[test]
    fn media_type(data in damaged(media_type_text())) {
        bodies::media_type(&data);
    }

    #[test]
    fn manifest(data in damaged(manifest_text())) {
        bodies::manifest(&data);
    }

    #[test]
    fn pattern(
        a in joined(PATTERN_PIECES, 6),
        b in joined(PATTERN_PIECES, 6),
        name in joined(&["a", "b", "c", "-", "/"], 8),
    ) {
        bodies::pattern(format!("{a}\0{b}\0{name}").as_bytes());
    }

    #[test]
    fn range(size in prop_oneof![0..2_000u64, any::<u64>()], header in damaged(joined(RANGE_PIECES, 7))) {
        bodies::range(&[&size.to_be_bytes()[..], &header].concat());
    }

    /// What is printed is read back as the same, through text and through JSON.
    #[test]
    fn checked_texts_survive_serde(text in repo_name_text()) {
        if let Ok(name) = text.parse::<oci::RepoName>() {
            let json = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(serde_json::from_str::<oci::RepoName>(&json).unwrap(), name);
        } else {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert!(serde_json::from_str::<oci::RepoName>(&json).is_err());
        }
    }
}

/// A property over inputs that are all refused would prove little.
#[test]
fn enough_inputs_are_accepted() {
    fn share<T>(strategy: impl Strategy<Value = T>, accepted: impl Fn(&T) -> bool) -> f64 {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let samples = (0..500).map(|_| strategy.new_tree(&mut runner).unwrap().current());
        f64::from(u16::try_from(samples.filter(accepted).count()).unwrap()) / 500.0
    }
    fn parses<T: std::str::FromStr>(text: &str) -> bool {
        text.parse::<T>().is_ok()
    }
    let limits = oci::ManifestLimits::default();
    for (what, share) in [
        ("digest", share(digest_text(), |text| parses::<oci::Digest>(text))),
        (
            "repo name",
            share(repo_name_text(), |text| parses::<oci::RepoName>(text)),
        ),
        (
            "tag",
            share(joined(TAG_PIECES, 6), |text| parses::<oci::Tag>(text)),
        ),
        (
            "media type",
            share(media_type_text(), |text| parses::<oci::MediaType>(text)),
        ),
        (
            "pattern",
            share(joined(PATTERN_PIECES, 6), |text| parses::<oci::RepoPattern>(text)),
        ),
        (
            "manifest",
            share(manifest_text(), |text| {
                oci::Manifest::parse(text.as_bytes(), None, &limits).is_ok()
            }),
        ),
        (
            "range",
            share(joined(RANGE_PIECES, 7), |text| {
                oci::RangeRequest::parse(text) != oci::RangeRequest::Whole
            }),
        ),
    ] {
        assert!(
            share > 0.02,
            "only {share} of the generated {what} inputs are accepted"
        );
    }
}
