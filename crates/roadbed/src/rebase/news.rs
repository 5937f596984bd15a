//! Findings that go and come when one release of a base takes the place of another: found out once for all images on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use findings::Severity;
use moka::future::Cache;
use oci::{Digest, RepoName};
use policy::JudgedFinding;
use store::Store;
use thiserror::Error;
use web::wire::{FindingEntry, FindingsChange, PlanEntry};
use web::{JudgingError, RebasingError};

use super::failed;
use super::plan::BaseRelease;
use crate::judge::{Evidence, Facts, Knowledge, findings_of};

/// Pairs of releases that are remembered.
const KEPT: u64 = 1_000;

/// Findings of a plan that are named, each of those that go and come; the rest is counted. Plans are kept in the journal.
const MAX_NAMED: usize = 100;

/// Two releases, and the state of advisories.
type Key = (Digest, Digest, u64);

/// What pairs of releases differ in.
pub(super) struct News {
    store: Store,
    knowledge: Arc<Knowledge>,
    evidence: Evidence,
    kept: Cache<Key, Arc<FindingsChange>>,
}

/// One problem of one package: what two releases are compared by.
type Problem = (String, String);

impl News {
    pub(super) fn new(store: Store, knowledge: Arc<Knowledge>) -> Self {
        Self {
            store,
            evidence: knowledge.evidence(),
            knowledge,
            kept: Cache::new(KEPT),
        }
    }

    /// What goes and comes; nothing is said before both were looked into.
    pub(super) async fn between(
        &self,
        from: &BaseRelease,
        to: &BaseRelease,
    ) -> Result<Arc<FindingsChange>, RebasingError> {
        let facts = self.knowledge.facts().await;
        let key = (from.release.digest, to.release.digest, facts.generation);
        let made = self.kept.try_get_with(key, async {
            let old = self.of(&from.base.repository, &key.0, &facts).await?;
            let new = self.of(&to.base.repository, &key.1, &facts).await?;
            Ok::<_, RebasingError>(Arc::new(compare(&old, &new)))
        });
        made.await.map_err(of_shared)
    }

    /// What goes with the base and stays in an image: the same problem in a layer of its own, of which the first one is given.
    pub(super) async fn remains(
        &self,
        (repo, digest): (&RepoName, &Digest),
        first: usize,
        change: &FindingsChange,
    ) -> Result<Vec<FindingEntry>, RebasingError> {
        if change.gone.is_empty() {
            return Ok(Vec::new());
        }
        let facts = self.knowledge.facts().await;
        let found = self.found(repo, digest, &facts).await?;
        Ok(own(found, first, change))
    }

    async fn of(
        &self,
        repo: &RepoName,
        digest: &Digest,
        facts: &Arc<Facts>,
    ) -> Result<BTreeMap<Problem, FindingEntry>, RebasingError> {
        let found = self.found(repo, digest, facts).await?;
        Ok(found
            .into_iter()
            .map(|finding| ((finding.id.clone(), finding.package.clone()), entry(finding)))
            .collect())
    }

    /// What is found in an image, without what does not apply to it.
    async fn found(
        &self,
        repo: &RepoName,
        digest: &Digest,
        facts: &Arc<Facts>,
    ) -> Result<Vec<JudgedFinding>, RebasingError> {
        let facts = Arc::clone(facts);
        let found = findings_of(
            &self.store,
            (&self.evidence, &self.knowledge),
            facts,
            (repo, digest),
        )
        .await;
        let found = found.map_err(|error| match error {
            JudgingError::Gone => RebasingError::Gone,
            JudgingError::Waits => RebasingError::Waits(format!("{repo}@{digest}")),
            JudgingError::Failed(error) => RebasingError::Failed(error),
            JudgingError::Malformed(_) => failed(error.into()),
        })?;
        let found = found.into_iter().filter(|finding| finding.suppressed.is_none());
        Ok(found.collect())
    }
}

/// A comparison that failed, and for which several have waited.
#[derive(Debug, Error)]
#[error("the findings of two releases could not be compared")]
struct Shared {
    #[source]
    source: Arc<RebasingError>,
}

/// For one of those who have waited for it.
fn of_shared(error: Arc<RebasingError>) -> RebasingError {
    match &*error {
        RebasingError::Gone => RebasingError::Gone,
        RebasingError::Waits(what) => RebasingError::Waits(what.clone()),
        _ => RebasingError::Failed(Box::new(Shared { source: error })),
    }
}

fn entry(finding: JudgedFinding) -> FindingEntry {
    FindingEntry {
        id: finding.id,
        package: finding.package,
        version: finding.version,
        severity: finding.severity,
    }
}

/// Those of an image's own layers among what goes, the worst first, each once.
fn own(found: Vec<JudgedFinding>, first: usize, change: &FindingsChange) -> Vec<FindingEntry> {
    let gone: BTreeSet<&str> = change.gone.iter().map(|finding| finding.id.as_str()).collect();
    let is_own = |layer: u32| usize::try_from(layer).is_ok_and(|layer| layer >= first);
    let own = found
        .into_iter()
        .filter(|finding| gone.contains(finding.id.as_str()) && finding.layer.is_some_and(is_own));
    let mut own: Vec<FindingEntry> = own.map(entry).collect();
    own.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| (&a.id, &a.package, &a.version).cmp(&(&b.id, &b.package, &b.version)))
    });
    own.dedup();
    own.truncate(MAX_NAMED);
    own
}

fn compare(old: &BTreeMap<Problem, FindingEntry>, new: &BTreeMap<Problem, FindingEntry>) -> FindingsChange {
    let only = |these: &BTreeMap<Problem, FindingEntry>, others: &BTreeMap<Problem, FindingEntry>| {
        let only = these.iter().filter(|(problem, _)| !others.contains_key(*problem));
        let mut only: Vec<FindingEntry> = only.map(|(_, entry)| entry.clone()).collect();
        only.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| (&a.id, &a.package).cmp(&(&b.id, &b.package)))
        });
        only
    };
    let (gone, come) = (only(old, new), only(new, old));
    let counts = |findings: &[FindingEntry]| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for finding in findings {
            *counts.entry(finding.severity.as_str().to_owned()).or_default() += 1;
        }
        counts
    };
    FindingsChange {
        gone_by_severity: counts(&gone),
        come_by_severity: counts(&come),
        gone: gone.into_iter().take(MAX_NAMED).collect(),
        come: come.into_iter().take(MAX_NAMED).collect(),
    }
}

/// Why a plan would bring something worse than it takes away: more that is critical, or as much and more that is high.
pub(super) fn worse(plan: &PlanEntry) -> Option<String> {
    plan.images.iter().find_map(|image| worse_change(&image.findings))
}

fn worse_change(change: &FindingsChange) -> Option<String> {
    for severity in [Severity::Critical, Severity::High] {
        let count = |counts: &BTreeMap<String, u64>| counts.get(severity.as_str()).copied().unwrap_or(0);
        let (gone, come) = (count(&change.gone_by_severity), count(&change.come_by_severity));
        if come < gone {
            return None;
        }
        if come > gone {
            let named = change.come.iter().filter(|finding| finding.severity == severity);
            let named: Vec<String> = named
                .take(3)
                .map(|finding| format!("{} in {}", finding.id, finding.package))
                .collect();
            let (word, named) = (severity.as_str(), named.join(", "));
            return Some(format!(
                "the new base brings {come} {word} and takes away {gone}: {named}"
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(all: &[(&str, Severity)]) -> BTreeMap<Problem, FindingEntry> {
        let entry = |(id, severity): &(&str, Severity)| {
            let entry = FindingEntry {
                id: (*id).to_owned(),
                package: "openssl".to_owned(),
                version: "1".to_owned(),
                severity: *severity,
            };
            (((*id).to_owned(), "openssl".to_owned()), entry)
        };
        all.iter().map(entry).collect()
    }

    #[test]
    fn what_goes_and_comes_is_told_and_worse_is_more_of_the_worst() {
        use Severity::{Critical, High, Low};
        let of = |old: &[(&str, Severity)], new: &[(&str, Severity)]| compare(&found(old), &found(new));
        let better = of(
            &[("a", Critical), ("b", High)],
            &[("b", High), ("c", High), ("d", Low)],
        );
        assert_eq!(
            better
                .gone
                .iter()
                .map(|finding| finding.id.as_str())
                .collect::<Vec<_>>(),
            ["a"]
        );
        assert_eq!(
            better
                .come
                .iter()
                .map(|finding| finding.id.as_str())
                .collect::<Vec<_>>(),
            ["c", "d"]
        );
        assert_eq!(worse_change(&better), None);
        assert_eq!(worse_change(&of(&[("a", Low)], &[("b", Low), ("c", Low)])), None);
        let why = worse_change(&of(&[("a", High)], &[("b", Critical)])).unwrap();
        assert_eq!(
            why,
            "the new base brings 1 critical and takes away 0: b in openssl"
        );
        assert!(worse_change(&of(&[("a", High)], &[("b", High), ("c", High)])).is_some());
    }

    #[test]
    fn a_plan_names_no_more_findings_than_are_kept() {
        let many: Vec<String> = (0..=MAX_NAMED).map(|number| format!("CVE-{number:05}")).collect();
        let many: Vec<(&str, Severity)> = many.iter().map(|id| (id.as_str(), Severity::Low)).collect();
        let change = compare(&found(&many), &found(&[]));
        assert_eq!(
            (change.gone.len(), change.gone_by_severity["low"]),
            (MAX_NAMED, MAX_NAMED as u64 + 1)
        );
    }
}
