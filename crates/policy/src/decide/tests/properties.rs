//! What holds whatever the facts are.

use proptest::prelude::*;

use super::*;
use crate::{MAX_LINE_BYTES, Unknown, preview};

fn policies() -> impl Strategy<Value = Policy> {
    let rules = [
        "when: finding.kev, decide: refuse",
        "when: finding.kev, decide: refuse, running: refuse",
        "when: finding.severity >= 'high', decide: refuse, after: 30",
        "when: finding.severity == 'unknown', decide: warn, message: '{finding.id} {finding.path}'",
        "when: size(image.unknowns) > 0, decide: warn",
        "when: image.labels.team == 'x', decide: refuse, on_error: refuse",
        "when: 'finding.path.contains(image.user) || finding.aliases.exists(a, a == finding.id)', decide: warn, on: pull",
    ];
    proptest::collection::vec(prop::sample::select(rules.to_vec()), 0..5).prop_map(|rules| policy(&rules))
}

fn findings_of() -> impl Strategy<Value = Vec<JudgedFinding>> {
    let kinds = [
        FindingKind::Vulnerability,
        FindingKind::Secret,
        FindingKind::Malware,
        FindingKind::Configuration,
    ];
    let severities = [
        Severity::Unknown,
        Severity::Low,
        Severity::High,
        Severity::Critical,
    ];
    let ids = ["CVE-1", "CVE-2", "CVE-2021-44228", "x\r\nWarning: 299"].map(str::to_owned);
    let finding = (
        prop::sample::select(kinds.to_vec()),
        prop_oneof![prop::sample::select(ids.to_vec()), any::<String>()],
        prop::sample::select(severities.to_vec()),
        (
            any::<String>(),
            any::<String>(),
            proptest::option::of(any::<String>()),
        ),
        (any::<bool>(), any::<bool>(), proptest::option::of(any::<f64>())),
        proptest::option::of(-100_i64..100),
    )
        .prop_map(
            |(kind, id, severity, (package, path, fix), (kev, example, epss), days)| {
                let mut finding = JudgedFinding::new(kind, id, severity);
                (finding.package, finding.path, finding.fix) = (package, path, fix);
                (finding.kev, finding.is_example, finding.epss) = (kev, example, epss);
                finding.published = days.map(|days| NOW + Duration::days(days));
                finding
            },
        );
    proptest::collection::vec(finding, 0..6)
}

fn subjects() -> impl Strategy<Value = Subject> {
    (findings_of(), any::<bool>(), any::<String>(), any::<bool>()).prop_map(
        |(findings, in_use, user, unknown)| {
            let mut subject = subject(findings);
            (subject.in_use, subject.image.user) = (in_use, user);
            if unknown {
                subject.image.unknowns.push(Unknown {
                    kind: UnknownKind::NoOs,
                    detail: String::new(),
                });
            }
            subject
        },
    )
}

fn waivers() -> impl Strategy<Value = Vec<Waiver>> {
    let changes = [
        "{}",
        r#"{"findings": ["CVE-1"]}"#,
        r#"{"findings": [], "rules": ["r0", "r1"]}"#,
        r#"{"rules": ["r0"], "until": "2026-11-20"}"#,
        r#"{"findings": [], "rules": ["r2", "r3", "r4", "r5"], "from": "2026-12-20"}"#,
    ];
    proptest::collection::vec(prop::sample::select(changes.to_vec()).prop_map(waiver), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn waivers_never_make_it_worse(policy in policies(), subject in subjects(), some in waivers(), more in waivers()) {
        let without = pull(&policy, &[], &subject);
        let with_some = pull(&policy, &some, &subject);
        let all: Vec<_> = some.into_iter().chain(more).collect();
        let with_all = pull(&policy, &all, &subject);
        prop_assert!(with_some.outcome <= without.outcome);
        prop_assert!(with_all.outcome <= with_some.outcome);
    }

    #[test]
    fn text_of_strangers_stays_in_its_place(policy in policies(), subject in subjects()) {
        let decision = pull(&policy, &[], &subject);
        for line in [decision.refusal_text(), decision.warning_line()] {
            prop_assert!(line.len() <= MAX_LINE_BYTES);
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        }
        let header = decision.warning_text();
        let quoted = header.strip_prefix("299 - \"").unwrap().strip_suffix('"').unwrap();
        prop_assert!(quoted.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let unescaped = quoted.replace(r"\\", "").replace("\\\"", "");
        prop_assert!(!unescaped.contains(['"', '\\']), "{quoted}");
        prop_assert!(header.len() <= 2 * MAX_LINE_BYTES + 10);
    }

    #[test]
    fn the_order_of_facts_does_not_matter(policy in policies(), mut subject in subjects(), waivers in waivers()) {
        let first = pull(&policy, &waivers, &subject);
        subject.findings.reverse();
        let reversed: Vec<_> = waivers.into_iter().rev().collect();
        let second = pull(&policy, &reversed, &subject);
        prop_assert!(first.same_outcome_and_reasons(&second), "{first:#?} {second:#?}");
    }

    #[test]
    fn together_each_point_comes_to_what_it_comes_to_alone(policy in policies(), subject in subjects(), waivers in waivers()) {
        let known = (&subject, subject.fingerprint());
        let together = decide_at(&policy, &waivers, known, &Point::ALL, NOW);
        let alone = Point::ALL.map(|point| decide(&policy, &waivers, &subject, point, NOW));
        prop_assert_eq!(together, alone.to_vec());
    }

    #[test]
    fn outcomes_have_reasons_and_reviews_lie_ahead(policy in policies(), subject in subjects(), waivers in waivers()) {
        let decision = pull(&policy, &waivers, &subject);
        let worst = decision.reasons.iter().map(|reason| reason.effect).max();
        prop_assert_eq!(decision.outcome == Outcome::Allow, worst.is_none());
        prop_assert_eq!(decision.outcome == Outcome::Refuse, worst == Some(Effect::Refuse));
        prop_assert!(decision.review_at.is_none_or(|at| at > NOW));
        prop_assert!(decision.reasons.is_sorted_by_key(|reason| std::cmp::Reverse(reason.effect)));
        prop_assert!(preview(&policy, &policy, &waivers, &[subject], Point::Pull, NOW).is_empty());
    }

    #[test]
    fn more_findings_never_make_it_better(policy in policies(), subject in subjects(), more in findings_of()) {
        let mut worse = subject.clone();
        worse.findings.extend(more);
        prop_assert!(pull(&policy, &[], &worse).outcome >= pull(&policy, &[], &subject).outcome);
    }
}
