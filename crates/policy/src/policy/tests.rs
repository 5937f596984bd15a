use std::collections::BTreeSet;

use super::*;
use crate::document::{PolicyFile, RuleEntry};

fn problems(text: &str) -> Vec<String> {
    let sources = [PolicySource { name: "p.yaml", text }];
    let errors = Policy::check(&sources, &PolicyLimits::default());
    errors.iter().map(ToString::to_string).collect()
}

/// A policy of one rule with these lines below its id.
fn rule(lines: &str) -> String {
    format!(
        "version: 1\nrules:\n  - id: a\n{}",
        lines
            .replace('|', "\n")
            .replace('\n', "\n    ")
            .replacen("", "    ", 1)
    )
}

#[test]
fn the_default_policy_is_a_policy() {
    let policy = Policy::default_policy();
    assert_eq!(problems(DEFAULT_POLICY), Vec::<String>::new());
    let refusing: Vec<_> = policy
        .rules()
        .iter()
        .filter(|rule| rule.decide == crate::Effect::Refuse)
        .map(|rule| rule.id.as_str())
        .collect();
    assert_eq!(refusing, ["exploited", "malware"]);
}

fn assert_told(mistakes: &[(&str, &str)]) {
    for (text, expected) in mistakes {
        assert_eq!(problems(text), [*expected], "{text}");
    }
}

#[test]
fn mistakes_are_told_with_line_and_right_name() {
    assert_told(&[
        ("rules: []", "p.yaml:1: a policy needs the key `version`"),
        ("version: 1", "p.yaml:1: a policy needs the key `rules`"),
        (
            "# x\nversion: 2\nrules: []",
            "p.yaml:2: this is written in version 2 of the language of rules; known here is version 1",
        ),
        (
            "version: 1\nrulez: []",
            "p.yaml:2: a policy has no key `rulez`, did you mean `rules`?",
        ),
        (
            &rule("wen: 'true'"),
            "p.yaml:4: a rule has no key `wen`, did you mean `when`?",
        ),
        (&rule("decide: warn"), "p.yaml:3: a rule needs the key `when`"),
        (&rule("when: 'true'"), "p.yaml:3: a rule needs the key `decide`"),
        (
            &rule("when: 'true'|decide: refuze"),
            "p.yaml:5: `refuze` is nothing that `decide` can be, did you mean `refuse`?",
        ),
        (
            &rule("when: finding.kef|decide: warn"),
            "p.yaml:4: rule `a`: `finding` has no field `kef`, did you mean `kev`? (column 8)",
        ),
        (
            &rule("when: 'true'|decide: warn|on: [pull, psh]"),
            "p.yaml:6: `psh` is nothing that `on` can be, did you mean `push`?",
        ),
        (
            &rule("when: 'true'|decide: warn|on: []"),
            "p.yaml:6: `on` has 0 entries: from 1 to 3 are allowed",
        ),
    ]);
}

#[test]
fn what_has_no_meaning_together_is_told_with_its_line() {
    assert_told(&[
        (
            &rule("when: 'true'|decide: refuse|running: keeep"),
            "p.yaml:6: `keeep` is nothing that `running` can be, did you mean `keep`?",
        ),
        (
            &rule("when: 'true'|decide: warn|running: keep"),
            "p.yaml:6: `running` has a meaning only for rules that refuse",
        ),
        (
            &rule("when: 'true'|decide: warn|after: 3"),
            "p.yaml:6: `after` has a meaning only for rules that refuse",
        ),
        (
            &rule("when: image.os_eol|decide: refuse|after: 3"),
            "p.yaml:6: `after` counts from the dates of a finding, but the condition is about no finding",
        ),
        (
            &rule("when: finding.kev|decide: refuse|after: 366"),
            "p.yaml:6: `after: 366` is too long: at most 365 days are allowed",
        ),
        (
            &rule("when: 'true'|decide: warn|severity: sever"),
            "p.yaml:6: `sever` is nothing that `severity` can be, did you mean `low`?",
        ),
        (
            &rule("when: 'true'|decide: warn|message: '{finding.id}'"),
            "p.yaml:6: rule `a`: the message names the finding `{finding.id}`, but the condition is about no finding",
        ),
        (
            &rule("when: finding.kev|decide: warn|message: '{finding.fixx}'"),
            "p.yaml:6: rule `a`: a message has no place `{finding.fixx}`, did you mean `finding.fix`?",
        ),
        (
            &rule("when: 'true'|when: 'true'"),
            "p.yaml:5: duplicate mapping key: when",
        ),
        (
            "version: 1\nrules:\n  - {id: A b, when: 'true', decide: warn}",
            "p.yaml:3: `A b` is no id: write up to 64 of a-z, 0-9, - and ., and begin with a letter",
        ),
        (
            "version: 1\nrules:\n  - {id: a, when: 'true', decide: warn}\n  - {id: a, when: 'true', decide: warn}",
            "p.yaml:4: rule `a` is declared already, at p.yaml:3",
        ),
    ]);
    let pattern = problems(&rule("when: 'true'|decide: warn|repositories: 'UPPER/**'"));
    assert!(
        pattern[0].starts_with("p.yaml:6: repository pattern `UPPER/**`"),
        "{pattern:?}"
    );
    assert!(problems("version: 1\nrules: 3")[0].starts_with("p.yaml:2: "));
    assert!(problems("version: [")[0].starts_with("p.yaml:"));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text =
        "version: 1\nrules:\n  - {id: a, when: x, decide: warn}\n  - {id: b, when: 'true', decide: maybe}\n";
    assert_eq!(problems(text).len(), 2);
}

#[test]
fn files_are_taken_together() {
    let one = "version: 1\nrules:\n  - {id: b, when: 'true', decide: warn}\n";
    let two = "version: 1\nrules:\n  - {id: a, when: 'false', decide: refuse, on: [pull, push, pull]}\n";
    let source = |name, text| PolicySource { name, text };
    let limits = PolicyLimits::default();
    let policy = Policy::load(&[source("1.yaml", one), source("2.yaml", two)], &limits).unwrap();
    let turned = Policy::load(&[source("2.yaml", two), source("1.yaml", one)], &limits).unwrap();
    assert_eq!(policy.digest(), turned.digest());
    assert_eq!(policy.rules().len(), 2);
    let twice = Policy::load(&[source("1.yaml", one), source("2.yaml", one)], &limits).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "2.yaml:3: rule `b` is declared already, at 1.yaml:3"
    );
}

#[test]
fn the_digest_is_of_what_is_said() {
    let digest = |text: &str| Policy::parse("p.yaml", text).unwrap().digest();
    let first = digest(&rule("when: finding.kev|decide: refuse"));
    assert_eq!(
        first,
        digest(&rule(
            "# why|when: 'finding.kev'|decide: refuse|about: x|on: [admit, pull]|running: keep"
        ))
    );
    for other in [
        "when: finding.kev|decide: warn",
        "when: finding.kev|decide: refuse|after: 1",
        "when: finding.kev|decide: refuse|running: refuse",
        "when: finding.kev|decide: refuse|on: pull",
        "when: finding.kev|decide: refuse|repositories: a/**",
        "when: finding.kev|decide: refuse|severity: low",
        "when: finding.kev|decide: refuse|message: x",
        "when: finding.kev|decide: refuse|on_error: refuse",
        "when: finding.fixed|decide: refuse",
    ] {
        assert_ne!(first, digest(&rule(other)), "{other}");
    }
}

#[test]
fn each_limit_is_exceeded() {
    let limits = PolicyLimits {
        rules: 2,
        patterns: 2,
        policy_bytes: 400,
        ..PolicyLimits::default()
    };
    let first = |text: &str| {
        Policy::check(&[PolicySource { name: "p", text }], &limits)[0]
            .problem
            .clone()
    };
    let rules = "  - {id: r, when: 'true', decide: warn}\n";
    let three: String = (0..3)
        .map(|n| rules.replace("id: r", &format!("id: r{n}")))
        .collect();
    assert_eq!(
        first(&format!("version: 1\nrules:\n{three}")),
        PolicyProblem::TooManyRules { rules: 3, limit: 2 }
    );
    assert_eq!(
        first(&" ".repeat(401)),
        PolicyProblem::TooLarge {
            bytes: 401,
            limit: 400
        }
    );
    let patterns = rule("when: 'true'|decide: warn|repositories: [a, b, c]");
    assert_eq!(
        first(&patterns),
        PolicyProblem::Count {
            key: "repositories",
            count: 3,
            limit: 2
        }
    );
}

#[test]
fn yaml_that_grows_is_refused() {
    let mut bomb = vec!["a0: &a0 [x,x,x,x,x,x,x,x,x]".to_owned()];
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(",");
        bomb.push(format!("a{level}: &a{level} [{aliases}]"));
    }
    let bomb = bomb.join("\n");
    assert_eq!(problems(&format!("version: 1\nrules: []\n{bomb}")).len(), 1);
    let nested = format!("version: 1\nrules: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(problems(&nested).len(), 1);
    let aliased = "version: 1\nrules:\n  - id: a\n    when: &w finding.kev\n    decide: warn\n  - {id: b, when: *w, decide: warn}\n";
    assert_eq!(problems(aliased), Vec::<String>::new());
}

#[test]
fn the_schema_has_the_keys_that_are_read() {
    let schema: serde_json::Value = serde_json::from_str(include_str!("../../policy.schema.json")).unwrap();
    let keys = |properties: &serde_json::Value| -> BTreeSet<String> {
        properties.as_object().unwrap().keys().cloned().collect()
    };
    let known = |keys: &[&str]| -> BTreeSet<String> { keys.iter().map(ToString::to_string).collect() };
    assert_eq!(keys(&schema["properties"]), known(PolicyFile::KEYS));
    let rule = &schema["$defs"]["rule"];
    assert_eq!(keys(&rule["properties"]), known(RuleEntry::KEYS));
    let limits = PolicyLimits::default();
    assert_eq!(rule["properties"]["when"]["maxLength"], limits.expression_bytes);
    assert_eq!(rule["properties"]["message"]["maxLength"], limits.message_bytes);
    assert_eq!(rule["properties"]["after"]["maximum"], limits.grace_days);
    assert_eq!(schema["properties"]["rules"]["maxItems"], limits.rules);
    let severities = serde_json::to_value(crate::fields::SEVERITIES.words).unwrap();
    assert_eq!(rule["properties"]["severity"]["enum"], severities);
    let document: serde_json::Value = serde_saphyr::from_str(DEFAULT_POLICY).unwrap();
    for entry in document["rules"].as_array().unwrap() {
        assert!(keys(entry).is_subset(&keys(&rule["properties"])));
    }
}

#[test]
fn policies_are_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Policy>();
}
