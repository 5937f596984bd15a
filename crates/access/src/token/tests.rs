use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::role::{Role, RoleSet};
use crate::scope::MAX_SCOPE_BYTES;

const KEY: [u8; 32] = [9; 32];
const NOW: i64 = 1_800_000_000;

fn claims() -> Claims {
    Claims {
        id: [0xab; 16],
        audience: Audience::Registry,
        subject: Some(TokenSubject {
            name: "ann".parse().unwrap(),
            principal: PrincipalId(7),
            secret: SecretId(11),
        }),
        scopes: vec![
            Scope::repository("team/app".parse().unwrap(), Role::Push),
            Scope::Catalog,
        ],
        issued_at: NOW,
        expires_at: NOW + 300,
    }
}

fn wire() -> Value {
    json!({
        "iss": "roadbed", "aud": "roadbed-registry", "sub": "ann", "pid": 7, "sid": 11,
        "jti": "abababababababababababababababab", "iat": NOW, "nbf": NOW, "exp": NOW + 300,
        "scope": "repository:team/app:pull,push registry:catalog:*",
    })
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with our key and whatever claims.
fn signed(claims: &Value) -> String {
    signed_with(Algorithm::HS256, claims, &KEY)
}

fn signed_with(algorithm: Algorithm, claims: &Value, key: &[u8]) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
}

/// Verified as a registry token at `NOW`.
fn verify(token: &str) -> Result<Claims, TokenError> {
    Signer::new(KEY).verify(token, Audience::Registry, NOW)
}

#[test]
fn what_is_issued_is_verified() {
    let signer = Signer::new(KEY);
    for audience in [Audience::Registry, Audience::Api] {
        let claims = Claims { audience, ..claims() };
        let token = signer.issue(&claims).unwrap();
        assert_eq!(signer.verify(&token, audience, NOW), Ok(claims));
    }
    let anonymous = Claims {
        subject: None,
        scopes: vec![],
        ..claims()
    };
    let token = signer.issue(&anonymous).unwrap();
    assert_eq!(signer.verify(&token, Audience::Registry, NOW), Ok(anonymous));
    assert_eq!(verify(&signed(&wire())), Ok(claims()));
    assert_eq!(format!("{signer:?}"), "Signer(redacted)");
}

#[test]
fn a_token_holds_from_its_beginning_to_its_end() {
    let signer = Signer::new(KEY);
    let token = signer.issue(&claims()).unwrap();
    let at = |now| signer.verify(&token, Audience::Registry, now).map(|_| ());
    assert_eq!(at(NOW - CLOCK_SKEW_SECONDS - 1), Err(TokenError::NotYetValid));
    assert_eq!(at(NOW - CLOCK_SKEW_SECONDS), Ok(()));
    assert_eq!(at(NOW + 299), Ok(()));
    assert_eq!(at(NOW + 300), Err(TokenError::Expired));
    assert_eq!(at(i64::MAX), Err(TokenError::Expired));
    assert_eq!(at(i64::MIN), Err(TokenError::NotYetValid));
}

#[test]
fn a_token_is_for_one_use() {
    let signer = Signer::new(KEY);
    let registry = signer.issue(&claims()).unwrap();
    let api = signer
        .issue(&Claims {
            audience: Audience::Api,
            ..claims()
        })
        .unwrap();
    assert_eq!(
        signer.verify(&registry, Audience::Api, NOW),
        Err(TokenError::Audience)
    );
    assert_eq!(
        signer.verify(&api, Audience::Registry, NOW),
        Err(TokenError::Audience)
    );
}

#[test]
fn other_algorithms_are_refused() {
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(
            verify(&signed_with(algorithm, &wire(), &KEY)),
            Err(TokenError::Algorithm)
        );
    }
    let signature = URL_SAFE_NO_PAD.encode([0_u8; 32]);
    let good = signed(&wire());
    let good_signature = good.rsplit_once('.').unwrap().1;
    for (alg, error) in [
        ("none", TokenError::Malformed),
        ("None", TokenError::Malformed),
        ("NONE", TokenError::Malformed),
        ("", TokenError::Malformed),
        ("hs256", TokenError::Malformed),
        ("RS256", TokenError::Algorithm),
        ("ES256", TokenError::Algorithm),
        ("PS256", TokenError::Algorithm),
        ("EdDSA", TokenError::Algorithm),
    ] {
        let head = part(&json!({"alg": alg, "typ": "JWT"}));
        for signature in ["", &signature, good_signature] {
            let token = format!("{head}.{}.{signature}", part(&wire()));
            assert_eq!(verify(&token), Err(error), "{alg}");
        }
    }
    let no_alg = format!(
        "{}.{}.{good_signature}",
        part(&json!({"typ": "JWT"})),
        part(&wire())
    );
    assert_eq!(verify(&no_alg), Err(TokenError::Malformed));
}

#[test]
fn a_key_in_the_header_is_not_used() {
    let mut header = Header::new(ALGORITHM);
    header.jku = Some("https://evil.example/keys".into());
    header.kid = Some("../../dev/null".into());
    let foreign = jsonwebtoken::encode(&header, &wire(), &EncodingKey::from_secret(&[1; 32])).unwrap();
    assert_eq!(verify(&foreign), Err(TokenError::Signature));
    assert_eq!(
        verify(&signed_with(ALGORITHM, &wire(), b"")),
        Err(TokenError::Signature)
    );
}

#[test]
fn every_claim_is_demanded_and_checked() {
    for missing in ["iss", "aud", "jti", "iat", "nbf", "exp", "sub", "pid", "sid"] {
        let mut claims = wire();
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(verify(&signed(&claims)), Err(TokenError::Malformed), "{missing}");
    }
    for (claim, value, error) in [
        ("iss", json!("other"), TokenError::Issuer),
        ("aud", json!("other"), TokenError::Audience),
        (
            "aud",
            json!(["roadbed-registry", "roadbed-api"]),
            TokenError::Malformed,
        ),
        ("aud", json!(null), TokenError::Malformed),
        ("sub", json!("Not A Name"), TokenError::Malformed),
        ("sub", json!("anonymous"), TokenError::Malformed),
        ("jti", json!("ab"), TokenError::Malformed),
        ("jti", json!("x".repeat(32)), TokenError::Malformed),
        ("exp", json!("soon"), TokenError::Malformed),
        ("exp", json!(1.5), TokenError::Malformed),
        ("exp", json!(NOW), TokenError::Lifetime),
        ("exp", json!(i64::MAX), TokenError::Lifetime),
        ("exp", json!(NOW + MAX_LIFETIME_SECONDS + 1), TokenError::Lifetime),
        ("iat", json!(i64::MIN), TokenError::Lifetime),
        ("nbf", json!(NOW + 100), TokenError::NotYetValid),
        ("scope", json!("repository:BAD:pull"), TokenError::Malformed),
        (
            "scope",
            json!("x:y:z ".repeat(MAX_SCOPES + 1)),
            TokenError::Malformed,
        ),
    ] {
        let mut claims = wire();
        claims[claim] = value.clone();
        assert_eq!(verify(&signed(&claims)), Err(error), "{claim}={value}");
    }
}

#[test]
fn an_admin_scope_in_a_token_is_nothing() {
    let mut claims = wire();
    claims["scope"] = json!("repository:a:admin");
    assert!(verify(&signed(&claims)).unwrap().scopes.is_empty());
}

#[test]
fn overlong_tokens_are_refused_unparsed() {
    let token = Signer::new(KEY).issue(&claims()).unwrap();
    let long = format!("{token}{}", "A".repeat(MAX_TOKEN_BYTES));
    assert_eq!(verify(&long), Err(TokenError::TooLong));
    assert_eq!(verify(&"A".repeat(MAX_TOKEN_BYTES)), Err(TokenError::Malformed));
    for nonsense in ["", ".", "..", "...", "a.b", "a.b.c.d"] {
        assert_eq!(verify(nonsense), Err(TokenError::Malformed), "{nonsense}");
    }
}

#[test]
fn only_sensible_claims_are_signed() {
    let signer = Signer::new(KEY);
    for expires_at in [NOW, NOW - 1, NOW + MAX_LIFETIME_SECONDS + 1, i64::MIN] {
        assert_eq!(
            signer.issue(&Claims {
                expires_at,
                ..claims()
            }),
            Err(TokenError::Lifetime)
        );
    }
    let scopes = vec![Scope::Catalog; MAX_SCOPES + 1];
    assert_eq!(
        signer.issue(&Claims { scopes, ..claims() }),
        Err(TokenError::TooManyScopes)
    );
    let scope = |n| Scope::repository(format!("{}/r{n}", "x".repeat(200)).parse().unwrap(), Role::Pull);
    let scopes = (0..MAX_SCOPES).map(scope).collect();
    assert_eq!(
        signer.issue(&Claims { scopes, ..claims() }),
        Err(TokenError::TooLong)
    );
}

/// The cap on the text of scopes is what keeps every token that a client can ask for under the cap on tokens.
#[test]
fn the_fullest_request_makes_a_token_that_is_accepted() {
    let fixed = "repository::push ".len();
    let name_bytes = MAX_SCOPE_BYTES / MAX_SCOPES - fixed;
    let text = (0..MAX_SCOPES)
        .map(|n| format!("repository:{n:0>name_bytes$}:push"))
        .collect::<Vec<_>>()
        .join(" ");
    assert!(text.len() <= MAX_SCOPE_BYTES && text.len() > MAX_SCOPE_BYTES - MAX_SCOPES);
    let scopes = Scope::parse_list([text.as_str()]).unwrap();
    let name = "n".repeat(crate::principal::MAX_NAME_BYTES).parse().unwrap();
    let subject = TokenSubject {
        name,
        principal: PrincipalId(i64::MAX),
        secret: SecretId(i64::MAX),
    };
    let claims = Claims {
        scopes,
        subject: Some(subject),
        ..claims()
    };
    let token = Signer::new(KEY).issue(&claims).unwrap();
    assert_eq!(verify(&token), Ok(claims));
}

proptest! {
    /// Also in the last digit, of which base64 needs only some bits: the decoder refuses the others.
    #[test]
    fn a_changed_token_is_refused(at in 0_usize..400, with in "[A-Za-z0-9_.-]") {
        let token = Signer::new(KEY).issue(&claims()).unwrap();
        let at = at % token.len();
        prop_assume!(token[at..=at] != with);
        let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
        prop_assert!(verify(&changed).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(token in "[A-Za-z0-9_=-]{0,40}(\\.[A-Za-z0-9_=-]{0,40}){0,3}|.{0,50}") {
        prop_assert!(verify(&token).is_err());
    }

    #[test]
    fn actions_survive_the_way(bits in 1_u8..8) {
        let roles: RoleSet = [Role::Pull, Role::Push, Role::Delete].into_iter()
            .enumerate().filter(|(n, _)| bits & (1 << n) != 0).map(|(_, role)| role).collect();
        let claims = Claims { scopes: vec![Scope::repository("a".parse().unwrap(), roles)], ..claims() };
        prop_assert_eq!(verify(&Signer::new(KEY).issue(&claims).unwrap()), Ok(claims));
    }
}
