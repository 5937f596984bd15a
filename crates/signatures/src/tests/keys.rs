//! Plain key pairs, without a log.

use rcgen::KeyPair;
use serde_json::json;
use time::Duration;

use super::world::{Authority, NOW, Paper, SIGNED, Subject, key, spec, trusted, with_key};
use crate::{Checked, SignerSpec};

fn problem(checked: &Checked) -> String {
    assert!(checked.signers.is_empty(), "{checked:?}");
    checked.problem.as_ref().expect("a reason").to_string()
}

#[test]
fn a_key_stands_behind_what_it_signed() {
    let (subject, key) = (Subject::new("an image"), key());
    let signers = trusted(with_key("release", &key));
    let statement = subject.statement("https://slsa.dev/provenance/v1", &json!({ "a": 1 }));
    let signed = Paper::signed(subject.payload(), &key).check(&subject, &signers);
    assert_eq!(signed.signers, ["release"]);
    assert!(signed.is_signature() && signed.problem.is_none());
    for paper in [
        Paper::enveloped(&statement, &key),
        Paper::bundled(&statement, &key),
    ] {
        let attested = paper.check(&subject, &signers);
        assert_eq!(attested.signers, ["release"]);
        // Who attests something about an image has not signed it.
        assert!(!attested.is_signature());
        let predicate = attested.predicate.unwrap();
        assert_eq!(predicate.kind, "https://slsa.dev/provenance/v1");
        assert_eq!(predicate.body, r#"{"a":1}"#);
    }
    let cosign = subject.statement("https://sigstore.dev/cosign/sign/v1", &json!({}));
    assert!(
        Paper::bundled(&cosign, &key)
            .check(&subject, &signers)
            .is_signature()
    );
}

#[test]
fn keys_of_every_kind_are_taken() {
    let subject = Subject::new("an image");
    let kinds = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ];
    for kind in kinds {
        let key = KeyPair::generate_for(kind).unwrap();
        let signers = trusted(with_key("release", &key));
        let checked = Paper::signed(subject.payload(), &key).check(&subject, &signers);
        assert_eq!(checked.signers, ["release"], "{kind:?}: {checked:?}");
    }
}

#[test]
fn another_key_another_image_and_altered_words_are_not_signed() {
    let (subject, other, key) = (Subject::new("an image"), Subject::new("another one"), key());
    let signers = trusted(with_key("release", &key));
    let stranger = Paper::signed(subject.payload(), &self::key()).check(&subject, &signers);
    assert_eq!(problem(&stranger), "release: the key did not make this signature");
    let replayed = Paper::signed(other.payload(), &key).check(&subject, &signers);
    assert!(problem(&replayed).contains("not about this image"));
    let mut altered = Paper::signed(other.payload(), &key);
    altered.bytes = subject.payload();
    assert!(problem(&altered.check(&subject, &signers)).contains("did not make"));
    let statement = other.statement("https://slsa.dev/provenance/v1", &json!({}));
    for paper in [
        Paper::enveloped(&statement, &key),
        Paper::bundled(&statement, &key),
    ] {
        assert!(problem(&paper.check(&subject, &signers)).contains("not about this image"));
    }
}

#[test]
fn an_attestation_signed_as_a_payload_is_no_signature() {
    let (subject, key) = (Subject::new("an image"), key());
    let signers = trusted(with_key("release", &key));
    let mut payload: serde_json::Value = serde_json::from_slice(&subject.payload()).unwrap();
    payload["critical"]["type"] = json!("a promise to look at it");
    let paper = Paper::signed(payload.to_string().into_bytes(), &key);
    assert!(problem(&paper.check(&subject, &signers)).contains("its type is a promise"));
}

#[test]
fn a_signer_counts_where_and_as_long_as_it_is_trusted() {
    let (subject, key) = (Subject::new("an image"), key());
    let paper = Paper::signed(subject.payload(), &key);
    let elsewhere = SignerSpec {
        repositories: vec!["test/**".parse().unwrap()],
        ..with_key("release", &key)
    };
    assert!(problem(&paper.check(&subject, &trusted(elsewhere))).contains("no signer is trusted"));
    let until = |until| SignerSpec {
        until: Some(until),
        ..with_key("release", &key)
    };
    assert_eq!(paper.check(&subject, &trusted(until(NOW))).signers, ["release"]);
    let over = trusted(until(NOW - Duration::SECOND));
    assert!(problem(&paper.check(&subject, &over)).contains("no signer is trusted"));
}

#[test]
fn a_signature_may_have_to_name_its_repository() {
    let (subject, key) = (Subject::new("an image"), key());
    let signers = trusted(SignerSpec {
        match_reference: true,
        ..with_key("release", &key)
    });
    let told = |reference: &str| {
        let mut payload: serde_json::Value = serde_json::from_slice(&subject.payload()).unwrap();
        payload["critical"]["identity"]["docker-reference"] = json!(reference);
        Paper::signed(payload.to_string().into_bytes(), &key).check(&subject, &signers)
    };
    for good in [
        "registry.example/prod/app",
        "r:5000/prod/app:1@sha256:00",
        "r/prod/app:1",
    ] {
        assert_eq!(told(good).signers, ["release"], "{good}");
    }
    for bad in ["r/prod/apple", "r/x/prod/app", "r/app", "prod/app"] {
        assert!(problem(&told(bad)).contains("not for this repository"), "{bad}");
    }
    assert!(problem(&told("")).contains("does not say for which repository"));
}

#[test]
fn with_roots_a_key_needs_the_log() {
    let (subject, key, authority) = (Subject::new("an image"), key(), Authority::new());
    let signers = trusted(SignerSpec {
        roots: Some(authority.roots().to_string()),
        ..with_key("release", &key)
    });
    let paper = Paper::signed(subject.payload(), &key);
    assert!(problem(&paper.check(&subject, &signers)).contains("no entry of a transparency log"));
    let logged = |of: &Authority| {
        let log = of.log(&paper, &key.public_key_pem(), SIGNED);
        paper.clone().annotated("bundle", log).check(&subject, &signers)
    };
    let checked = logged(&authority);
    assert_eq!(checked.signers, ["release"], "{checked:?}");
    assert!(problem(&logged(&Authority::new())).contains("log"));
}

#[test]
fn of_several_signers_all_that_made_it_are_told() {
    let (subject, one, two) = (Subject::new("an image"), key(), key());
    let mut signers = trusted(with_key("one", &one));
    signers.extend(trusted(with_key("again", &one)));
    signers.extend(trusted(with_key("two", &two)));
    signers.extend(trusted(SignerSpec {
        author: Some("somebody".to_owned()),
        vex: true,
        ..spec("author")
    }));
    let paper = Paper::signed(subject.payload(), &one);
    assert_eq!(paper.check(&subject, &signers).signers, ["one", "again"]);
    let paper = Paper::signed(subject.payload(), &key());
    let told = problem(&paper.check(&subject, &signers));
    assert!(
        told.contains("one: ") && told.contains("two: ") && !told.contains("author"),
        "{told}"
    );
}
