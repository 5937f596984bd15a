mod against_cel;
mod provocations;

use findings::{FindingKind, Severity};
use time::OffsetDateTime;
use time::macros::{date, datetime};

use super::*;
use crate::{JudgedFinding, Subject};

const NOW: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);

fn compile(source: &str) -> Result<Condition, ConditionError> {
    Condition::compile(source, &PolicyLimits::default())
}

fn subject() -> Subject {
    let mut subject = Subject::default();
    subject.repo.name = "shop/cart".parse().unwrap();
    subject.repo.team = Some("shop".into());
    let image = &mut subject.image;
    image.size = 1_000;
    image.os = Some("debian 10".into());
    image.os_ends = Some(date!(2024 - 06 - 30));
    image.signed_by = vec!["ci@example.com".into(), "release".into()];
    image.labels.insert("team".into(), "shop".into());
    image.labels.insert("org.example.tier".into(), "1".into());
    subject
}

fn finding() -> JudgedFinding {
    let mut finding = JudgedFinding::new(FindingKind::Vulnerability, "CVE-2021-44228", Severity::Critical);
    finding.aliases = vec!["GHSA-jfh8-c2jp-5v3q".into()];
    finding.package = "org.apache.logging.log4j:log4j-core".into();
    finding.version = "2.14.1".into();
    finding.fix = Some("upgrade to 2.17.1".into());
    finding.layer = Some(3);
    finding.kev = true;
    finding.epss = Some(0.97);
    finding.published = Some(datetime!(2021-12-10 10:00 UTC));
    finding
}

fn holds(source: &str) -> Result<bool, EvalError> {
    let (subject, finding) = (subject(), finding());
    let facts = Facts {
        subject: &subject,
        finding: Some(&finding),
        now: NOW,
        unknowns: &["no-os"],
    };
    compile(source)
        .unwrap_or_else(|error| panic!("{source}: {error}"))
        .holds(&facts)
}

#[test]
fn conditions_hold() {
    for source in [
        "true",
        "finding.kev && finding.fixed",
        "finding.severity >= 'high'",
        "'critical' == finding.severity",
        "finding.severity in ['high', 'critical']",
        "!(finding.severity < 'critical')",
        "finding.confidence > 'low'",
        "finding.kind != 'secret'",
        "finding.epss > 0.5 && finding.epss < 1",
        "finding.layer == 3 && finding.layer * 2 + 1 == 7 && -finding.layer < 0 && 7 % 4 == finding.layer",
        "finding.package.startsWith('org.apache') && finding.package.endsWith('core')",
        "finding.package.contains('log4j') && size(finding.version) == 6",
        r"finding.version.matches('^2\\.(1[0-4]|[0-9])\\.')",
        r"finding.version.matches(r'^2\.14')",
        "finding.published < timestamp('2022-01-01T00:00:00Z')",
        "finding.aliases.exists(a, a.startsWith('GHSA-'))",
        "finding.aliases.all(a, a != 'x') && finding.aliases.exists_one(a, a.contains('jfh8'))",
        "finding.aliases[0] == 'GHSA-jfh8-c2jp-5v3q'",
        "'GHSA-jfh8-c2jp-5v3q' in finding.aliases",
        "image.signed && 'release' in image.signed_by && image.signed_by.size() == 2",
        "image.os_eol && has(image.os_eol)",
        "image.labels.team == 'shop' && image.labels['org.example.tier'] == '1'",
        "'team' in image.labels && has(image.labels.team) && !has(image.labels.other)",
        "image.labels.exists(key, key == repo.team || image.labels[key] == 'shop')",
        "image.unknowns.size() > 0 && 'no-os' in image.unknowns",
        "repo.name in ['shop/cart', 'shop/till'] && image.size > 10",
        "has(finding.epss) && !has(finding.fix_known_at)",
        "!has(workload.namespace) && workload.namespace == ''",
        "image.scanned ? finding.kev : finding.mitigated",
        "(finding.kev ? 'a' : 'b') == 'a'",
        "['a', 'b'].exists(x, x == 'b')",
        // As in CEL, a side that settles the answer hides the error of the other.
        "image.labels.absent == 'x' || true",
        "!(false && 1 / 0 == 1)",
        "finding.aliases.exists(a, true) || image.labels.absent == 'x'",
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

#[test]
fn what_is_not_known_is_neither_above_nor_below() {
    let subject = Subject::default();
    let finding = JudgedFinding::new(FindingKind::Vulnerability, "X", Severity::Unknown);
    let facts = Facts {
        subject: &subject,
        finding: Some(&finding),
        now: NOW,
        unknowns: &[],
    };
    for (source, expected) in [
        ("finding.severity >= 'low'", false),
        ("finding.severity < 'low'", false),
        ("finding.severity <= 'unknown'", false),
        ("finding.severity == 'unknown'", true),
        ("finding.severity != 'high'", true),
        ("finding.epss > 0.0", false),
        ("has(finding.epss)", false),
        ("image.os_eol", false),
        ("has(image.os_eol)", false),
        ("finding.fixed", false),
        ("image.labels.exists(k, true)", false),
    ] {
        assert_eq!(compile(source).unwrap().holds(&facts), Ok(expected), "{source}");
    }
}

#[test]
fn some_have_no_answer() {
    for (source, error) in [
        ("image.labels.absent == 'x'", EvalError::NoSuchKey),
        ("image.labels.absent == 'x' && true", EvalError::NoSuchKey),
        ("finding.aliases[7] == 'x'", EvalError::OutOfRange),
        ("finding.aliases[-1] == 'x'", EvalError::OutOfRange),
        ("9223372036854775807 + finding.layer == 1", EvalError::Overflow),
        (
            "-9223372036854775808 / (finding.layer - 4) > 0",
            EvalError::Overflow,
        ),
        ("1 / (finding.layer - 3) == 1", EvalError::DivisionByZero),
        ("1 % (finding.layer - 3) == 1", EvalError::DivisionByZero),
        (
            "image.labels.exists(k, image.labels.absent == k)",
            EvalError::NoSuchKey,
        ),
    ] {
        assert_eq!(holds(source), Err(error), "{source}");
    }
}

fn assert_mistakes(mistakes: &[(&str, &str)]) {
    for (source, expected) in mistakes {
        assert_eq!(compile(source).unwrap_err().to_string(), *expected, "{source}");
    }
}

#[test]
fn misspelt_names_and_wrong_types_are_named_when_loaded() {
    assert_mistakes(&[
        (
            "finding.severty == 'high'",
            "`finding` has no field `severty`, did you mean `severity`? (column 8)",
        ),
        (
            "findng.kev",
            "there is no variable `findng`, did you mean `finding`? (column 1)",
        ),
        (
            "finding.severity == 'hihg'",
            "`hihg` is no severity, did you mean `high`? (column 18)",
        ),
        (
            "finding.kind in ['secret', 'malwar']",
            "`malwar` is no kind, did you mean `malware`? (column 14)",
        ),
        (
            "finding.id.startWith('x')",
            "there is no function `startWith`, did you mean `startsWith`? (column 21)",
        ),
        (
            "finding.id",
            "a condition is true or false, this one is string (column 8)",
        ),
        (
            "finding.kind < 'malware'",
            "`<` does not work on kind and kind; both sides must be of one type that it knows (column 14)",
        ),
        (
            "finding.epss == 'high'",
            "`==` does not work on double and string; both sides must be of one type that it knows (column 14)",
        ),
        (
            "finding.kev && finding.epss",
            "`a condition` does not work on double; compare it with something (column 23)",
        ),
        (
            "finding.id + 'x' == 'yx'",
            "`+` does not work on string and string; it takes two numbers of one type; texts and lists are never joined here (column 12)",
        ),
    ]);
}

#[test]
fn what_the_language_does_not_have_is_named_when_loaded() {
    assert_mistakes(&[
        (
            "finding.aliases.map(a, a) == []",
            "map() and filter() make lists, which is never needed here: use exists() or all() (column 20)",
        ),
        (
            "finding.published > '2024-01-01'",
            "`>` does not work on timestamp and string; both sides must be of one type that it knows (column 19)",
        ),
        (
            "finding.published > timestamp('2024')",
            "`2024` is no moment; write timestamp(\"2026-01-31T00:00:00Z\") (column 31)",
        ),
        (
            "finding == finding",
            "a variable is used by its fields, such as finding.severity (column 1)",
        ),
        (
            "finding.fix == null",
            "nothing is null here; has() tells whether a field is known (column 16)",
        ),
        ("", "a condition is empty; write `true` for always (column 1)"),
        (
            "finding.epss ? true : false",
            "`a condition` does not work on double; compare it with something (column 8)",
        ),
        (
            "(true ? 1 : 'a') == 1",
            "`? :` does not work on int and string; both sides must be of one type (column 7)",
        ),
        (
            "finding.id.matches(finding.package)",
            "matches() takes an expression that is written down (column 27)",
        ),
        (
            "finding.aliases.exists(repo, true)",
            "the element needs a name of its own (column 24)",
        ),
        (
            "[finding.id] == ['x']",
            "a list holds values that are written down (column 9)",
        ),
        (
            "size(1) == 1",
            "`size` does not work on int; it counts texts, lists, labels and annotations (column 5)",
        ),
    ]);
    assert!(matches!(
        compile("finding.kev &&").unwrap_err().problem,
        ConditionProblem::Syntax(_)
    ));
}

#[test]
fn what_a_condition_is_about_is_known() {
    assert!(compile("finding.kev").unwrap().is_about_findings());
    assert!(
        compile("image.signed || has(finding.epss)")
            .unwrap()
            .is_about_findings()
    );
    assert!(
        !compile("image.signed && repo.team == 'x'")
            .unwrap()
            .is_about_findings()
    );
}

#[test]
fn fields_read_what_they_say() {
    let (subject, finding) = (subject(), finding());
    let facts = Facts {
        subject: &subject,
        finding: Some(&finding),
        now: NOW,
        unknowns: &[],
    };
    for field in fields::FIELDS {
        let value = field.value(&facts);
        let fits = matches!(
            (field.kind, &value),
            (Type::Bool, value::Value::Bool(_))
                | (Type::Int, value::Value::Int(_))
                | (Type::Double, value::Value::Double(_))
                | (Type::Text, value::Value::Text(_))
                | (Type::Time, value::Value::Time(_))
                | (Type::Word(_), value::Value::Word(_))
                | (Type::Texts, value::Value::Texts(_))
                | (Type::TextMap, value::Value::TextMap(_))
        );
        assert!(fits, "{}.{}: {value:?}", field.record.as_str(), field.name);
        assert!(!field.about.is_empty());
    }
    let names: std::collections::BTreeSet<_> = fields::FIELDS
        .iter()
        .map(|f| (f.record.as_str(), f.name))
        .collect();
    assert_eq!(names.len(), fields::FIELDS.len());
}
