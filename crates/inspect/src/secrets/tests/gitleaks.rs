//! Files of rules in gitleaks' form.

use super::super::{Pack, PackError, SecretLimits, Secrets};
use super::{look, with};

/// The rules that gitleaks 8.27 ships, where they are at hand.
fn shipped() -> Option<String> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/rules/gitleaks.toml"
    );
    std::fs::read_to_string(path).ok()
}

#[test]
fn all_rules_that_gitleaks_ships_load_and_compile() {
    let Some(text) = shipped() else {
        crate::skipped::impossible("the rules of gitleaks are not at hand");
        return;
    };
    let pack = Pack::parse("gitleaks.toml", &text).unwrap();
    assert_eq!(pack.len(), 222);
    assert_eq!(pack.notes(), [] as [String; 0]);
    pack.verify().unwrap();
    let near = pack.rules.iter().filter(|rule| rule.lead.is_some()).count();
    assert!(near > 200, "only {near} rules are run near their keywords");

    let mut secrets = Secrets::new(vec![pack], SecretLimits::default());
    let token = format!("dop_v1_{}", "0123456789abcdef".repeat(4));
    let (found, done) = look(
        &mut secrets,
        "app/run.sh",
        format!("\ntoken {token}\n").as_bytes(),
    );
    done.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].rule.as_str(), found[0].line),
        ("digitalocean-pat", Some(2))
    );
    let (found, _) = look(&mut secrets, "app/store.p12", b"text");
    assert_eq!(found[0].rule, "pkcs12-file");
    let (found, _) = look(&mut secrets, "app/node_modules/a.js", token.as_bytes());
    assert!(found.is_empty(), "the global list allows the path");
}

#[test]
fn unknown_words_are_noted_and_bad_rules_named() {
    let pack = Pack::parse(
        "a",
        "colour = 1\n[extend]\nuseDefault = true\n[[rules]]\nid = \"r\"\nregex = \"a\"\nshade = 2\n\
         [[rules.allowlists]]\nhue = 3\nregexes = [\"b\"]",
    );
    let notes = pack.unwrap().notes().join("; ");
    for word in ["colour", "extend", "shade", "hue"] {
        assert!(notes.contains(word), "{notes}");
    }
    for (rule, said) in [
        ("regex = '('", "rule bad"),
        ("description = 'nothing to look for'", "rule bad"),
        ("regex = 'a'\ncheck = 'no-such-check'", "rule bad"),
        ("regex = 'a'\nseverity = 'awful'", "rule bad"),
    ] {
        let error = Pack::parse("a", &format!("[[rules]]\nid = \"bad\"\n{rule}")).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    assert!(matches!(
        Pack::parse("a", "[[rules]"),
        Err(PackError::Toml { .. })
    ));
}

#[test]
fn a_rule_that_is_too_large_is_named_when_it_is_verified_and_is_an_error_when_it_is_used() {
    let rule = "[[rules]]\nid = \"bomb\"\nregex = '((a{1,200}){1,200}){1,200}'\nkeywords = ['a']";
    let error = Pack::parse("a", rule).unwrap().verify().unwrap_err();
    assert!(error.to_string().contains("rule bomb"), "{error}");
    let (_, done) = look(&mut with(rule), "f", b"aaa");
    assert!(done.unwrap_err().to_string().contains("secrets.rule_size"));
}

#[test]
fn lists_of_what_is_allowed_are_matched_with_what_they_name() {
    let rule = |list: &str| {
        format!(
            "[[rules]]\nid = \"r\"\nregex = 'key=(\\w+);'\nkeywords = [\"key=\"]\nentropy = 1\n\
             [[rules.allowlists]]\n{list}"
        )
    };
    let text = b"sample: key=abcd1234;";
    for (list, allowed) in [
        ("regexes = ['^abcd']", true),
        ("regexes = ['key']", false),
        ("regexTarget = 'match'\nregexes = ['^key=']", true),
        ("regexTarget = 'match'\nregexes = ['sample']", false),
        ("regexTarget = 'line'\nregexes = ['^sample']", true),
        ("stopwords = ['BCD1']", true),
        ("stopwords = ['sample']", false),
        ("paths = ['^app/']", true),
        ("condition = 'AND'\npaths = ['^app/']\nregexes = ['^abcd']", true),
        ("condition = 'AND'\npaths = ['^lib/']\nregexes = ['^abcd']", false),
        ("condition = 'OR'\npaths = ['^lib/']\nregexes = ['^abcd']", true),
        ("condition = 'AND'", false),
    ] {
        let (found, _) = look(&mut with(&rule(list)), "app/f", text);
        assert_eq!(found.is_empty(), allowed, "{list}");
    }
    let (found, _) = look(&mut with(&rule("")), "app/f", b"key=aaaaaaaa;");
    assert!(found.is_empty(), "the entropy of one letter is 0");
}

#[test]
fn rules_without_keywords_and_with_keywords_elsewhere_are_run() {
    let mut secrets = with(
        "[[rules]]\nid = \"bare\"\nregex = '\\bzz\\d{6}\\b'\n\
         [[rules]]\nid = \"far\"\nregex = '\\byy\\d{6}\\b'\nkeywords = ['vendor']\n\
         [[rules]]\nid = \"second\"\nregex = '(a)=(b\\d+)'\nsecretGroup = 2\nkeywords = ['a=']\n\
         [[rules]]\nid = \"path\"\npath = '\\.kdbx$'",
    );
    let names = |found: Vec<findings::ByteFinding>| found.into_iter().map(|f| f.rule).collect::<Vec<_>>();
    let text = format!("yy123456 {} Vendor zz123456 a=b12345678901", " ".repeat(100_000));
    assert_eq!(
        names(look(&mut secrets, "f", text.as_bytes()).0),
        ["far", "bare", "second"]
    );
    assert_eq!(names(look(&mut secrets, "f", b"yy123456").0), [] as [&str; 0]);
    assert_eq!(names(look(&mut secrets, "a.kdbx", b"\0").0), ["path"]);
    assert!(secrets.wants("a.kdbx", b"\0", 1, 0));
    let (found, _) = look(&mut secrets, "f", b"a=b12345678901");
    assert_eq!(found[0].excerpt.as_deref(), Some("b1…"));
}
