//! Tests of policies, as people write them: a subject, and what should become of it.

use oci::Digest;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use crate::yaml;
use crate::{Decision, Outcome, Point, Policy, Subject, Waiver, decide};

/// Largest file of cases, in bytes.
pub const MAX_CASES_BYTES: usize = 1 << 20;

/// A file of cases.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The cases.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Where the decision is asked for.
    #[serde(default = "pull")]
    pub on: Point,
    /// The moment of judgement.
    #[serde(with = "time::serde::rfc3339")]
    pub now: OffsetDateTime,
    /// What is judged.
    pub subject: Subject,
    /// Waivers that there are.
    #[serde(default)]
    pub waivers: Vec<Waiver>,
    /// What should become of it.
    pub expect: Expectation,
}

/// What a case expects.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The outcome.
    pub outcome: Outcome,
    /// The rules that give reasons, in any order; without it, any.
    #[serde(default)]
    pub rules: Option<Vec<String>>,
    /// The findings that are waived, in any order; without it, any.
    #[serde(default)]
    pub waived: Option<Vec<String>>,
    /// A part of what the client reads.
    #[serde(default)]
    pub text: Option<String>,
}

/// What is wrong with a file of cases.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CaseError {
    /// [`MAX_CASES_BYTES`].
    #[error("{file}: {bytes} bytes: at most {MAX_CASES_BYTES} are allowed")]
    TooLarge {
        /// Which file.
        file: String,
        /// Its length.
        bytes: usize,
    },
    /// No YAML, or not of this shape.
    #[error("{file}:{line}: {reason}")]
    Yaml {
        /// Which file.
        file: String,
        /// Its line, counted from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

/// How the cases went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// Which policy.
    pub policy_digest: Digest,
    /// One for each case, in order.
    pub results: Vec<CaseResult>,
}

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// What differs from what was expected; nothing if it passed.
    pub differences: Vec<String>,
    /// What was decided.
    pub decision: Decision,
}

impl CaseFile {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// It is too large, no YAML, or not of this shape.
    pub fn parse(file: &str, text: &str) -> Result<Self, CaseError> {
        let file = file.to_owned();
        if text.len() > MAX_CASES_BYTES {
            return Err(CaseError::TooLarge {
                file,
                bytes: text.len(),
            });
        }
        yaml::parse(text).map_err(|fault| CaseError::Yaml {
            file,
            line: fault.line,
            reason: fault.reason,
        })
    }

    /// Judges every case by `policy`.
    pub fn run(&self, policy: &Policy) -> CaseReport {
        CaseReport {
            policy_digest: policy.digest(),
            results: self.cases.iter().map(|case| case.run(policy)).collect(),
        }
    }
}

impl Case {
    fn run(&self, policy: &Policy) -> CaseResult {
        let decision = decide(policy, &self.waivers, &self.subject, self.on, self.now);
        CaseResult {
            name: self.name.clone(),
            differences: self.expect.differences(&decision),
            decision,
        }
    }
}

impl CaseReport {
    /// Whether all of them passed.
    pub fn is_passed(&self) -> bool {
        self.results.iter().all(|result| result.differences.is_empty())
    }
}

impl Expectation {
    fn differences(&self, decision: &Decision) -> Vec<String> {
        let mut differences = Vec::new();
        if self.outcome != decision.outcome {
            let (found, expected) = (decision.outcome.as_str(), self.outcome.as_str());
            differences.push(format!("outcome: expected {expected}, found {found}"));
        }
        let rules = decision.reasons.iter().map(|reason| reason.rule.clone());
        differences.extend(difference("rules", self.rules.as_deref(), rules));
        let waived = decision.waived.iter().filter_map(|waived| waived.finding.clone());
        differences.extend(difference("waived", self.waived.as_deref(), waived));
        let text = decision.refusal_or_warning();
        if let Some(part) = self.text.as_ref().filter(|part| !text.contains(part.as_str())) {
            differences.push(format!("text: expected `{part}` in `{text}`"));
        }
        differences
    }
}

/// How two sets differ, if they do.
fn difference(
    what: &str,
    expected: Option<&[String]>,
    found: impl Iterator<Item = String>,
) -> Option<String> {
    let in_order = |mut names: Vec<String>| {
        names.sort_unstable();
        names.dedup();
        names
    };
    let (expected, found) = (in_order(expected?.to_vec()), in_order(found.collect()));
    (expected != found).then(|| {
        format!(
            "{what}: expected [{}], found [{}]",
            expected.join(", "),
            found.join(", ")
        )
    })
}

fn pull() -> Point {
    Point::Pull
}

#[cfg(test)]
mod tests;
