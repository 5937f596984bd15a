//! A package that nobody has and of which nobody speaks: more often a typing error than good news.

use std::{collections::BTreeSet, fmt::Write as _};

use road::{
    fleet::{Fleet, Scope},
    question::PackageQuestion,
};
use web::{AskingError, wire::AffectedCoverage};

use crate::judge::Facts;

/// Names that are suggested.
const SUGGESTED: usize = 3;

/// Typing errors between what was asked and what is suggested.
const ERRORS: usize = 2;

/// Names that are near and looked up, whether or not somebody who asks may see an image that has one.
const LOOKED_UP: usize = 30;

/// Longest name to which a near one is looked for, in bytes; it is compared with all that there are.
const NAME_BYTES: usize = 100;

/// Why a question about a package has no answer: no image of the scope holds one of the name, at whatever version, and no advisory names
/// it. `None`: somebody knows it.
pub(super) fn unknown_package(
    question: &PackageQuestion,
    (fleet, scope): (&Fleet, &Scope),
    facts: Option<&Facts>,
    coverage: &AffectedCoverage,
) -> Option<AskingError> {
    let of_name = |name: &str| PackageQuestion {
        name: name.to_owned(),
        range: None,
        os: None,
        ..question.clone()
    };
    let is_held = |name: &str| {
        let counts = fleet.by_package(&of_name(name), scope).counts();
        counts.affected + counts.uncertain + counts.mitigated + counts.hidden > 0
    };
    // While the index is built or images are looked into, nothing can be said of what is not seen yet.
    if coverage.indexed_percent < 100 || coverage.waiting > 0 || is_held(&question.name) {
        return None;
    }
    let mut named: BTreeSet<String> = BTreeSet::new();
    for (_, name) in facts.iter().flat_map(|facts| facts.index.packages()) {
        match distance(&question.name, &name) {
            Some(0) => return None,
            Some(_) if named.len() < LOOKED_UP => drop(named.insert(name.to_string())),
            _ => {}
        }
    }
    let near = fleet
        .package_names()
        .filter(|name| distance(&question.name, name).is_some());
    let held: BTreeSet<&str> = near.take(LOOKED_UP).collect();
    let held = held.into_iter().filter(|name| is_held(name)).map(str::to_owned);
    let mut near: Vec<String> = held.chain(named).collect();
    near.sort_by_cached_key(|name| distance(&question.name, name));
    near.dedup();
    near.truncate(SUGGESTED);
    Some(AskingError::Unknown(words(question, &near, coverage)))
}

fn words(question: &PackageQuestion, near: &[String], coverage: &AffectedCoverage) -> String {
    let mut text = format!(
        "no image that you may pull holds a package called {}, and no advisory here names one: that is no \"nobody is affected\"",
        question.name
    );
    // Writing to memory does not fail.
    let unseen = coverage.not_scannable + coverage.waiting;
    if unseen > 0 {
        let _ = write!(
            text,
            ", and {unseen} of {} images could not be looked into",
            coverage.images
        );
    }
    text += "; check the spelling";
    if !near.is_empty() {
        let _ = write!(text, " (near it: {})", near.join(", "));
    }
    text + ", or ask by package URL, file digest or class"
}

/// Typing errors between two names, or between one and the other's without its group; `None`: more than [`ERRORS`].
fn distance(asked: &str, name: &str) -> Option<usize> {
    let artifact = name
        .rsplit_once([':', '/'])
        .map_or(name, |(_, artifact)| artifact);
    let errors = |name: &str| {
        let is_far = asked.len() > NAME_BYTES || asked.len().abs_diff(name.len()) > ERRORS;
        let errors =
            (!is_far).then(|| strsim::damerau_levenshtein(&asked.to_lowercase(), &name.to_lowercase()));
        // Of short names nearly all are near.
        errors.filter(|errors| *errors <= ERRORS.min(asked.len() / 3))
    };
    errors(name).into_iter().chain(errors(artifact)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mistyped_is_near() {
        for (asked, name, near) in [
            ("log4j-core", "org.apache.logging.log4j:log4j-core", Some(0)),
            ("log4j-croe", "org.apache.logging.log4j:log4j-core", Some(1)),
            ("lgo4jcore", "org.apache.logging.log4j:log4j-core", Some(2)),
            ("Flask", "flask", Some(0)),
            ("zip", "tar", None),
            ("nosuchpackage", "org.apache.logging.log4j:log4j-core", None),
        ] {
            assert_eq!(distance(asked, name), near, "{asked} {name}");
        }
    }

    #[test]
    fn it_says_what_is_not_known() {
        let question = PackageQuestion {
            kind: None,
            name: "log4j-croe".to_owned(),
            range: None,
            os: None,
        };
        let coverage = AffectedCoverage {
            images: 9,
            waiting: 2,
            ..AffectedCoverage::default()
        };
        let text = words(&question, &["log4j-core".to_owned()], &coverage);
        assert_eq!(
            text,
            "no image that you may pull holds a package called log4j-croe, and no advisory here names one: that is no \"nobody is \
             affected\", and 2 of 9 images could not be looked into; check the spelling (near it: log4j-core), or ask by package \
             URL, file digest or class"
        );
    }
}
