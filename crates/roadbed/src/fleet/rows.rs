//! Images of an answer, as they travel.

use std::sync::Arc;

use findings::{
    Severity,
    advisory::{Conflict, Rating, VulnerabilityFinding},
};
use oci::{Digest, RepoName};
use policy::{Waived, WaivedAs};
use road::fleet::{Excuse, Fleet, Moment, Place, Row, State};
use serde::Deserialize;
use store::{Decided, Outcome, Point, Store, StoreError, Timestamp};
use web::wire::{AffectedFinding, AffectedImage, AffectedPackage, AffectedPlace, AffectedSource};

use super::owners::Whose;

/// Words that are listed of by whose word an image does not count.
const WAIVED: usize = 20;

/// The part of a decision that says what does not count.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Kept {
    waived: Vec<Waived>,
}

/// A row without what was decided of the image.
pub(super) fn image(fleet: &Fleet, row: &Row<'_>, whose: Option<&Whose>, is_of_class: bool) -> AffectedImage {
    let has_base = fleet.stack_of(&row.key).is_some_and(|(_, base)| base > 0);
    AffectedImage {
        repository: row.key.repository.clone(),
        digest: row.key.digest,
        tags: row.tags.iter().map(|tag| (*tag).to_owned()).collect(),
        state: row.excuse.map_or(state(row.state), excuse).to_owned(),
        application: whose.map(|whose| whose.application.clone()),
        owner: whose.and_then(|whose| whose.owner.clone()),
        os: row
            .os
            .map(|os| format!("{} {}", os.id, os.version).trim().to_owned()),
        first_seen: row.first_seen.map(moment),
        deleted_at: row.deleted.map(moment),
        scannable: row.is_scannable,
        decision: "undecided".to_owned(),
        waived: Vec::new(),
        places: {
            let places = row.places.iter();
            places.map(|at| place(at, has_base, is_of_class)).collect()
        },
        more_places: row.more_places as u64,
    }
}

/// On what it rests that a class is there.
fn evidence(at: &Place<'_>) -> Option<&'static str> {
    match at.state {
        _ if at.is_class_seen => Some("class-seen"),
        State::Affected | State::Mitigated => Some("package-has-it"),
        State::Uncertain => Some("package-may-have-it"),
        State::Hidden => None,
    }
}

fn place(at: &Place<'_>, has_base: bool, is_of_class: bool) -> AffectedPlace {
    AffectedPlace {
        layer: at.layer as u64,
        layer_digest: at.blob,
        origin: origin(has_base, at.is_from_base).to_owned(),
        path: at.path.to_owned(),
        inner_path: at.inner_path.clone(),
        package: Some(AffectedPackage {
            kind: at.kind.purl_type().to_owned(),
            name: at.name.to_owned(),
            version: at.version.to_owned(),
            last_version: at.last_version.clone(),
            owned_by: at.owned_by.clone(),
            confidence: at.confidence,
        }),
        state: state(at.state).to_owned(),
        mitigations: at.mitigations.clone(),
        evidence: evidence(at).filter(|_| is_of_class).map(str::to_owned),
        finding: at.finding.map(finding),
    }
}

/// Lists so many places; of images behind that one each, so that all of them say at least why they are there.
pub(super) fn keep_places(images: &mut [AffectedImage], most: usize) {
    let mut left = most;
    for image in images {
        let kept = image.places.len().min(left.max(1));
        image.more_places += (image.places.len() - kept) as u64;
        image.places.truncate(kept);
        left = left.saturating_sub(kept);
    }
}

/// Whose layer it is.
pub(super) fn origin(has_base: bool, is_from_base: bool) -> &'static str {
    match (has_base, is_from_base) {
        (false, _) => "unknown",
        (true, true) => "base",
        (true, false) => "own",
    }
}

fn finding(said: &VulnerabilityFinding) -> AffectedFinding {
    let sources = said.sources.iter().map(|source| AffectedSource {
        source: source.database.to_string(),
        advisory: source.advisory.to_string(),
        severity: Rating::leading(&source.ratings).map_or(Severity::Unknown, |rating| rating.severity),
        range: source.range.clone(),
        fix: source.fix.version().map(str::to_owned),
        uncertain: source.uncertain.clone(),
    });
    let denied = said.denied_by.iter();
    AffectedFinding {
        severity: said.severity,
        fix: said.fix.version().map(str::to_owned),
        fix_words: said.fix.words(),
        sources: sources.collect(),
        denied_by: denied
            .map(|denied| format!("{} {}", denied.database, denied.advisory))
            .collect(),
        conflicts: said.conflicts.iter().map(conflict).collect(),
        confidence: said.confidence,
        kev: said.kev.is_some(),
        epss: said.epss.map(|score| score.probability),
    }
}

/// Where sources disagree, in words.
fn conflict(conflict: &Conflict) -> String {
    let join = |words: Vec<String>| words.join(", ");
    let ids = |ids: &[Arc<str>]| join(ids.iter().map(ToString::to_string).collect());
    match conflict {
        Conflict::Affected { by, not_by } => format!("affected by {}, not by {}", ids(by), ids(not_by)),
        Conflict::Fix(fixes) => {
            let words = fixes.iter().map(|(id, fix)| format!("{id}: {}", fix.words()));
            format!("fix: {}", join(words.collect()))
        }
        Conflict::Severity(severities) => {
            let words = severities
                .iter()
                .map(|(id, severity)| format!("{id}: {}", severity.as_str()));
            format!("severity: {}", join(words.collect()))
        }
    }
}

pub(super) const fn state(state: State) -> &'static str {
    match state {
        State::Affected => "affected",
        State::Mitigated => "mitigated",
        State::Uncertain => "uncertain",
        State::Hidden => "lower-layer",
    }
}

const fn excuse(excuse: Excuse) -> &'static str {
    match excuse {
        Excuse::Vex => "not-affected",
        Excuse::Waiver => "waived",
    }
}

fn moment(Moment(micros): Moment) -> web::wire::Moment {
    web::wire::Moment(Timestamp(micros))
}

/// The word for what becomes of an image.
pub(super) const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::Warn => "warn",
        Outcome::Refuse => "refuse",
        Outcome::NotApplicable => "not-applicable",
    }
}

/// By whose word findings with one of these ids do not count.
pub(super) fn waived(kept: &[Waived], ids: &[String]) -> Vec<String> {
    let meant = kept.iter().filter(|waived| is_about(waived, ids));
    meant.map(waived_words).take(WAIVED).collect()
}

/// All that does not count, by whose word.
pub(super) async fn kept_waived(
    store: &Store,
    (repo, digest): (&RepoName, &Digest),
    decided: &Decided,
) -> Result<Vec<Waived>, StoreError> {
    // Texts are long, and most take nothing away.
    if !decided.waives {
        return Ok(Vec::new());
    }
    let found = match store.decision_with_text(repo, digest, Point::Pull).await {
        // Nothing of it is believed to be taken away, and others are told of all the same.
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::error!(image = %format!("{repo}@{digest}"), %error, "nothing is known to be waived there");
            None
        }
        found => found?,
    };
    let kept: Option<Kept> = found.and_then(|(_, text)| serde_json::from_str(&text).ok());
    Ok(kept.unwrap_or_default().waived)
}

/// Whether it is about a finding with one of these ids.
pub(super) fn is_about(waived: &Waived, ids: &[String]) -> bool {
    let finding = waived.finding.as_deref().unwrap_or_default();
    ids.iter().any(|id| names(finding, id))
}

/// By whose word, and why.
pub(super) fn waived_words(waived: &Waived) -> String {
    let by_what = match waived.waived_as {
        WaivedAs::Vex => "VEX".to_owned(),
        _ => format!("waiver {}", waived.waiver),
    };
    format!("{by_what} by {}: {}", waived.by, waived.reason)
}

/// Whether the id is a whole word of the text.
fn names(text: &str, id: &str) -> bool {
    let mut words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
    words.any(|word| word.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_is_meant_only_whole() {
        assert!(names("CVE-2021-44228 in log4j-core 2.14.1", "CVE-2021-44228"));
        assert!(names("cve-2021-44228:maven", "CVE-2021-44228"));
        assert!(!names("CVE-2021-442280", "CVE-2021-44228"));
        assert!(!names("", "CVE-2021-44228"));
    }

    #[test]
    fn of_too_many_places_each_image_keeps_one() {
        let place = json!({ "layer": 0, "origin": "own", "path": "a", "state": "affected" });
        let image = json!({
            "repository": "team/app", "digest": format!("sha256:{}", "0".repeat(64)), "tags": [], "state": "affected",
            "scannable": true, "decision": "warn", "places": [place, place, place], "more_places": 1,
        });
        let image: AffectedImage = serde_json::from_value(image).unwrap();
        let mut images = vec![image.clone(), image.clone(), image];
        keep_places(&mut images, 4);
        let kept: Vec<_> = images
            .iter()
            .map(|image| (image.places.len(), image.more_places))
            .collect();
        assert_eq!(kept, [(3, 1), (1, 3), (1, 3)]);
    }

    #[test]
    fn of_an_image_without_a_known_base_nothing_is_said() {
        assert_eq!(origin(false, false), "unknown");
        assert_eq!(origin(true, false), "own");
        assert_eq!(origin(true, true), "base");
    }
}
