//! Conditions that are made to take memory or time.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::*;
use super::{NOW, compile};
use crate::limits::{MAX_FACT_LIST, MAX_FACT_TEXT_BYTES};
use crate::{JudgedFinding, Subject};

/// Far more than any of them takes, far less than one that got away would.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn what_would_grow_is_refused() {
    let nested = "['a','b'].map(a, ['a','b'].map(b, ['a','b'].map(c, ['a','b'].map(d, [a,b,c,d]))))";
    for source in [
        format!("size({nested}) > 0"),
        "size(['x'].map(a, a + a + a + a)) > 0".to_owned(),
        "size('x' + 'x') > 0".to_owned(),
        "(finding.aliases + finding.aliases).size() > 0".to_owned(),
        "{'a': 1}.a == 1".to_owned(),
        "finding.aliases.filter(a, true).size() > 1".to_owned(),
        "cel.bind(x, 'a', x == 'a')".to_owned(),
        "string(1) == '1'".to_owned(),
        "bytes('a') == b'a'".to_owned(),
        "dyn(1) == 1".to_owned(),
    ] {
        let start = Instant::now();
        assert!(compile(&source).is_err(), "{source}");
        assert!(start.elapsed() < PATIENCE, "{source}");
    }
}

#[test]
fn quantifiers_are_bounded_by_depth_and_cost() {
    let exists = |depth: usize, body: &str| {
        let open: Vec<String> = (0..depth)
            .map(|level| format!("finding.aliases.exists(a{level}, "))
            .collect();
        let open = open.concat();
        format!("{open}{body}{}", ")".repeat(depth))
    };
    assert!(compile(&exists(2, "a0 != a1")).is_ok());
    let deep = compile(&exists(3, "a0 != a1")).unwrap_err().problem;
    assert!(
        matches!(deep, ConditionProblem::TooLarge { limit: 2, .. }),
        "{deep}"
    );
    let costly = compile(&exists(2, "a0.contains(a1)")).unwrap_err().problem;
    assert!(matches!(costly, ConditionProblem::TooCostly { .. }), "{costly}");
}

#[test]
fn each_limit_is_exceeded() {
    let limits = PolicyLimits::default();
    let too_large = |source: String| {
        let start = Instant::now();
        let problem = compile(&source).unwrap_err().problem;
        assert!(start.elapsed() < PATIENCE, "{source}");
        match problem {
            ConditionProblem::TooLarge { limit, .. } => limit,
            other => panic!("{source}: {other}"),
        }
    };
    let bytes = limits.expression_bytes;
    assert_eq!(too_large(format!("true{}", " ".repeat(bytes))), bytes);
    let nesting = limits.expression_nesting + 1;
    for [open, close] in [["(", ")"], ["[", "]"], ["{", "}"]] {
        assert_eq!(
            too_large(format!("{}1{}", open.repeat(nesting), close.repeat(nesting))),
            nesting - 1
        );
        assert_eq!(too_large(open.repeat(bytes)), nesting - 1);
    }
    let operators = limits.expression_operators;
    for chain in ["1+", "a.", "!", "-", "a?b:", "a<"] {
        assert_eq!(
            too_large(chain.repeat(operators + 1).chars().take(bytes).collect()),
            operators,
            "{chain}"
        );
    }
    let list = vec!["1"; MAX_FACT_LIST + 1].join(",");
    assert_eq!(too_large(format!("finding.layer in [{list}]")), MAX_FACT_LIST);
    assert_eq!(
        too_large(format!(
            "finding.id.matches('{}')",
            "a".repeat(limits.regex_bytes + 1)
        )),
        limits.regex_bytes
    );
    let few = PolicyLimits {
        expression_nodes: 10,
        ..limits
    };
    let problem = Condition::compile("1 + 1 + 1 + 1 + 1 + 1 == 6", &few)
        .unwrap_err()
        .problem;
    assert!(matches!(problem, ConditionProblem::TooLarge { limit: 10, .. }));
}

/// The longest chains that are let through must fit on the stack of a worker thread.
#[test]
fn chains_as_long_as_allowed_fit_on_the_stack() {
    let count = PolicyLimits::default().expression_operators - 1;
    for (chain, end) in [
        ("!", "true"),
        ("-", "1"),
        ("1+", "1"),
        ("a.", "b"),
        ("1<", "1"),
        ("true?true:", "true"),
    ] {
        let count = if chain.contains('?') { count / 2 } else { count };
        let _ = compile(&format!("{}{end}", chain.repeat(count)));
    }
    let depth = PolicyLimits::default().expression_nesting;
    assert!(compile(&format!("{}true{}", "(".repeat(depth), ")".repeat(depth))).is_ok());
    let mixed = format!(
        "{}{}true{}",
        "(".repeat(depth),
        "true?true:".repeat(count / 2 - depth),
        ")".repeat(depth)
    );
    assert!(compile(&mixed).is_ok());
    let calls = format!("{}true{}", "['a'].exists(x, ".repeat(depth), ")".repeat(depth));
    assert!(compile(&calls).is_err());
}

#[test]
fn regex_bombs_do_not_compile() {
    for pattern in [
        "(a{1000}){1000}",
        "((((a{100}){100}){100}){100}){100}",
        "[ab]*a[ab]{60}",
        "a{99999999999}",
        "(?P<a>x",
        "[é]",
    ] {
        let start = Instant::now();
        let problem = compile(&format!("finding.id.matches('{pattern}')"))
            .unwrap_err()
            .problem;
        assert!(
            matches!(problem, ConditionProblem::Regex(_)),
            "{pattern}: {problem}"
        );
        assert!(start.elapsed() < PATIENCE, "{pattern}");
    }
    for pattern in ["^CVE-20(2[0-9])-", r"(?i)log4j\\b", "(a+)+$", "é|ö"] {
        assert!(
            compile(&format!("finding.id.matches('{pattern}')")).is_ok(),
            "{pattern}"
        );
    }
}

#[test]
fn huge_numbers_are_refused() {
    for source in [
        "99999999999999999999 > 1",
        "1e999 > 1.0",
        "0xfffffffffffffffffff > 1",
        "1u == 1u",
    ] {
        assert!(compile(source).is_err(), "{source}");
    }
}

#[test]
fn the_dearest_condition_on_the_largest_facts_is_quick() {
    let mut finding = JudgedFinding::new(
        findings::FindingKind::Secret,
        "x".repeat(1 << 20),
        findings::Severity::Low,
    );
    finding.aliases = vec!["a".repeat(1 << 16); 10_000];
    let subject = Subject::default();
    let facts = Facts {
        subject: &subject,
        finding: Some(&finding),
        now: NOW,
        unknowns: &[],
    };
    let dear = "finding.aliases.exists(a, finding.aliases.exists(b, a != b))";
    let start = Instant::now();
    assert_eq!(compile(dear).unwrap().holds(&facts), Ok(false));
    assert_eq!(
        compile("finding.id.matches('(x+x+)+y')").unwrap().holds(&facts),
        Ok(false)
    );
    assert!(start.elapsed() < PATIENCE);
    let size =
        format!("size(finding.id) == {MAX_FACT_TEXT_BYTES} && size(finding.aliases) == {MAX_FACT_LIST}");
    assert_eq!(compile(&size).unwrap().holds(&facts), Ok(true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_text_makes_it_panic(source in ".{0,200}") {
        let _ = compile(&source);
    }

    #[test]
    fn no_mixture_of_words_makes_it_panic(words in proptest::collection::vec(prop::sample::select(&[
        "finding", ".", "kev", "severity", "aliases", "(", ")", "[", "]", "{", "}", "&&", "||", "!", "-", "?", ":", "1",
        "'a'", "exists", "all", "has", "size", ",", "a", "==", "<", "in", "image", "labels", "+", "/", "0", "null", "true",
        "matches", "\"", "'", "r'", "`", "\\", "1.5", "u", "timestamp", "..", "\n", "//",
    ][..]), 0..60)) {
        let source = words.concat();
        if let Ok(condition) = compile(&source) {
            let subject = Subject::default();
            let finding = JudgedFinding::new(findings::FindingKind::Secret, "x", findings::Severity::Low);
            let facts = Facts { subject: &subject, finding: Some(&finding), now: NOW, unknowns: &[] };
            let _ = condition.holds(&facts);
        }
    }
}
