//! From policy, waivers and facts to a decision.

mod alike;
mod collect;
mod grace;
mod unknowns;

use findings::Severity;
use oci::Digest;
use time::OffsetDateTime;

use crate::condition::Facts;
use crate::limits::{MAX_FINDINGS, MAX_MESSAGE_BYTES, MAX_SIGNATURES};
use crate::text::one_line;
use crate::{
    Attached, Decision, Effect, JudgedFinding, Outcome, Point, Policy, Reason, Rule, Subject, Unknown,
    UnknownKind, Waiver,
};
pub use alike::Alike;
use collect::Collector;

/// What it costs to make a reason of an answer, in the units of [`Condition::cost`](crate::Condition::cost).
const ANSWER: u64 = 100;

/// Judges `subject` at `point`. Pure and total: the same arguments give the same decision, whatever they are.
///
/// Each rule that applies there is asked about each finding, or once about the image if its condition names no finding. What
/// it says becomes a reason, unless a waiver in force or a trusted VEX statement covers it; those are listed instead. A rule
/// that refuses only warns while its grace runs, where the image is in use and the rule keeps what runs, and about examples.
pub fn decide(
    policy: &Policy,
    waivers: &[Waiver],
    subject: &Subject,
    point: Point,
    now: OffsetDateTime,
) -> Decision {
    decide_known(policy, waivers, (subject, subject.fingerprint()), point, now)
}

/// The same at several points, where the [fingerprint](Subject::fingerprint) of the facts is known: it is the same at all of them, and
/// large images have long ones. What the same rules decide is found out once.
pub fn decide_at(
    policy: &Policy,
    waivers: &[Waiver],
    known: (&Subject, Digest),
    points: &[Point],
    now: OffsetDateTime,
) -> Vec<Decision> {
    let repo = &known.0.repo.name;
    let asked = |point: Point| policy.rules().iter().map(move |rule| rule.applies(repo, point));
    let mut decisions: Vec<Decision> = Vec::with_capacity(points.len());
    for &point in points {
        let same = decisions.iter().find(|made| asked(made.point).eq(asked(point)));
        let decision = match same {
            Some(same) => Decision {
                point,
                ..same.clone()
            },
            None => decide_known(policy, waivers, known, point, now),
        };
        decisions.push(decision);
    }
    decisions
}

fn decide_known(
    policy: &Policy,
    waivers: &[Waiver],
    (subject, fingerprint): (&Subject, Digest),
    point: Point,
    now: OffsetDateTime,
) -> Decision {
    let mut collector = Collector::new(waivers, subject, now);
    let applicable = !subject.image.not_applicable;
    if applicable {
        judge(policy, subject, point, now, &mut collector);
    }
    let collected = collector.finish();
    let outcome = match collected.reasons.iter().map(|reason| reason.effect).max() {
        _ if !applicable => Outcome::NotApplicable,
        None => Outcome::Allow,
        Some(Effect::Warn) => Outcome::Warn,
        Some(Effect::Refuse) => Outcome::Refuse,
    };
    Decision {
        outcome,
        point,
        reasons: collected.reasons,
        more_reasons: collected.more_reasons,
        waived: collected.waived,
        more_waived: collected.more_waived,
        signatures: attached(subject),
        expired: collected.expired,
        policy_digest: policy.digest(),
        evidence_fingerprint: fingerprint,
        advisory_generation: subject.advisory_generation,
        review_at: collected.review_at,
    }
}

/// The decision about an image that cannot be judged: its facts cannot be had, however often it is tried. `why` is for people.
///
/// Rules see an unknown of its own and that it was not looked into. It is warned about whatever they say: an image that nobody
/// could judge must not pass for one that nothing speaks against.
pub fn decide_unjudged(
    policy: &Policy,
    waivers: &[Waiver],
    mut subject: Subject,
    point: Point,
    now: OffsetDateTime,
    why: &str,
) -> Decision {
    let why = one_line(why, MAX_MESSAGE_BYTES);
    subject.image.scanned = false;
    subject.image.unknowns.push(Unknown {
        kind: UnknownKind::NotJudged,
        detail: why.clone(),
    });
    let mut decision = decide(policy, waivers, &subject, point, now);
    decision.outcome = decision.outcome.max(Outcome::Warn);
    decision.reasons.push(Reason {
        rule: UnknownKind::NotJudged.as_str().to_owned(),
        effect: Effect::Warn,
        eased: None,
        kind: None,
        findings: Vec::new(),
        more_findings: 0,
        message: format!("the image could not be judged: {why}"),
        fix: None,
        severity: Severity::Unknown,
        unanswered: false,
    });
    decision
}

/// What is attached, as far as decisions list it. What counts comes first.
fn attached(subject: &Subject) -> Vec<Attached> {
    let mut attached = subject.image.signatures.clone();
    attached.sort_by_key(|attached| attached.signers.is_empty());
    attached.truncate(MAX_SIGNATURES);
    attached
}

fn judge<'a>(
    policy: &'a Policy,
    subject: &'a Subject,
    point: Point,
    now: OffsetDateTime,
    collector: &mut Collector<'a>,
) {
    let (about_findings, about_images): (Vec<&Rule>, Vec<&Rule>) = policy
        .rules()
        .iter()
        .filter(|rule| rule.applies(&subject.repo.name, point))
        .partition(|rule| rule.when.is_about_findings());
    let mut unknowns = unknowns::of(subject);
    let texts = unknowns::texts(&unknowns);
    let mut facts = Facts {
        subject,
        finding: None,
        now,
        unknowns: &texts,
    };
    let cost = about_findings
        .iter()
        .map(|rule| rule.when.cost() + ANSWER)
        .sum::<u64>()
        .max(1);
    let affordable = usize::try_from(policy.limits().decision_cost / cost).unwrap_or(usize::MAX);
    let findings = if about_findings.is_empty() {
        Vec::new()
    } else {
        worst_first(subject)
    };
    let looked_at = findings.len().min(MAX_FINDINGS).min(affordable);
    if looked_at < findings.len() {
        unknowns.push(UnknownKind::TooManyFindings);
    }
    for finding in findings.into_iter().take(looked_at) {
        facts.finding = Some(finding);
        for rule in &about_findings {
            collector.ask(rule, Some(finding), &facts);
        }
    }
    let texts = unknowns::texts(&unknowns);
    facts = Facts {
        finding: None,
        unknowns: &texts,
        ..facts
    };
    for rule in about_images {
        collector.ask(rule, None, &facts);
    }
    collector.review_end_of_life();
    collector.review_signers();
}

/// What is refused soonest comes first, so that a flood of lesser findings cannot push it out of sight.
fn worst_first(subject: &Subject) -> Vec<&JudgedFinding> {
    let mut findings: Vec<&JudgedFinding> = subject.findings.iter().collect();
    findings.sort_by(|left, right| collect::rank(left).cmp(&collect::rank(right)));
    findings
}

#[cfg(test)]
mod tests;
