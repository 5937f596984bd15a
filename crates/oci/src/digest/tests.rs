//! Tests of digests.

use super::*;

const EMPTY_256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const EMPTY_512: &str = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                         47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

#[test]
fn known_hashes() {
    assert_eq!(Digest::of(Algorithm::Sha256, b"").to_string(), EMPTY_256);
    assert_eq!(Digest::of(Algorithm::Sha512, b"").to_string(), EMPTY_512);
}

#[test]
fn parses_what_it_prints() {
    for text in [EMPTY_256, EMPTY_512] {
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        assert_eq!(format!("{}:{}", digest.algorithm(), digest.hex()), text);
        assert_eq!(
            Digest::from_bytes(digest.algorithm(), digest.bytes()),
            Some(digest)
        );
        assert_eq!(
            serde_json::from_str::<Digest>(&format!("{text:?}")).unwrap(),
            digest
        );
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("{text:?}"));
    }
    assert_eq!(EMPTY_512.len(), Digest::MAX_LEN);
}

#[test]
fn refuses_what_is_malformed() {
    let upper = EMPTY_256.to_uppercase().replace("SHA", "sha");
    let cases = [
        "",
        "sha256",
        "sha256:",
        ":e3b0",
        "sha256:e3b0",
        "SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        &EMPTY_256[..70],
        &format!("{EMPTY_256}0"),
        &format!("{EMPTY_256} "),
        &EMPTY_256.replace("e3", "g3"),
        &EMPTY_256.replace("e3", "é"),
        &EMPTY_256.replace(':', "::"),
        &EMPTY_256.replace("sha256", "sha512"),
        "sha256-:e3b0",
        "../sha256:00",
        &upper,
    ];
    for case in cases {
        let error = case.parse::<Digest>().unwrap_err();
        assert!(matches!(error, DigestError::Malformed { .. }), "{case}: {error}");
    }
}

#[test]
fn names_the_unknown_algorithm() {
    for (text, name) in [
        ("md5:d41d8cd98f00b204e9800998ecf8427e", "md5"),
        ("sha256+b64u:x", "sha256+b64u"),
    ] {
        let error = text.parse::<Digest>().unwrap_err();
        assert_eq!(
            error,
            DigestError::UnknownAlgorithm {
                algorithm: name.to_owned()
            }
        );
    }
}

#[test]
fn orders_like_its_text() {
    let mut digests: Vec<Digest> = (0u8..50)
        .flat_map(|n| Algorithm::ALL.map(|algorithm| Digest::of(algorithm, &[n])))
        .collect();
    digests.sort();
    let texts: Vec<String> = digests.iter().map(Digest::to_string).collect();
    assert!(texts.is_sorted());
}

#[test]
fn fallback_tags_fit_the_tag_grammar() {
    let short: Digest = EMPTY_256.parse().unwrap();
    assert_eq!(short.fallback_tag(), EMPTY_256.replace(':', "-").as_str());
    let long: Digest = EMPTY_512.parse().unwrap();
    assert_eq!(long.fallback_tag(), &EMPTY_512.replace(':', "-")[..7 + 64]);
    assert!(long.fallback_tag().as_str().parse::<Tag>().is_ok());
}

#[test]
fn hashing_in_pieces_and_from_a_kept_state() {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(b"road");
    let mut kept = hasher.clone();
    hasher.update(b"works");
    kept.update(b"bed");
    assert_eq!(kept.finish(), Digest::of(Algorithm::Sha512, b"roadbed"));
    assert_eq!(hasher.finish(), Digest::of(Algorithm::Sha512, b"roadworks"));
}
