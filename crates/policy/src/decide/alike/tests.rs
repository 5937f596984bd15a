//! Images that are alike are decided alike, whatever is different about them.

use proptest::prelude::*;
use time::Duration;

use super::*;
use crate::decide::tests::{NOW, log4j, policy, pull, subject, waiver};

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Rules that read what builds differ in, and some that do not.
const RULES: [&str; 9] = [
    "when: finding.kev, decide: refuse",
    "when: finding.kev, decide: refuse, after: 30",
    "when: image.labels.team == 'x', decide: refuse, on_error: refuse",
    "when: \"'team' in image.annotations\", decide: warn",
    "when: image.size > 5, decide: refuse",
    "when: image.digest.endsWith('aaaa'), decide: warn",
    "when: finding.kev, decide: warn, message: '{finding.id} in {image.digest} of {image.created}'",
    "when: 'image.created > timestamp(\"2026-11-20T00:00:00Z\")', decide: refuse",
    "when: size(image.user) > 0, decide: warn",
];

fn image() -> impl Strategy<Value = Subject> {
    let label = || prop::sample::select(vec![None, Some("x"), Some("y")]);
    let build = (0..2_usize, 0..2_u64, 0..30_i64, label(), label());
    (build, any::<bool>(), any::<bool>()).prop_map(|((digest, size, days, team, note), root, in_use)| {
        let mut subject = subject(vec![log4j()]);
        if digest > 0 {
            subject.image.digest = DIGEST.parse().unwrap();
        }
        subject.image.size = size * 10;
        subject.image.created = Some(NOW - Duration::days(days));
        let entry = |value: Option<&str>| value.map(|value| ("team".to_owned(), value.to_owned()));
        subject.image.labels.extend(entry(team));
        subject.image.annotations.extend(entry(note));
        if !root {
            subject.image.user = "1000".to_owned();
        }
        subject.in_use = in_use;
        subject
    })
}

fn waivers() -> impl Strategy<Value = Vec<Waiver>> {
    let of_digest = format!(r#"{{"digest": "{DIGEST}"}}"#);
    let changes = vec!["{}".to_owned(), of_digest, r#"{"rules": ["r0"]}"#.to_owned()];
    proptest::collection::vec(
        prop::sample::select(changes).prop_map(|change| waiver(&change)),
        0..2,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn those_that_are_alike_are_decided_alike(
        rules in proptest::collection::vec(prop::sample::select(RULES.to_vec()), 0..4),
        waivers in waivers(),
        one in image(),
        other in image(),
    ) {
        let policy = policy(&rules);
        let alike = |image| Alike::of(&policy, &waivers, image).unwrap();
        if alike(&one) == alike(&other) {
            let mut second = pull(&policy, &waivers, &other);
            let first = pull(&policy, &waivers, &one);
            second.evidence_fingerprint = first.evidence_fingerprint;
            prop_assert_eq!(first, second);
        }
    }
}

#[test]
fn builds_differ_in_nothing_that_the_default_policy_asks_about() {
    let policy = Policy::default_policy();
    let (one, mut other) = (subject(vec![log4j()]), subject(vec![log4j()]));
    other.image.digest = DIGEST.parse().unwrap();
    other.image.created = Some(NOW);
    other.image.size = 7;
    other.image.labels.insert("revision".to_owned(), "b".to_owned());
    other.image.annotations.insert("built".to_owned(), "b".to_owned());
    let alike = |waivers: &[Waiver]| {
        Alike::of(&policy, waivers, &one).unwrap() == Alike::of(&policy, waivers, &other).unwrap()
    };
    assert!(alike(&[]));
    assert!(alike(&[waiver("{}")]));
    assert!(!alike(&[waiver(&format!(r#"{{"digest": "{DIGEST}"}}"#))]));
    assert!(!Alike::asks_first_seen(&policy));
    other.in_use = true;
    assert_ne!(Alike::of(&policy, &[], &one), Alike::of(&policy, &[], &other));
}

#[test]
fn what_is_too_long_is_decided_by_itself() {
    let mut subject = subject(Vec::new());
    subject.image.labels.insert("long".to_owned(), "x".repeat(5_000));
    assert_eq!(Alike::of(&Policy::default_policy(), &[], &subject), None);
}
