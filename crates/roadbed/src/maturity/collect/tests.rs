//! What is collected of a small organisation, and where that puts its applications.

pub(in crate::maturity) mod kit;

use std::sync::Arc;

use maturity::{
    assessment::Assessment,
    evidence::{EvidenceLimits, Value},
    facts::{Entry, EntryKind, Placement, Targets},
    model::Model,
    rule::State,
    words::EventId,
};
use serde_json::json;
use time::Duration;

use kit::{Kit, START, layer, operator, signature, value, values};

const APP: &str = "app:checkout";
const REPO: &str = "shop/checkout";

const MODEL: &str = r#"
apiVersion: maturity/v1
kind: Model
id: small
version: "1"
levels:
  - {level: 1, name: One}
categories:
  - id: tech
    name: Technology
    topics:
      - {id: images, name: Images}
criteria:
  - {id: SIGNED, topic: tech/images, level: 1, criterion: Signed., evidence: auto,
     signal: {fact: image-signed, last: 1}, remedy: {do: Sign it., command: "sign {app}"}}
  - {id: BASE, topic: tech/images, level: 1, criterion: On a base., evidence: auto,
     signal: {fact: base-approved, last: 1}, remedy: {do: Use one., command: "use {app}"}}
"#;

/// An assessment with the application in it.
fn assessment() -> Assessment {
    let model = Arc::new(Model::parse("small.yaml", MODEL).unwrap());
    let mut assessment = Assessment::new(model, EvidenceLimits::default());
    let placement = Placement {
        app: "checkout".parse().unwrap(),
        team: None,
        platform: None,
        tier: None,
        targets: Targets::default(),
    };
    let applied = assessment.apply(Entry {
        event: EventId(1),
        at: START,
        kind: EntryKind::Placed(Box::new(placement)),
    });
    assert_eq!(applied.refusal, None);
    assessment
}

fn take(assessment: &mut Assessment, entries: Vec<Entry>) {
    for entry in entries {
        let applied = assessment.apply(entry.clone());
        // A model speaks of few facts, and knows all of them.
        assert_eq!(applied.refusal, None, "{entry:?}");
    }
}

fn state(assessment: &Assessment, criterion: &str) -> State {
    let result = assessment.why(&APP.parse().unwrap(), &criterion.parse().unwrap());
    result.unwrap().state
}

#[tokio::test]
async fn an_application_that_signs_is_seen_to() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    let image = kit.push(&kit.robot, REPO, "1.0", &[layer("one")]).await;
    kit.decide(REPO, &image, &[signature()]).await;
    kit.wait(5);
    let entries = kit.night(APP).await;
    let item = image.to_string();
    let of = |fact: &str| value(&entries, fact, Some(&item));
    for fact in [
        "image-signed",
        "image-scanned",
        "image-decided",
        "pushed-by-robot",
        "revision-labelled",
    ] {
        assert_eq!(of(fact), Some(Value::Flag(true)), "{fact}");
    }
    for fact in [
        "sbom-present",
        "provenance-present",
        "provenance-hosted",
        "base-known",
        "base-approved",
    ] {
        assert_eq!(of(fact), Some(Value::Flag(false)), "{fact}");
    }
    // Never pulled; no rule says how tags are called; no toolchain is approved.
    for fact in ["decided-before-use", "tag-by-rule", "toolchain-approved"] {
        assert_eq!(of(fact), None, "{fact}");
    }
    assert_eq!(of("image-secret-free"), Some(Value::Flag(true)));
    let state = |fact: &str| value(&entries, fact, None);
    for fact in ["owner-known", "contact-known", "tier-declared"] {
        assert_eq!(state(fact), Some(Value::Flag(true)), "{fact}");
    }
    for fact in [
        "golden-path-named",
        "rebase-ring-set",
        "base-exempt",
        "tags-immutable",
        "ships-model",
    ] {
        assert_eq!(state(fact), Some(Value::Flag(false)), "{fact}");
    }
    let linked = entries.iter().find_map(|entry| match &entry.kind {
        EntryKind::Seen(evidence) if evidence.fact.to_string() == "image-signed" => {
            Some(evidence.seen.events.len())
        }
        _ => None,
    });
    assert_eq!(linked, Some(2), "its push and its decision");
    let of_cluster = values(&entries)
        .into_keys()
        .any(|(fact, _)| fact.starts_with("cluster-"));
    assert!(!of_cluster);
}

#[tokio::test]
async fn nothing_is_told_twice_and_a_state_is_told_anew_after_a_while() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    let image = kit.push(&kit.robot, REPO, "1.0", &[layer("one")]).await;
    kit.decide(REPO, &image, &[signature()]).await;
    for subject in [APP, "team:shop", "platform:default", "org:organisation"] {
        assert!(!kit.night(subject).await.is_empty(), "{subject}");
        kit.wait(60);
        let again = kit.night(subject).await;
        assert!(again.is_empty(), "{subject}: {again:?}");
    }
    kit.go_on(31);
    let anew = kit.night(APP).await;
    assert_eq!(value(&anew, "owner-known", None), Some(Value::Flag(true)));
    assert_eq!(value(&anew, "image-signed", Some(&image.to_string())), None);
}

#[tokio::test]
async fn one_that_stops_signing_falls_back_and_recovers() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    let mut assessment = assessment();
    let signed = kit.push(&kit.robot, REPO, "1.0", &[layer("one")]).await;
    kit.decide(REPO, &signed, &[signature()]).await;
    take(&mut assessment, kit.night(APP).await);
    assert_eq!(state(&assessment, "SIGNED"), State::Met);
    kit.go_on(1);
    let bare = kit.push(&kit.robot, REPO, "1.1", &[layer("two")]).await;
    kit.decide(REPO, &bare, &[]).await;
    take(&mut assessment, kit.night(APP).await);
    assert_eq!(state(&assessment, "SIGNED"), State::NotMet);
    // A late signature counts, and so does that it is taken away: also within one second.
    for (attached, wanted) in [(vec![signature()], State::Met), (vec![], State::NotMet)] {
        kit.wait(1);
        kit.decide(REPO, &bare, &attached).await;
        take(&mut assessment, kit.night(APP).await);
        assert_eq!(state(&assessment, "SIGNED"), wanted);
    }
    let history = assessment.history().of(&APP.parse().unwrap()).count();
    assert!(history >= 4, "each turn is a change: {history}");
}

#[tokio::test]
async fn a_base_is_approved_until_its_end() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    let end = START + Duration::days(20);
    kit.approve("java", end).await;
    let base = vec![layer("base")];
    let release = kit.push(&kit.robot, "base/java", "17", &base).await;
    kit.release("base/java", &release, &base).await;
    let layers = [base, vec![layer("own")]].concat();
    let image = kit.push(&kit.robot, REPO, "1.0", &layers).await;
    kit.decide(REPO, &image, &[]).await;
    let mut assessment = assessment();
    let entries = kit.night(APP).await;
    let until = entries.iter().find_map(|entry| match &entry.kind {
        EntryKind::Seen(evidence) if evidence.fact.to_string() == "base-approved" => {
            Some(evidence.seen.valid_until)
        }
        _ => None,
    });
    assert_eq!(until, Some(Some(end)));
    assert_eq!(value(&entries, "image-staleness", None), Some(Value::Number(0)));
    take(&mut assessment, entries);
    assert_eq!(state(&assessment, "BASE"), State::Met);
    assessment.advance(end);
    assert_ne!(state(&assessment, "BASE"), State::Met, "nobody had to look");
    kit.go_on(21);
    take(&mut assessment, kit.night(APP).await);
    assert_eq!(state(&assessment, "BASE"), State::NotMet);
}

#[tokio::test]
async fn an_exemption_counts_until_its_end_and_is_a_debt_afterwards() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    let image = kit.push(&kit.person, REPO, "1.0", &[layer("one")]).await;
    kit.decide(REPO, &image, &[]).await;
    let until = START + Duration::days(10);
    let exemption = json!({ "kind": "Exemption", "entry": {
        "application": "checkout", "rule": "BASE", "reason": "needs a CUDA base", "owner": "group:shop",
        "approved_by": ["group:platform"], "from": store::Timestamp::from(START).to_rfc3339(),
        "until": store::Timestamp::from(until).to_rfc3339(), "max_renewals": 1,
    } });
    kit.pave(&[exemption]).await;
    kit.wait(1);
    let mut assessment = assessment();
    let entries = kit.night(APP).await;
    assert_eq!(value(&entries, "base-exempt", None), Some(Value::Flag(true)));
    assert_eq!(value(&entries, "exemptions-live", None), Some(Value::Number(1)));
    assert_eq!(
        value(&entries, "pushed-by-robot", Some(&image.to_string())),
        Some(Value::Flag(false))
    );
    take(&mut assessment, entries);
    assert_eq!(state(&assessment, "BASE"), State::Exempt);
    kit.go_on(11);
    let entries = kit.night(APP).await;
    assert_eq!(value(&entries, "base-exempt", None), Some(Value::Flag(false)));
    assert_eq!(value(&entries, "exemptions-live", None), Some(Value::Number(0)));
    assert_eq!(
        value(&entries, "exemptions-expired", None),
        Some(Value::Number(1))
    );
    take(&mut assessment, entries);
    assert_eq!(state(&assessment, "BASE"), State::NotMet);
    let team = kit.night("team:shop").await;
    assert_eq!(value(&team, "exemptions-change", None), Some(Value::Number(0)));
    assert_eq!(value(&team, "owner-is-group", None), Some(Value::Flag(true)));
}

#[tokio::test]
async fn an_exemption_that_is_taken_back_ends() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    kit.push(&kit.robot, REPO, "1.0", &[layer("one")]).await;
    let exemption = |reason: &str| {
        json!({ "kind": "Exemption", "entry": {
            "application": "checkout", "rule": "BASE", "reason": reason, "owner": "group:shop",
            "approved_by": ["group:platform"], "from": "2026-03-01T00:00:00Z", "until": "2026-06-01T00:00:00Z",
            "max_renewals": 1,
        } })
    };
    kit.pave(&[exemption("needs a CUDA base")]).await;
    let (last, _) = kit.follow(0).await;
    kit.pave(&[exemption("needs another base")]).await;
    let (_, entries) = kit.follow(last).await;
    let ended = entries
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::ExemptionEnded(_)));
    let granted = entries
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::Exempted(_)));
    assert_eq!((ended.count(), granted.count()), (1, 1));
}

#[tokio::test]
async fn a_line_of_the_log_is_about_its_image_alone() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    let first = kit.push(&kit.robot, REPO, "1.0", &[layer("one")]).await;
    kit.decide(REPO, &first, &[]).await;
    let (last, _) = kit.follow(0).await;
    let second = kit.push(&kit.robot, REPO, "1.1", &[layer("two")]).await;
    kit.decide(REPO, &second, &[signature()]).await;
    let (last, entries) = kit.follow(last).await;
    let wanted = Some(second.to_string());
    let others = values(&entries)
        .into_keys()
        .filter(|(_, item)| item.is_some() && *item != wanted);
    assert_eq!(others.count(), 0);
    assert_eq!(
        value(&entries, "image-signed", wanted.as_deref()),
        Some(Value::Flag(true))
    );
    // What is nobody's is told of nobody.
    let foreign = kit.push(&kit.robot, "other/tool", "1", &[layer("three")]).await;
    kit.decide("other/tool", &foreign, &[]).await;
    let (_, entries) = kit.follow(last).await;
    assert_eq!(values(&entries).len(), 0);
}

#[tokio::test]
async fn a_promotion_takes_what_is_there_or_makes_it_anew() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    let image = kit.push(&kit.robot, REPO, "1.0", &[layer("one")]).await;
    kit.wait(10);
    kit.tag(REPO, "production", &image).await;
    kit.wait(10);
    kit.push(&kit.robot, REPO, "production", &[layer("two")]).await;
    let (_, entries) = kit.follow(0).await;
    let promoted = values(&entries)
        .into_iter()
        .filter(|((fact, _), _)| fact == "promoted-unchanged");
    let promoted: Vec<Value> = promoted.map(|(_, value)| value).collect();
    assert_eq!(promoted, [Value::Flag(true), Value::Flag(false)]);
}

#[tokio::test]
async fn the_registry_tells_of_itself() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    kit.push(&kit.robot, REPO, "1.0", &[layer("one")]).await;
    let platform = kit.night("platform:default").await;
    let of = |fact: &str| value(&platform, fact, None);
    assert_eq!(of("policy-in-force"), Some(Value::Flag(false)));
    assert_eq!(of("decisions-enforced"), Some(Value::Number(100)));
    assert_eq!(of("shared-accounts"), Some(Value::Number(0)));
    assert_eq!(of("rematch-age"), None, "there are no advisories");
    let organisation = kit.night("org:organisation").await;
    let of = |fact: &str| value(&organisation, fact, None);
    assert_eq!(of("no-anonymous"), Some(Value::Flag(true)));
    assert_eq!(of("policy-deadlines"), Some(Value::Flag(false)));
    assert_eq!(of("road-adoption"), Some(Value::Number(0)));
    let new = value(&organisation, "new-app-on-path", Some("app:checkout"));
    assert_eq!(new, Some(Value::Flag(false)));

    let policy = "version: 1\nrules:\n- id: kev\n  about: it is attacked\n  when: finding.kev\n  decide: refuse\n  \
                  after: 7\n  repositories: [prod/**]\n";
    kit.store
        .set_policy(policy, "sha256:x", &operator())
        .await
        .unwrap();
    kit.wait(1);
    let platform = kit.night("platform:default").await;
    assert_eq!(value(&platform, "policy-in-force", None), Some(Value::Flag(true)));
    assert_eq!(
        value(&platform, "decisions-enforced", None),
        Some(Value::Number(0))
    );
    let organisation = kit.night("org:organisation").await;
    assert_eq!(
        value(&organisation, "policy-deadlines", None),
        Some(Value::Flag(true))
    );
}
