//! What strangers send.

use proptest::prelude::*;
use serde_json::json;

use super::world::{Authority, Paper, SUBJECT, Subject, key, trusted, with_key};
use crate::{Form, Problem, limits::MAX_PARTS};

#[test]
fn what_has_too_many_parts_is_not_verified() {
    let (subject, key) = (Subject::new("an image"), key());
    let signers = trusted(with_key("release", &key));
    let mut paper = Paper::enveloped(&subject.statement("a", &json!({})), &key);
    let mut envelope: serde_json::Value = serde_json::from_slice(&paper.bytes).unwrap();
    let signature = envelope["signatures"][0].clone();
    let with = |count| vec![signature.clone(); count];
    envelope["signatures"] = json!(with(MAX_PARTS));
    paper.bytes = envelope.to_string().into_bytes();
    assert_eq!(paper.check(&subject, &signers).signers, ["release"]);
    envelope["signatures"] = json!(with(MAX_PARTS + 1));
    paper.bytes = envelope.to_string().into_bytes();
    let checked = paper.check(&subject, &signers);
    assert!(matches!(
        checked.problem,
        Some(Problem::TooMany {
            what: "signatures",
            ..
        })
    ));
}

#[test]
fn a_long_chain_is_not_verified() {
    let (subject, authority) = (Subject::new("an image"), Authority::new());
    let mut paper = authority.keyless(subject.payload(), SUBJECT);
    let chain = paper.annotations.get_mut("dev.sigstore.cosign/chain").unwrap();
    *chain = chain.repeat(MAX_PARTS);
    let checked = paper.check(&subject, &trusted(authority.signer(SUBJECT)));
    assert!(checked.signers.is_empty());
    let problem = checked.problem.unwrap().to_string();
    assert!(
        problem.contains("certificates; at most 8 are verified"),
        "{problem}"
    );
}

#[test]
fn what_cannot_be_read_says_so_in_a_line() {
    let subject = Subject::new("an image");
    for form in [Form::SimpleSigning, Form::Envelope, Form::Bundle] {
        for bytes in [&b""[..], b"{}", b"[]", b"null", b"\xff", b"{\"a\n\x1b[2J"] {
            let paper = Paper {
                form,
                bytes: bytes.to_vec(),
                annotations: [].into(),
            };
            let checked = paper.check(&subject, &[]);
            let problem = checked.problem.unwrap().to_string();
            assert!(problem.starts_with("it cannot be read: "), "{problem}");
            assert!(!problem.contains(['\n', '\x1b']), "{problem}");
        }
    }
}

#[test]
fn notation_is_recognised() {
    let subject = Subject::new("an image");
    let paper = Paper {
        form: Form::Notation,
        bytes: Vec::new(),
        annotations: [].into(),
    };
    assert_eq!(paper.check(&subject, &[]).problem, Some(Problem::NotVerified));
}

#[test]
fn layers_are_recognised_by_their_media_types() {
    let manifest = |artifact_type: Option<&str>, layer: &str| {
        let digest = super::world::sha256(b"");
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": 0 },
            "layers": [{ "mediaType": layer, "digest": digest, "size": 0 }],
        });
        if let Some(kind) = artifact_type {
            manifest["artifactType"] = json!(kind);
        }
        let limits = oci::ManifestLimits::default();
        let manifest = oci::Manifest::parse(manifest.to_string().as_bytes(), None, &limits).unwrap();
        crate::announced(&manifest)
            .map(|found| found.form)
            .collect::<Vec<_>>()
    };
    let cosign = "application/vnd.dev.cosign.simplesigning.v1+json";
    assert_eq!(manifest(None, cosign), [Form::SimpleSigning]);
    assert_eq!(
        manifest(None, "application/vnd.dsse.envelope.v1+json"),
        [Form::Envelope]
    );
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    assert_eq!(manifest(Some(bundle), bundle), [Form::Bundle]);
    let notation = Some("application/vnd.cncf.notary.signature");
    assert_eq!(manifest(notation, "application/jose+json"), [Form::Notation]);
    assert!(manifest(None, "application/vnd.oci.image.layer.v1.tar+gzip").is_empty());
}

proptest! {
    /// Whatever comes: an answer, and nobody who made it.
    #[test]
    fn nothing_but_the_key_makes_a_signature(
        at in 0_usize..2_000, byte in any::<u8>(), form in 0_usize..3, cut in any::<bool>(),
    ) {
        let (subject, key) = (Subject::new("an image"), key());
        let statement = subject.statement("a", &json!({}));
        let mut paper = match form {
            0 => Paper::signed(subject.payload(), &key),
            1 => Paper::enveloped(&statement, &key),
            _ => Paper::bundled(&statement, &key),
        };
        let at = at % paper.bytes.len();
        let was = paper.bytes.clone();
        if cut { paper.bytes.truncate(at) } else { paper.bytes[at] = byte }
        let checked = paper.check(&subject, &trusted(with_key("release", &key)));
        // An envelope says some things besides what was signed: the name of a key, the media type, spaces.
        prop_assert!(checked.signers.is_empty() || paper.bytes == was || form > 0);
        prop_assert_eq!(checked.signers.is_empty(), checked.problem.is_some());
    }
}
