//! The product's own rules, by the examples that lie beside them.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::super::{Pack, check::crc32_base62, known, redact};
use super::{look, own};

#[derive(Deserialize)]
struct Examples {
    finds: Vec<Finds>,
    passes: Vec<Passes>,
}

#[derive(Deserialize)]
struct Finds {
    rule: String,
    #[serde(default = "some_path")]
    path: String,
    texts: Vec<String>,
}

#[derive(Deserialize)]
struct Passes {
    #[serde(default = "some_path")]
    path: String,
    texts: Vec<String>,
}

fn some_path() -> String {
    "app/notes.txt".to_owned()
}

fn examples() -> Examples {
    toml::from_str(include_str!("../../../rules/secrets/examples.toml")).unwrap()
}

const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn alphabet(name: &str) -> &'static [u8] {
    match name {
        "alnum" => ALNUM,
        "hex" => b"0123456789abcdef",
        "base64" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "bech32" => b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
        "digits" => b"0123456789",
        "lower" => b"abcdefghijklmnopqrstuvwxyz0123456789",
        other => panic!("no alphabet {other}"),
    }
}

/// Characters that look random and are the same each time.
fn noise(alphabet: &[u8], count: usize) -> String {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()])
    };
    (0..count).map(next).collect()
}

fn base64(text: &str) -> String {
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            out.push(char::from(
                alphabet("base64")[(bits >> (18 - 6 * place) & 63) as usize],
            ));
        }
    }
    out
}

/// Puts what `{…}` stands for in its place.
fn expand(text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else {
        return text.to_owned();
    };
    let Some((name, argument)) = rest
        .split_once(' ')
        .filter(|(name, _)| name.bytes().all(|b| b.is_ascii_alphanumeric()))
    else {
        return format!("{before}{{{}", expand(rest));
    };
    // A text in base 64 may have braces of its own.
    let end = if argument.starts_with("of {") {
        argument.find("}}").unwrap() + 1
    } else {
        argument.find('}').unwrap()
    };
    let (argument, after) = (&argument[..end], &argument[end + 1..]);
    let made = match (name, argument.strip_prefix("of ")) {
        (_, Some(text)) => base64(text),
        ("crc", None) => {
            let payload = noise(ALNUM, 30);
            let suffix = crc32_base62(payload.as_bytes());
            format!("{argument}{payload}{}", std::str::from_utf8(&suffix).unwrap())
        }
        _ => noise(alphabet(name), argument.parse().unwrap()),
    };
    format!("{before}{made}{}", expand(after))
}

#[test]
fn every_rule_finds_its_examples() {
    let mut secrets = own();
    for example in examples().finds {
        for text in &example.texts {
            let text = expand(text);
            let (found, done) = look(&mut secrets, &example.path, text.as_bytes());
            done.unwrap();
            let rules: Vec<_> = found.iter().map(|finding| finding.rule.as_str()).collect();
            assert_eq!(rules, [example.rule.as_str()], "{text}");
            assert_eq!(found[0].pack, "roadbed");
        }
    }
}

#[test]
fn what_is_no_secret_passes() {
    let mut secrets = own();
    for example in examples().passes {
        for text in &example.texts {
            let text = expand(text);
            let (found, done) = look(&mut secrets, &example.path, text.as_bytes());
            done.unwrap();
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }
}

#[test]
fn every_rule_has_an_example_a_fix_and_a_bound() {
    let pack = Pack::own().unwrap();
    pack.verify().unwrap();
    assert_eq!(pack.notes(), [] as [String; 0]);
    let named: BTreeSet<_> = examples().finds.into_iter().map(|example| example.rule).collect();
    let rules: BTreeSet<_> = pack.rules.iter().map(|rule| rule.id.clone()).collect();
    assert_eq!(named, rules);
    assert_eq!(pack.rules.len(), rules.len(), "an id is given twice");
    for rule in &pack.rules {
        assert!(rule.fix.is_some(), "{}", rule.id);
        let is_near = rule.lead.is_some() || rule.path.is_some();
        assert!(is_near, "{} would be run over whole files", rule.id);
    }
}

#[test]
fn nothing_of_a_key_is_shown_and_little_of_a_token() {
    let key = expand("-----BEGIN RSA PRIVATE KEY-----\n{base64 600}\n-----END RSA PRIVATE KEY-----\n");
    let (found, _) = look(&mut own(), "app/key.pem", key.as_bytes());
    assert_eq!(found[0].excerpt, None);
    let token = expand("{crc ghp_}");
    let (found, _) = look(&mut own(), "app/x", token.as_bytes());
    assert_eq!(
        found[0].excerpt.clone().unwrap(),
        format!("ghp_…{}", &token[token.len() - 2..])
    );
    assert_eq!(
        found[0].fingerprint.clone().unwrap(),
        redact::fingerprint(token.as_bytes())
    );
}

#[test]
fn the_fingerprint_of_a_key_does_not_depend_on_its_line_breaks() {
    let body = noise(alphabet("base64"), 128);
    let (head, tail) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
    let spellings = [
        format!("{head}\n{}\n{}\n{tail}\n", &body[..64], &body[64..]),
        format!("{head}\r\n{}\r\n{}\r\n{tail}\r\n", &body[..64], &body[64..]),
        format!("\"{head}\\n{}\\n{}\\n{tail}\\n\"", &body[..64], &body[64..]),
        format!("  {head}\n  {}\n  {}\n  {tail}\n", &body[..64], &body[64..]),
    ];
    let fingerprints: BTreeSet<_> = spellings
        .iter()
        .map(|text| look(&mut own(), "f", text.as_bytes()).0.remove(0).fingerprint)
        .collect();
    assert_eq!(fingerprints.len(), 1);
}

#[test]
fn keys_that_are_published_with_tests_are_examples() {
    // The key that Go ships as crypto/tls/testdata/example-key.pem.
    let body = [
        "MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/PuoAoGCCqGSM49",
        "AwEHoUQDQgAEPR3tU2Fta9ktY+6P9G0cWO+0kETA6SFs38GecTyudlHz6xvCdz8q",
        "EKTcWGekdmdDPsHloRNtsiCa697B2O9IFA==",
    ]
    .join("\n");
    let text = format!(
        "-----BEGIN EC {0}-----\n{body}\n-----END EC {0}-----\n",
        "PRIVATE KEY"
    );
    let (found, _) = look(&mut own(), "usr/lib/go/example-key.pem", text.as_bytes());
    assert_eq!(found.len(), 1);
    assert!(found[0].is_example);
    assert!(!known::is_example("0"));
}

#[test]
fn a_text_that_is_no_file_is_read_like_settings() {
    let secrets = own();
    let text = expand("PATH=/usr/bin\nDB_PASSWORD={alnum 14}\n");
    let found = secrets.scan_text("image:env", &text);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].path.as_str(), found[0].line), ("image:env", Some(2)));
    assert!(secrets.scan_text("labels", &text).is_empty());
}
