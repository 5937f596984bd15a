//! What a change of policy would change.

use oci::{Digest, RepoName};
use serde::Serialize;
use time::OffsetDateTime;

use crate::{Judged, Outcome, Point, Policy, Reason, Subject, Waiver, decide};

/// One image that fares otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where it lies.
    pub repo: RepoName,
    /// Which it is.
    pub digest: Digest,
    /// Whether it is in use.
    pub in_use: bool,
    /// What becomes of it today.
    pub before: Outcome,
    /// What would become of it.
    pub after: Outcome,
    /// Why it would.
    pub reasons: Vec<Reason>,
    /// What a refused client would read.
    pub text: String,
}

/// Judges every subject by both policies; what becomes something else, the worst first. What only has other reasons is not
/// listed.
pub fn preview(
    before: &Policy,
    after: &Policy,
    waivers: &[Waiver],
    subjects: &[Subject],
    point: Point,
    now: OffsetDateTime,
) -> Vec<Change> {
    let mut changes: Vec<Change> = subjects
        .iter()
        .filter_map(|subject| {
            let old = decide(before, waivers, subject, point, now);
            let new = decide(after, waivers, subject, point, now);
            (old.outcome != new.outcome).then(|| Change {
                repo: subject.repo.name.clone(),
                digest: subject.image.digest,
                in_use: subject.in_use,
                before: old.outcome,
                after: new.outcome,
                text: new.refusal_or_warning(),
                reasons: new.reasons,
            })
        })
        .collect();
    changes.sort_by(|left, right| {
        let order = |change: &Change| (std::cmp::Reverse((change.after, change.in_use)), change.before);
        order(left)
            .cmp(&order(right))
            .then_with(|| left.repo.as_str().cmp(right.repo.as_str()))
            .then_with(|| left.digest.bytes().cmp(right.digest.bytes()))
    });
    changes
}

/// What a policy decides about many subjects, in the form that the [`brake`](crate::brake()) takes.
pub fn judge_all(
    policy: &Policy,
    waivers: &[Waiver],
    subjects: &[Subject],
    point: Point,
    now: OffsetDateTime,
) -> Vec<Judged<(String, String)>> {
    subjects
        .iter()
        .map(|subject| Judged {
            id: (subject.repo.name.to_string(), subject.image.digest.to_string()),
            outcome: decide(policy, waivers, subject, point, now).outcome,
            in_use: subject.in_use,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use findings::{FindingKind, Severity};
    use time::macros::datetime;

    use super::*;
    use crate::JudgedFinding;

    #[test]
    fn what_fares_otherwise_is_listed_worst_first() {
        let now = datetime!(2026-11-27 12:00 UTC);
        let subject = |repo: &str, severity, in_use| {
            let mut subject = Subject::default();
            subject.repo.name = repo.parse().unwrap();
            subject.in_use = in_use;
            subject.findings = vec![JudgedFinding::new(FindingKind::Vulnerability, "CVE-1", severity)];
            subject
        };
        let subjects = [
            subject("a", Severity::High, false),
            subject("b", Severity::Low, false),
            subject("c", Severity::High, true),
            subject("d", Severity::High, false),
        ];
        let after = "version: 1\nrules:\n  - {id: high, when: finding.severity >= 'high', decide: refuse}\n  - {id: any, when: finding.kind == 'vulnerability', decide: warn}\n";
        let (before, after) = (Policy::default_policy(), Policy::parse("p", after).unwrap());
        let changes = preview(&before, &after, &[], &subjects, Point::Pull, now);
        let found: Vec<_> = changes
            .iter()
            .map(|change| (change.repo.as_str(), change.before, change.after))
            .collect();
        let turned = |repo| (repo, Outcome::Warn, Outcome::Refuse);
        assert_eq!(found, [turned("a"), turned("d")], "what is in use is kept");
        assert!(changes[0].text.starts_with("refused by policy: [high] CVE-1"));
        let judged = judge_all(&after, &[], &subjects, Point::Pull, now);
        assert_eq!(
            judged
                .iter()
                .filter(|judged| judged.outcome == Outcome::Refuse)
                .count(),
            2
        );
    }
}
