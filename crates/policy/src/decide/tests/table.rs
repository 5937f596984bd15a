//! What rules, graces, use and waivers come to.

use time::macros::{date, datetime};

use super::*;
use crate::{Eased, Unknown, WaivedAs};

const REFUSE_KEV: &str = "when: finding.kev, decide: refuse";

#[test]
fn log4j_day() {
    let policy = Policy::default_policy();
    let decision = pull(&policy, &[], &subject(vec![log4j()]));
    assert_eq!(decision.outcome, Outcome::Refuse);
    assert_eq!(
        decision.refusal_text(),
        "refused by policy: [exploited] CVE-2021-44228 in log4j-core 2.14.1 is being exploited: upgrade to 2.17.1"
    );
    let waived = pull(&policy, &[waiver("{}")], &subject(vec![log4j()]));
    assert_eq!(waived.outcome, Outcome::Allow);
    assert_eq!(waived.waived[0].by, "bob");
    assert_eq!(waived.review_at, Some(datetime!(2027-01-01 0:00 UTC)));
    assert_eq!(pull(&policy, &[], &subject(Vec::new())).outcome, Outcome::Allow);
}

#[test]
fn points_and_repositories_choose_rules() {
    let policy = policy(&[
        "when: finding.kev, decide: refuse, on: admit",
        "when: finding.kev, decide: warn, on: [push, pull], repositories: 'shop/*'",
        "when: finding.kev, decide: refuse, repositories: ['prod/**', 'other']",
    ]);
    let judge = |repo: &str, point| {
        let mut subject = subject(vec![log4j()]);
        subject.repo.name = repo.parse().unwrap();
        decide(&policy, &[], &subject, point, NOW).outcome
    };
    for (repo, point, expected) in [
        ("shop/cart", Point::Push, Outcome::Warn),
        ("shop/cart", Point::Pull, Outcome::Warn),
        ("shop/cart", Point::Admit, Outcome::Refuse),
        ("shop/a/b", Point::Pull, Outcome::Allow),
        ("prod/x/y", Point::Push, Outcome::Allow),
        ("prod/x/y", Point::Pull, Outcome::Refuse),
        ("prod", Point::Pull, Outcome::Allow),
        ("other", Point::Pull, Outcome::Refuse),
    ] {
        assert_eq!(judge(repo, point), expected, "{repo} {point:?}");
    }
}

#[test]
fn what_is_in_use_is_kept_unless_a_rule_says_so() {
    let mut used = subject(vec![log4j()]);
    used.in_use = true;
    let kept = pull(&policy(&[REFUSE_KEV]), &[], &used);
    assert_eq!(
        (kept.outcome, kept.reasons[0].eased),
        (Outcome::Warn, Some(Eased::InUse))
    );
    let stopped = pull(
        &policy(&["when: finding.kev, decide: refuse, running: refuse"]),
        &[],
        &used,
    );
    assert_eq!(
        (stopped.outcome, stopped.reasons[0].eased),
        (Outcome::Refuse, None)
    );
}

#[test]
fn grace_warns_until_it_ends() {
    let policy = policy(&["when: finding.kev, decide: refuse, after: 91"]);
    let subject = subject(vec![log4j()]);
    let end = NOW + Duration::days(1);
    let during = pull(&policy, &[], &subject);
    assert_eq!(during.outcome, Outcome::Warn);
    assert_eq!(during.reasons[0].eased, Some(Eased::Grace { until: Some(end) }));
    assert_eq!(during.review_at, Some(end));
    let before_end = decide(
        &policy,
        &[],
        &subject,
        Point::Pull,
        end - Duration::microseconds(1),
    );
    assert_eq!(before_end.outcome, Outcome::Warn);
    let after = decide(&policy, &[], &subject, Point::Pull, end);
    assert_eq!((after.outcome, after.review_at), (Outcome::Refuse, None));
}

#[test]
fn examples_are_never_refused() {
    let mut finding = log4j();
    finding.is_example = true;
    let decision = pull(&policy(&[REFUSE_KEV]), &[], &subject(vec![finding]));
    assert_eq!(
        (decision.outcome, decision.reasons[0].eased),
        (Outcome::Warn, Some(Eased::Example))
    );
}

#[test]
fn vex_suppresses_visibly() {
    let mut finding = log4j();
    finding.suppressed = Some(crate::Suppression {
        by: "vendor".into(),
        reason: "not reachable".into(),
    });
    let decision = pull(&policy(&[REFUSE_KEV]), &[], &subject(vec![finding]));
    assert_eq!(decision.outcome, Outcome::Allow);
    assert_eq!(decision.waived[0].waived_as, WaivedAs::Vex);
    assert_eq!(decision.waived[0].by, "vendor");
}

#[test]
fn waivers_cover_what_they_name() {
    let policy = policy(&[REFUSE_KEV]);
    let fingerprint = log4j().fingerprint();
    let digest = subject(Vec::new()).image.digest;
    let of_facts = format!(r#"{{"kind": "false-positive", "facts": "{fingerprint}"}}"#);
    let of_digest = format!(r#"{{"digest": "{digest}"}}"#);
    for (change, expected) in [
        ("{}", Outcome::Allow),
        (r#"{"findings": ["GHSA-jfh8-c2jp-5v3q"]}"#, Outcome::Allow),
        (r#"{"findings": ["CVE-1"]}"#, Outcome::Refuse),
        (r#"{"findings": [], "rules": ["r0"]}"#, Outcome::Allow),
        (r#"{"rules": ["r1"]}"#, Outcome::Refuse),
        (r#"{"repositories": ["prod/**"]}"#, Outcome::Refuse),
        (
            r#"{"package": "log4j-core", "path": "app/app.jar"}"#,
            Outcome::Allow,
        ),
        (r#"{"package": "log4j-api"}"#, Outcome::Refuse),
        (r#"{"path": "app/other.jar"}"#, Outcome::Refuse),
        (&*of_digest, Outcome::Allow),
        (&*of_digest.replace("sha256:e3", "sha256:00"), Outcome::Refuse),
        (&*of_facts, Outcome::Allow),
        (r#"{"from": "2026-11-28"}"#, Outcome::Refuse),
        (r#"{"until": "2026-11-27"}"#, Outcome::Allow),
        (r#"{"until": "2026-11-26"}"#, Outcome::Refuse),
    ] {
        let decision = pull(&policy, &[waiver(change)], &subject(vec![log4j()]));
        assert_eq!(decision.outcome, expected, "{change}");
    }
}

#[test]
fn a_false_positive_ends_when_its_facts_change() {
    let policy = policy(&[REFUSE_KEV]);
    let of_facts = format!(
        r#"{{"kind": "false-positive", "facts": "{}"}}"#,
        log4j().fingerprint()
    );
    let waivers = [waiver(&of_facts)];
    let judge = |change: fn(&mut JudgedFinding)| {
        let mut finding = log4j();
        change(&mut finding);
        pull(&policy, &waivers, &subject(vec![finding])).outcome
    };
    assert_eq!(judge(|finding| finding.epss = Some(0.1)), Outcome::Allow);
    assert_eq!(judge(|finding| finding.severity = Severity::High), Outcome::Allow);
    assert_eq!(
        judge(|finding| finding.evidence = "other bytes".into()),
        Outcome::Refuse
    );
    assert_eq!(
        judge(|finding| finding.version = "2.14.0".into()),
        Outcome::Refuse
    );
}

#[test]
fn expired_waivers_have_no_effect_and_are_shown() {
    let decision = pull(
        &policy(&[REFUSE_KEV]),
        &[waiver(r#"{"until": "2026-11-20"}"#)],
        &subject(vec![log4j()]),
    );
    assert_eq!(decision.outcome, Outcome::Refuse);
    assert!(decision.waived.is_empty());
    assert_eq!(decision.expired[0].waiver, "w1");
}

#[test]
fn who_pushes_cannot_waive() {
    let mut subject = subject(vec![log4j()]);
    for (pusher, expected) in [
        (" Bob", Outcome::Refuse),
        ("ann", Outcome::Allow),
        ("carl", Outcome::Allow),
    ] {
        subject.pushed_by = Some(pusher.into());
        assert_eq!(
            pull(&policy(&[REFUSE_KEV]), &[waiver("{}")], &subject).outcome,
            expected,
            "{pusher}"
        );
    }
}

#[test]
fn waivers_of_rules_cover_images_too() {
    let policy = policy(&["when: image.user == '', decide: refuse"]);
    let subject = subject(Vec::new());
    assert_eq!(pull(&policy, &[waiver("{}")], &subject).outcome, Outcome::Refuse);
    let of_rule = waiver(r#"{"findings": [], "rules": ["r0"]}"#);
    let decision = pull(&policy, &[of_rule], &subject);
    assert_eq!(
        (decision.outcome, decision.waived[0].finding.as_deref()),
        (Outcome::Allow, None)
    );
}

#[test]
fn what_is_unknown_warns_by_the_default_policy() {
    use UnknownKind::*;
    for kind in [
        NoFeed,
        NoOs,
        NotScannable,
        DiffIdMismatch,
        ForeignLayer,
        Ambiguous,
        FactsTooLong,
        TooManyFindings,
    ] {
        let mut subject = subject(Vec::new());
        subject.image.unknowns = vec![Unknown {
            kind,
            detail: String::new(),
        }];
        let decision = pull(&Policy::default_policy(), &[], &subject);
        assert_eq!(decision.outcome, Outcome::Warn, "{kind:?}");
        assert!(
            decision.warning_line().contains(kind.as_str()),
            "{}",
            decision.warning_line()
        );
    }
    let mut not_scanned = subject(Vec::new());
    not_scanned.image.scanned = false;
    assert_eq!(
        pull(&Policy::default_policy(), &[], &not_scanned).outcome,
        Outcome::Warn
    );
}

#[test]
fn the_default_policy_warns_on_every_kind_of_finding() {
    use FindingKind::*;
    use Severity::{Critical, Negligible, Unknown};
    for (kind, severity, change, expected) in [
        (Vulnerability, Critical, "", Outcome::Warn),
        (Vulnerability, Negligible, "", Outcome::Warn),
        (Vulnerability, Unknown, "", Outcome::Warn),
        (Vulnerability, Critical, "kev", Outcome::Warn),
        (Vulnerability, Unknown, "kev fixed", Outcome::Refuse),
        (Vulnerability, Critical, "kev fixed mitigated", Outcome::Warn),
        (Secret, Critical, "", Outcome::Warn),
        (Secret, Unknown, "", Outcome::Warn),
        (Configuration, Negligible, "", Outcome::Warn),
        (Malware, Unknown, "", Outcome::Warn),
        (Malware, Unknown, "ours", Outcome::Refuse),
    ] {
        let mut finding = JudgedFinding::new(kind, "X", severity);
        finding.kev = change.contains("kev");
        finding.fix = change.contains("fixed").then(|| "upgrade".into());
        finding.mitigated = change.contains("mitigated");
        finding.pack = if change.contains("ours") {
            "roadbed".into()
        } else {
            "other".into()
        };
        let decision = pull(&Policy::default_policy(), &[], &subject(vec![finding]));
        assert_eq!(decision.outcome, expected, "{kind:?} {severity:?} {change}");
    }
}

#[test]
fn facts_that_are_cut_off_are_unknown() {
    let policy = Policy::default_policy();
    let mut long = subject(Vec::new());
    long.image
        .labels
        .insert("a".into(), "x".repeat(crate::MAX_FACT_TEXT_BYTES + 1));
    let mut many = subject(Vec::new());
    many.image.signed_by = vec!["x".into(); crate::MAX_FACT_LIST + 1];
    let mut path = subject(vec![log4j()]);
    path.findings[0].kev = false;
    path.findings[0].path = "x".repeat(crate::MAX_FACT_TEXT_BYTES + 1);
    for subject in [long, many, path] {
        assert!(
            pull(&policy, &[], &subject)
                .warning_line()
                .contains("facts-too-long")
        );
    }
}

#[test]
fn a_flood_of_findings_is_bounded_and_told() {
    let policy = Policy::default_policy();
    let mut findings: Vec<_> = (0..MAX_FINDINGS)
        .map(|number| JudgedFinding::new(FindingKind::Secret, format!("S{number}"), Severity::Critical))
        .collect();
    findings.push(log4j());
    let decision = pull(&policy, &[], &subject(findings));
    assert_eq!(decision.outcome, Outcome::Refuse, "the worst is looked at first");
    assert!(decision.warning_line().contains("more"));
    assert!(
        decision
            .reasons
            .iter()
            .any(|reason| reason.message.contains("too-many-findings"))
    );
    let reasons: usize = decision.reasons.len();
    assert!(reasons <= crate::MAX_REASONS);
}

#[test]
fn costly_conditions_look_at_fewer_findings() {
    let dear = "when: 'finding.aliases.exists(a, finding.aliases.exists(b, a != b))', decide: warn";
    let policy = policy(&[
        dear,
        "when: size(image.unknowns) > 0, decide: warn, message: '{image.unknowns}'",
    ]);
    let findings = (0..1_000)
        .map(|n| JudgedFinding::new(FindingKind::Secret, format!("S{n}"), Severity::Low))
        .collect();
    let decision = pull(&policy, &[], &subject(findings));
    assert_eq!(decision.reasons[0].message, "too-many-findings");
}

#[test]
fn a_condition_without_an_answer_does_what_the_rule_says() {
    let judge = |keys: &str| {
        let decision = pull(&policy(&[keys]), &[], &subject(Vec::new()));
        (
            decision.outcome,
            decision.reasons.first().map(|reason| reason.unanswered),
        )
    };
    assert_eq!(
        judge("when: image.labels.a == 'x', decide: refuse"),
        (Outcome::Warn, Some(true))
    );
    assert_eq!(
        judge("when: image.labels.a == 'x', decide: refuse, on_error: refuse"),
        (Outcome::Refuse, Some(true))
    );
    assert_eq!(
        judge("when: has(image.labels.a) && image.labels.a == 'x', decide: refuse"),
        (Outcome::Allow, None)
    );
}

#[test]
fn findings_with_one_fix_are_one_reason() {
    let mut second = log4j();
    second.id = "CVE-2021-45046".into();
    second.severity = Severity::High;
    let mut elsewhere = log4j();
    elsewhere.path = "b.jar".into();
    let mut other = log4j();
    other.package = "other".into();
    other.severity = Severity::Medium;
    let decision = pull(
        &policy(&[REFUSE_KEV]),
        &[],
        &subject(vec![other, second, elsewhere, log4j()]),
    );
    assert_eq!(decision.reasons.len(), 2);
    assert_eq!(decision.reasons[0].findings, ["CVE-2021-44228", "CVE-2021-45046"]);
    assert_eq!(decision.reasons[0].severity, Severity::Critical);
    assert_eq!(
        decision.reasons[0].message,
        "CVE-2021-44228 in log4j-core 2.14.1: upgrade to 2.17.1"
    );
    assert_eq!(decision.reasons[1].severity, Severity::Medium);
}

#[test]
fn the_end_of_a_release_is_looked_at_again() {
    let policy = Policy::default_policy();
    let mut subject = subject(Vec::new());
    subject.image.os = Some("debian 12".into());
    subject.image.os_ends = Some(date!(2028 - 06 - 30));
    let before = pull(&policy, &[], &subject);
    let end = datetime!(2028-07-01 0:00 UTC);
    assert_eq!((before.outcome, before.review_at), (Outcome::Allow, Some(end)));
    assert_eq!(
        decide(
            &policy,
            &[],
            &subject,
            Point::Pull,
            end - Duration::microseconds(1)
        )
        .outcome,
        Outcome::Allow
    );
    assert_eq!(
        decide(&policy, &[], &subject, Point::Pull, end).outcome,
        Outcome::Warn
    );
}

#[test]
fn what_is_not_applicable_is_not_judged() {
    let mut subject = subject(vec![log4j()]);
    subject.image.not_applicable = true;
    let decision = pull(&Policy::default_policy(), &[], &subject);
    assert_eq!(
        (decision.outcome, decision.reasons.len()),
        (Outcome::NotApplicable, 0)
    );
}

#[test]
fn a_new_row_is_for_new_outcomes_and_reasons_only() {
    let subject = subject(vec![log4j()]);
    let first = pull(&Policy::default_policy(), &[], &subject);
    let mut later = subject.clone();
    later.advisory_generation = 7;
    later.image.size = 5;
    let second = decide(
        &Policy::default_policy(),
        &[],
        &later,
        Point::Pull,
        NOW + Duration::days(1),
    );
    assert_ne!(first, second);
    assert!(first.same_outcome_and_reasons(&second));
    later.findings[0].fix = Some("upgrade to 2.17.2".into());
    assert!(!first.same_outcome_and_reasons(&pull(&Policy::default_policy(), &[], &later)));
    assert!(!first.same_outcome_and_reasons(&first.clone().held_at_warn()));
}

#[test]
fn the_brake_turns_refusals_into_warnings() {
    let held = pull(&Policy::default_policy(), &[], &subject(vec![log4j()])).held_at_warn();
    assert_eq!(held.outcome, Outcome::Warn);
    assert_eq!(held.reasons[0].eased, Some(Eased::Brake));
    let text = held.warning_text();
    assert!(
        text.starts_with("299 - \"policy warns (it would be refused, and is held until a person approves that): [exploited]"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_judged_is_unknown_and_warned_about_whatever_rules_say() {
    for (rules, outcome) in [
        (
            Policy::parse("p", "version: 1\nrules: []\n").unwrap(),
            Outcome::Warn,
        ),
        (
            policy(&["when: '!image.scanned', decide: refuse"]),
            Outcome::Refuse,
        ),
        (
            policy(&["when: '\"not-judged\" in image.unknowns', decide: refuse"]),
            Outcome::Refuse,
        ),
        (Policy::default_policy(), Outcome::Warn),
    ] {
        let unjudged = |why| crate::decide_unjudged(&rules, &[], subject(Vec::new()), Point::Pull, NOW, why);
        let decision = unjudged("the report\r\nis damaged");
        assert_eq!(decision.outcome, outcome);
        let last = decision.reasons.last().unwrap();
        assert_eq!(last.rule, "not-judged");
        assert_eq!(
            last.message,
            "the image could not be judged: the report??is damaged"
        );
    }
}

#[test]
fn a_rule_is_asked_at_the_push_only_if_it_says_so() {
    let everywhere = policy(&[REFUSE_KEV]);
    let at_push = policy(&["when: finding.kev, decide: refuse, on: push"]);
    for (policy, push, pull) in [
        (everywhere, Outcome::Allow, Outcome::Refuse),
        (at_push, Outcome::Refuse, Outcome::Allow),
    ] {
        let at = |point| decide(&policy, &[], &subject(vec![log4j()]), point, NOW).outcome;
        assert_eq!((at(Point::Push), at(Point::Pull)), (push, pull));
        assert_eq!(at(Point::Admit), pull);
    }
}

#[test]
fn decisions_are_kept_as_json() {
    let mut subject = subject(vec![log4j()]);
    subject.in_use = true;
    let decision = pull(
        &Policy::default_policy(),
        &[waiver(r#"{"until": "2026-11-02"}"#)],
        &subject,
    );
    let json = serde_json::to_string(&decision).unwrap();
    assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), decision);
}

#[test]
fn only_three_reasons_are_named() {
    let findings = (0..5)
        .map(|number| {
            let mut finding = log4j();
            finding.package = format!("package-{number}");
            finding
        })
        .collect();
    let text = pull(&policy(&[REFUSE_KEV]), &[], &subject(findings)).refusal_text();
    assert!(
        text.contains("package-2 2.14.1: upgrade to 2.17.1") && !text.contains("package-3"),
        "{text}"
    );
    assert!(text.ends_with("(and 2 more)"), "{text}");
}
