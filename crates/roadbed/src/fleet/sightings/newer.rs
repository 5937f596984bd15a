//! Whether a newer tag is one to go to: it must be served, and bring nothing that is worse than what it takes away.

use std::collections::HashMap;

use anyhow::Result;
use findings::Severity;
use oci::{Digest, RepoName};
use policy::Reason;
use road::incident::Remedy;
use serde::Deserialize;
use store::{Outcome, Point, Store, StoreError};

use super::Seen;

/// Newer tags of a line that are looked at, the newest first. Default: the only value.
pub(super) const LOOKED_AT: usize = 5;

/// A tag that is without all that the line has.
pub(super) struct Newer {
    pub(super) tag: String,
    /// The images that it names: of an index each one.
    pub(super) images: Vec<Digest>,
}

/// The part of a decision that says what was found.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Kept {
    reasons: Vec<Reason>,
}

/// How bad what is found is: findings that are critical, and those that are high. More of the former is worse whatever the latter are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    critical: usize,
    high: usize,
}

impl Weight {
    fn of(reasons: &[Reason]) -> Self {
        let count = |severity| {
            let of_severity = reasons.iter().filter(|reason| reason.severity == severity);
            of_severity
                // What is about the image has no findings.
                .map(|reason| (reason.findings.len() + reason.more_findings).max(1))
                .sum()
        };
        Self {
            critical: count(Severity::Critical),
            high: count(Severity::High),
        }
    }
}

/// What images were decided, each asked once.
struct Decisions<'s> {
    store: &'s Store,
    known: HashMap<(RepoName, Digest), Option<Weight>>,
}

impl Decisions<'_> {
    /// How bad the worst of some images is. `None`: one of them is refused, or nobody knows.
    async fn of(&mut self, repo: &RepoName, images: &[Digest]) -> Result<Option<Weight>> {
        let mut worst = Weight::default();
        for digest in images {
            let key = (repo.clone(), *digest);
            let known = if let Some(known) = self.known.get(&key) {
                *known
            } else {
                let found = self.of_one(repo, digest).await?;
                self.known.insert(key, found);
                found
            };
            let Some(known) = known else { return Ok(None) };
            worst = worst.max(known);
        }
        Ok(Some(worst))
    }

    async fn of_one(&self, repo: &RepoName, digest: &Digest) -> Result<Option<Weight>> {
        let decided = self.store.decision(repo, digest, Point::Pull).await?;
        let Some(decided) = decided.filter(|decided| decided.outcome != Outcome::Refuse) else {
            return Ok(None);
        };
        if matches!(decided.outcome, Outcome::Allow | Outcome::NotApplicable) {
            return Ok(Some(Weight::default()));
        }
        let text = match self.store.decision_with_text(repo, digest, Point::Pull).await {
            Err(StoreError::Damaged { .. }) => return Ok(None),
            found => found?,
        };
        let kept = text.and_then(|(_, text)| serde_json::from_str::<Kept>(&text).ok());
        Ok(kept.map(|kept| Weight::of(&kept.reasons)))
    }
}

/// Says of each line which tag is to be used instead, where there is one: what it would take to build one that is there already is of
/// no use.
pub(super) async fn choose(store: &Store, seen: &mut Seen) -> Result<()> {
    let mut decisions = Decisions {
        store,
        known: HashMap::new(),
    };
    for sighting in &mut seen.sightings {
        let Some(newer) = seen.newer.get(&sighting.line) else {
            continue;
        };
        if sighting.affected_by.is_empty() {
            continue;
        }
        let repo = &sighting.line.repository;
        let images = seen.images.get(&sighting.line).into_iter().flatten();
        let images: Vec<Digest> = images.map(|image| image.digest).collect();
        // What is refused, or what nobody knows, is no better than what is there.
        let now = decisions.of(repo, &images).await?;
        for tag in newer {
            let Some(then) = decisions.of(repo, &tag.images).await? else {
                continue;
            };
            if now.is_none_or(|now| then <= now) {
                let tag = tag.tag.clone();
                sighting.remedies = vec![Remedy::NewerTag { tag }];
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(severity: &str, findings: usize) -> Reason {
        let findings: Vec<String> = (0..findings).map(|number| format!("CVE-{number}")).collect();
        let reason = serde_json::json!({
            "rule": "any", "effect": "warn", "findings": findings, "message": "m", "severity": severity,
        });
        serde_json::from_value(reason).unwrap()
    }

    #[test]
    fn more_that_is_critical_is_worse_whatever_is_high() {
        let of = |reasons: &[(&str, usize)]| {
            let reasons: Vec<Reason> = reasons
                .iter()
                .map(|(severity, count)| reason(severity, *count))
                .collect();
            Weight::of(&reasons)
        };
        assert!(of(&[("critical", 2)]) > of(&[("critical", 1), ("high", 9)]));
        assert!(of(&[("critical", 1), ("critical", 1)]) == of(&[("critical", 2)]));
        assert!(of(&[("high", 2)]) > of(&[("high", 1), ("medium", 9)]));
        assert_eq!(of(&[("low", 5), ("unknown", 5)]), Weight::default());
        assert_eq!(
            of(&[("critical", 0)]).critical,
            1,
            "what is about the image counts too"
        );
    }
}
