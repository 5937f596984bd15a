//! Certificates of an authority, and its log.

use serde_json::json;
use time::Duration;

use super::world::{Authority, Paper, SIGNED, SUBJECT, Subject, key, trusted, with_key};
use crate::{Checked, SignerSpec, TrustedSigner};

struct World {
    subject: Subject,
    authority: Authority,
    signers: Vec<TrustedSigner>,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new();
        Self {
            subject: Subject::new("an image"),
            signers: trusted(authority.signer(SUBJECT)),
            authority,
        }
    }

    fn check(&self, paper: &Paper) -> Checked {
        paper.check(&self.subject, &self.signers)
    }

    fn refused(&self, paper: &Paper) -> String {
        let checked = self.check(paper);
        assert!(checked.signers.is_empty(), "{checked:?}");
        checked.problem.expect("a reason").to_string()
    }
}

#[test]
fn an_identity_stands_behind_what_it_signed_while_its_certificate_lived() {
    let world = World::new();
    let checked = world.check(&world.authority.keyless(world.subject.payload(), SUBJECT));
    assert_eq!(checked.signers, ["ci"], "{checked:?}");
    assert_eq!(
        checked.certificate.as_deref(),
        Some("https://example.com/app/release.yaml of https://token.example")
    );
}

#[test]
fn subjects_match_as_patterns_and_issuers_exactly() {
    let world = World::new();
    let paper = world.authority.keyless(world.subject.payload(), SUBJECT);
    let of = |subject: &str, issuer: Option<&str>| {
        let mut spec = world.authority.signer(subject);
        if let (Some(identity), Some(issuer)) = (&mut spec.identity, issuer) {
            issuer.clone_into(&mut identity.issuer);
        }
        paper.check(&world.subject, &trusted(spec))
    };
    assert_eq!(of("https://example.com/app/*", None).signers, ["ci"]);
    assert_eq!(of("https://*/release.yaml", None).signers, ["ci"]);
    for (subject, issuer) in [
        ("https://example.com/other/*", None),
        ("example.com/app/release.yaml", None),
        (SUBJECT, Some("https://token.example/")),
    ] {
        let problem = of(subject, issuer).problem.unwrap().to_string();
        assert!(
            problem.contains("it was signed by https://example.com/app/release.yaml"),
            "{problem}"
        );
    }
}

#[test]
fn a_swapped_certificate_is_noticed() {
    let world = World::new();
    let stranger = world
        .authority
        .keyless(world.subject.payload(), "https://example.com/stranger");
    assert!(
        world
            .refused(&stranger)
            .contains("it was signed by https://example.com/stranger")
    );
    // The certificate of who is trusted, with a signature of the stranger's key.
    let good = world.authority.keyless(world.subject.payload(), SUBJECT);
    let name = "dev.sigstore.cosign/certificate";
    let mut swapped = stranger;
    swapped
        .annotations
        .insert(name.to_owned(), good.annotations[name].clone());
    world.refused(&swapped);
    // Both certificate and log entry of who is trusted.
    let name = "dev.sigstore.cosign/bundle";
    swapped
        .annotations
        .insert(name.to_owned(), good.annotations[name].clone());
    world.refused(&swapped);
    // An authority that calls itself the same.
    world.refused(&Authority::new().keyless(world.subject.payload(), SUBJECT));
}

#[test]
fn without_an_entry_of_the_log_nothing_is_believed() {
    let world = World::new();
    let good = world.authority.keyless(world.subject.payload(), SUBJECT);
    let mut unlogged = good.clone();
    unlogged.annotations.remove("dev.sigstore.cosign/bundle");
    assert!(
        world
            .refused(&unlogged)
            .contains("no entry of a transparency log")
    );
    let key = key();
    let certificate = world.authority.certify(&key, SUBJECT);
    let paper = Paper::signed(world.subject.payload(), &key).annotated("certificate", &certificate);
    let at = |authority: &Authority, moment| {
        let log = authority.log(&paper, &certificate, moment);
        paper.clone().annotated("bundle", log)
    };
    assert_eq!(world.check(&at(&world.authority, SIGNED)).signers, ["ci"]);
    // The key may have been stolen after the certificate's time.
    world.refused(&at(&world.authority, SIGNED + Duration::minutes(6)));
    world.refused(&at(&world.authority, SIGNED - Duration::minutes(6)));
    // Another log's promise, and a promise about something else.
    world.refused(&at(&Authority::new(), SIGNED));
    let other = Paper::signed(b"{}".to_vec(), &key);
    let log = world.authority.log(&other, &certificate, SIGNED);
    world.refused(&paper.annotated("bundle", log));
}

#[test]
fn a_promise_that_was_altered_is_noticed() {
    let world = World::new();
    let mut paper = world.authority.keyless(world.subject.payload(), SUBJECT);
    let log = paper.annotations.get_mut("dev.sigstore.cosign/bundle").unwrap();
    let mut altered: serde_json::Value = serde_json::from_str(log).unwrap();
    altered["Payload"]["integratedTime"] = json!((SIGNED + Duration::minutes(1)).unix_timestamp());
    *log = altered.to_string();
    world.refused(&paper);
}

#[test]
fn altered_words_and_other_images_are_not_signed() {
    let world = World::new();
    let other = Subject::new("another one");
    let replayed = world.authority.keyless(other.payload(), SUBJECT);
    assert!(world.refused(&replayed).contains("not about this image"));
    let mut altered = replayed;
    altered.bytes = world.subject.payload();
    world.refused(&altered);
}

#[test]
fn keys_and_certificates_are_not_taken_for_one_another() {
    let world = World::new();
    let key = key();
    let keyed = Paper::signed(world.subject.payload(), &key);
    assert!(
        world
            .refused(&keyed)
            .contains("with a key, not with a certificate")
    );
    let certificate = world.authority.certify(&key, SUBJECT);
    let certified = keyed.annotated("certificate", certificate);
    let checked = certified.check(&world.subject, &trusted(with_key("release", &key)));
    let problem = checked.problem.unwrap().to_string();
    assert!(
        problem.contains("with a certificate, not with the key"),
        "{problem}"
    );
}

#[test]
fn roots_have_to_certify_something() {
    let authority = Authority::new();
    let without = |what: &str| {
        let mut roots = authority.roots();
        roots[what] = json!([]);
        let spec = SignerSpec {
            roots: Some(roots.to_string()),
            ..authority.signer(SUBJECT)
        };
        TrustedSigner::new(spec).err().expect("refused").to_string()
    };
    assert_eq!(
        without("certificateAuthorities"),
        "`roots` names no certificate authority"
    );
    assert!(without("tlogs").contains("no transparency log and no timestamp authority"));
}
