//! What administrators declare.

use super::world::{Authority, SUBJECT, key, spec, with_key};
use crate::{
    Identity, SignerError, SignerSpec, TrustedSigner, glob,
    limits::{MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_PATTERN_BYTES, MAX_PATTERNS, MAX_ROOTS_BYTES},
};

fn refused(spec: SignerSpec) -> SignerError {
    TrustedSigner::new(spec).err().expect("it is refused")
}

#[test]
fn a_signer_has_a_name_a_place_and_one_proof() {
    let key = key();
    let named = |name: &str| SignerSpec {
        name: name.to_owned(),
        ..with_key("x", &key)
    };
    for bad in ["", "a b", "a/b", "a\n", &"a".repeat(MAX_NAME_BYTES + 1)] {
        assert_eq!(refused(named(bad)), SignerError::Name, "{bad:?}");
    }
    assert_eq!(refused(spec("nobody")), SignerError::Proof);
    let both = SignerSpec {
        author: Some("a".to_owned()),
        vex: true,
        ..with_key("x", &key)
    };
    assert_eq!(refused(both), SignerError::Proof);
    for count in [0, MAX_PATTERNS + 1] {
        let places = SignerSpec {
            repositories: vec!["**".parse().unwrap(); count],
            ..with_key("x", &key)
        };
        assert_eq!(refused(places), SignerError::Repositories);
    }
}

#[test]
fn keys_have_to_be_public_keys() {
    let key = key();
    let of = |pem: String| SignerSpec {
        key: Some(pem),
        ..spec("x")
    };
    for bad in [
        String::new(),
        "ssh-ed25519 AAAA".to_owned(),
        key.serialize_pem(),
        key.public_key_pem().replace('A', ""),
        " ".repeat(MAX_KEY_BYTES + 1),
    ] {
        assert_eq!(refused(of(bad)), SignerError::Key);
    }
}

#[test]
fn identities_need_roots_and_are_somebody() {
    let authority = Authority::new();
    let good = authority.signer(SUBJECT);
    let without = SignerSpec {
        roots: None,
        ..good.clone()
    };
    assert_eq!(refused(without), SignerError::NoRoots);
    let anybody = authority.signer("**");
    assert_eq!(refused(anybody), SignerError::AnySubject);
    let long = authority.signer(&"a".repeat(MAX_PATTERN_BYTES + 1));
    assert_eq!(refused(long), SignerError::Text("subject"));
    let nowhere = SignerSpec {
        identity: Some(Identity {
            issuer: String::new(),
            subject: SUBJECT.to_owned(),
        }),
        ..good.clone()
    };
    assert_eq!(refused(nowhere), SignerError::Text("issuer"));
    for roots in ["{}".to_owned(), "[".to_owned(), " ".repeat(MAX_ROOTS_BYTES + 1)] {
        let spec = SignerSpec {
            roots: Some(roots),
            ..good.clone()
        };
        assert!(matches!(
            refused(spec),
            SignerError::Roots(_) | SignerError::EmptyRoots(_)
        ));
    }
}

#[test]
fn products_are_for_vex_and_authors_for_nothing_else() {
    let key = key();
    let product = |vex, product: String| SignerSpec {
        vex,
        products: vec![product],
        ..with_key("x", &key)
    };
    assert_eq!(
        refused(product(false, "a".to_owned())),
        SignerError::ProductsWithoutVex
    );
    let long = "a".repeat(MAX_PATTERN_BYTES + 1);
    assert_eq!(refused(product(true, long)), SignerError::Products);
    let author = |vex| SignerSpec {
        author: Some("Example".to_owned()),
        vex,
        ..spec("x")
    };
    assert_eq!(refused(author(false)), SignerError::Author);
    let signer = TrustedSigner::new(author(true)).unwrap();
    assert!(!signer.signs() && signer.speaks_of(["pkg:deb/debian/curl"].into_iter()));
    let signer = TrustedSigner::new(product(true, "pkg:deb/debian/*".to_owned())).unwrap();
    assert!(signer.speaks_of(["x", "pkg:deb/debian/curl"].into_iter()));
    assert!(!signer.speaks_of(["pkg:deb/ubuntu/curl"].into_iter()));
}

#[test]
fn a_star_stands_for_any_text() {
    for (pattern, text) in [
        ("", ""),
        ("*", ""),
        ("*", "abc"),
        ("a*", "a"),
        ("a*c", "abc"),
        ("a*b*c", "axxbyyc"),
        ("*b*", "abc"),
        ("a**c", "ac"),
        ("*abab", "ababab"),
    ] {
        assert!(glob::matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [
        ("", "a"),
        ("a", "ab"),
        ("a*", "ba"),
        ("a*c", "ab"),
        ("ab*b", "ab"),
        ("a*b*c", "acb"),
    ] {
        assert!(!glob::matches(pattern, text), "{pattern} {text}");
    }
}
