//! The same question to whom it belongs.

use std::process::Command;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use super::*;

/// A process for each question: a few are enough beside the tables.
const PAIRS: usize = 150;

fn debian_version() -> impl Strategy<Value = String> {
    "([0-2]:)?[0-9][0-9a-bA.+~]{0,5}(-[0-9a-b.+~]{1,4})?"
}

fn dpkg_says(left: &str, relation: &str, right: &str) -> bool {
    let arguments = ["--compare-versions", left, relation, right];
    Command::new("dpkg").args(arguments).status().unwrap().success()
}

#[test]
fn dpkg_answers_the_same() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        crate::advisory::test_data::impossible("dpkg is not here");
        return;
    }
    let mut runner = TestRunner::deterministic();
    let pairs = (debian_version(), debian_version());
    for _ in 0..PAIRS {
        let (left, right) = pairs.new_tree(&mut runner).unwrap().current();
        let relation = match order(Ecosystem::Debian, &left, &right) {
            Ordering::Less => "lt",
            Ordering::Equal => "eq",
            Ordering::Greater => "gt",
        };
        assert!(dpkg_says(&left, relation, &right), "{left} {relation} {right}");
        assert!(is_valid(Ecosystem::Debian, &left), "{left}");
    }
}

fn python_version() -> impl Strategy<Value = String> {
    "([0-1]!)?[0-2](\\.[0-2]){0,2}([-_.]?(a|b|rc|c|pre|alpha)[-_.]?[0-2]?)?(-[0-2]|[._-]?(post|r|rev)[0-2]?)?(\\.?dev[0-2]?)?(\\+[a-b0-2](\\.[a-b0-2])?)?"
}

fn semantic_version() -> impl Strategy<Value = String> {
    "[0-2]\\.[0-2]\\.[0-2](-([1-9a-bA-B]|1[0-9]|rc)(\\.([1-9a-b-]|1[0-9])){0,2})?"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pep440_rs_answers_the_same(left in python_version(), right in python_version()) {
        let parse = |text: &str| text.parse::<pep440_rs::Version>().ok();
        prop_assert_eq!(parse(&left).is_some(), is_valid(Ecosystem::PyPi, &left), "{}", left);
        if let (Some(theirs), Some(other)) = (parse(&left), parse(&right)) {
            prop_assert_eq!(theirs.cmp(&other), order(Ecosystem::PyPi, &left, &right));
        }
    }

    #[test]
    fn semver_answers_the_same(left in semantic_version(), right in semantic_version()) {
        let parse = |text: &str| text.parse::<semver::Version>().unwrap();
        let theirs = parse(&left).cmp_precedence(&parse(&right));
        for ecosystem in [Ecosystem::Npm, Ecosystem::CratesIo, Ecosystem::Hex, Ecosystem::Go, Ecosystem::SemVer] {
            prop_assert_eq!(theirs, order(ecosystem, &left, &right));
        }
    }
}
