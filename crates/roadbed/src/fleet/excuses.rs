//! By whose word findings of images do not count: what was decided of each says it, and is taken into the index.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use oci::{Digest, RepoName};
use policy::{Reason, Waived, WaivedAs};
use road::fleet::{Excuse, ImageKey};
use serde::Deserialize;
use store::WaivedCursor;

use super::FleetService;

/// Decisions that are read at a time.
const PAGE: usize = 200;

/// The part of a decision that says what counts and what does not.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Kept {
    reasons: Vec<Reason>,
    more_reasons: usize,
    waived: Vec<Waived>,
}

/// The vulnerabilities of an image that count nowhere in it, by whose word. One that a waiver takes away at one place and that
/// counts at another is none of these; nor is any, where the decision does not list all of its reasons: who knows what is among them.
fn excuses_of(body: &str) -> BTreeMap<String, Excuse> {
    let kept: Kept = serde_json::from_str(body).unwrap_or_default();
    let is_cut = kept.more_reasons > 0 || kept.reasons.iter().any(|reason| reason.more_findings > 0);
    if is_cut {
        return BTreeMap::new();
    }
    let counting: BTreeSet<&str> = kept
        .reasons
        .iter()
        .flat_map(|reason| reason.findings.iter().map(String::as_str))
        .collect();
    let mut excuses = BTreeMap::new();
    for waived in &kept.waived {
        let Some(finding) = waived
            .finding
            .as_deref()
            .filter(|finding| !counting.contains(finding))
        else {
            continue;
        };
        let excuse = match waived.waived_as {
            WaivedAs::Vex => Excuse::Vex,
            WaivedAs::Accepted | WaivedAs::FalsePositive => Excuse::Waiver,
        };
        // Where one place is vouched for and another waived, all of it is no more than waived.
        let known = excuses.entry(finding.to_owned()).or_insert(excuse);
        *known = (*known).max(excuse);
    }
    excuses
}

/// Takes in what is decided of one image now.
pub(super) async fn take(service: &FleetService, repo: &RepoName, digest: &Digest) -> Result<()> {
    let decided = service.store.waived_decision(repo, digest).await?;
    put(service, repo, digest, decided.as_deref());
    Ok(())
}

/// The same for many images.
pub(super) async fn take_many(service: &FleetService, images: BTreeSet<(RepoName, Digest)>) -> Result<()> {
    let images: Vec<_> = images.into_iter().collect();
    let waiving = service.store.waived_decisions_of(&images).await?;
    let bodies: HashMap<(&RepoName, &Digest), &str> = waiving
        .iter()
        .map(|decided| ((&decided.repo, &decided.digest), decided.body.as_str()))
        .collect();
    for (repo, digest) in &images {
        put(service, repo, digest, bodies.get(&(repo, digest)).copied());
    }
    Ok(())
}

/// The same for all images that are known.
pub(super) async fn take_all(service: &FleetService) -> Result<()> {
    let mut after = WaivedCursor::default();
    loop {
        let (page, next) = service.store.waived_decisions(&after, PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        for decided in page {
            put(service, &decided.repo, &decided.digest, Some(&decided.body));
        }
        after = next;
    }
}

fn put(service: &FleetService, repo: &RepoName, digest: &Digest, body: Option<&str>) {
    let key = ImageKey {
        repository: repo.to_string(),
        digest: *digest,
    };
    let excuses = body.map(excuses_of).unwrap_or_default();
    let excuses = excuses.iter().map(|(id, excuse)| (id.as_str(), *excuse));
    service.write().fleet.set_excuses(&key, excuses);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn waived(finding: &str, waived_as: &str) -> Value {
        json!({ "finding": finding, "rule": "warn", "waived_as": waived_as, "by": "somebody", "reason": "why" })
    }

    fn reason(findings: &[&str], more: usize) -> Value {
        json!({
            "rule": "warn", "effect": "warn", "findings": findings, "more_findings": more, "message": "m", "severity": "high",
        })
    }

    fn excused(body: &Value) -> Vec<(String, Excuse)> {
        excuses_of(&body.to_string()).into_iter().collect()
    }

    #[test]
    fn what_counts_at_another_place_is_not_excused() {
        let all = [
            waived("CVE-1", "vex"),
            waived("CVE-2", "accepted"),
            waived("CVE-3", "false-positive"),
        ];
        let body = json!({ "waived": all, "reasons": [reason(&["CVE-2", "CVE-9"], 0)] });
        assert_eq!(
            excused(&body),
            [
                ("CVE-1".to_owned(), Excuse::Vex),
                ("CVE-3".to_owned(), Excuse::Waiver)
            ]
        );
        let both = json!({ "waived": [waived("CVE-1", "accepted"), waived("CVE-1", "vex")] });
        assert_eq!(excused(&both), [("CVE-1".to_owned(), Excuse::Waiver)]);
        let whole_image =
            json!({ "waived": [{ "rule": "r", "waived_as": "accepted", "by": "b", "reason": "r" }] });
        assert_eq!(excused(&whole_image), []);
    }

    #[test]
    fn of_a_decision_that_is_not_whole_nothing_is_believed() {
        let waived = [waived("CVE-1", "vex")];
        for body in [
            json!({ "waived": waived, "reasons": [reason(&["CVE-9"], 1)] }),
            json!({ "waived": waived, "more_reasons": 1 }),
            json!({ "waived": "all" }),
            json!([]),
        ] {
            assert_eq!(excused(&body), [], "{body}");
        }
    }
}
