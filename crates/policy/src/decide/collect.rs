//! Gathers what rules say into reasons.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use findings::{FindingKind, Severity};
use time::OffsetDateTime;

use super::grace::{self, Grace};
use crate::condition::{EvalError, Facts};
use crate::limits::{
    MAX_IDS_PER_REASON, MAX_MESSAGE_BYTES, MAX_REASONS, MAX_REASONS_PER_RULE, MAX_WAIVED,
    MAX_WAIVERS_PER_IMAGE,
};
use crate::text::one_line;
use crate::{
    Eased, Effect, JudgedFinding, Reason, Rule, Running, Subject, Waived, WaivedAs, Waiver, WaiverState,
};

/// What makes two findings one reason: rule, effect, easing, kind, package with its version, fix; and the message where a rule has
/// its own.
type Key<'a> = (
    &'a str,
    Effect,
    Option<Eased>,
    Option<FindingKind>,
    (&'a str, &'a str),
    Option<String>,
    String,
);

/// How bad a finding is, the worst the smallest; ties are settled by what is unique about it.
pub(super) fn rank(finding: &JudgedFinding) -> impl Ord + use<'_> {
    (
        Reverse(finding.kind == FindingKind::Malware),
        Reverse(finding.kev),
        Reverse(finding.severity),
        (
            &finding.id,
            &finding.package,
            &finding.version,
            &finding.path,
            &finding.rule,
        ),
    )
}

pub(super) struct Collector<'a> {
    /// Those whose scope takes in the image.
    waivers: Vec<&'a Waiver>,
    subject: &'a Subject,
    now: OffsetDateTime,
    reasons: BTreeMap<Key<'a>, Reason>,
    /// How many reasons each rule has with each effect.
    counts: BTreeMap<(&'a str, Effect), usize>,
    more_reasons: usize,
    waived: Vec<Waived>,
    more_waived: usize,
    expired: Vec<Waived>,
    review_at: Option<OffsetDateTime>,
}

pub(super) struct Collected {
    pub(super) reasons: Vec<Reason>,
    pub(super) more_reasons: usize,
    pub(super) waived: Vec<Waived>,
    pub(super) more_waived: usize,
    pub(super) expired: Vec<Waived>,
    pub(super) review_at: Option<OffsetDateTime>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(waivers: &'a [Waiver], subject: &'a Subject, now: OffsetDateTime) -> Self {
        let mut waivers: Vec<&Waiver> = waivers.iter().filter(|waiver| waiver.is_for(subject)).collect();
        waivers.sort_by(|left, right| left.id.cmp(&right.id).then_with(|| left.until.cmp(&right.until)));
        waivers.truncate(MAX_WAIVERS_PER_IMAGE);
        Self {
            waivers,
            subject,
            now,
            reasons: BTreeMap::new(),
            counts: BTreeMap::new(),
            more_reasons: 0,
            waived: Vec::new(),
            more_waived: 0,
            expired: Vec::new(),
            review_at: None,
        }
    }

    /// Asks one rule about the finding of the facts, or about the image.
    pub(super) fn ask(&mut self, rule: &'a Rule, finding: Option<&'a JudgedFinding>, facts: &Facts<'_>) {
        let answer = rule.when.holds(facts);
        if answer != Ok(false) && !self.is_waived(rule, finding) {
            self.add(rule, finding, facts, answer.err());
        }
    }

    /// Whether it does not count; notes by whose word. Waivers only ever take away.
    fn is_waived(&mut self, rule: &Rule, finding: Option<&JudgedFinding>) -> bool {
        if let Some((finding, vex)) =
            finding.and_then(|finding| Some((finding, finding.suppressed.as_ref()?)))
        {
            self.note_waived(Waived {
                finding: Some(one_line(&finding.id, 128)),
                rule: rule.id.clone(),
                waived_as: WaivedAs::Vex,
                waiver: String::new(),
                requested_by: String::new(),
                by: one_line(&vex.by, 128),
                until: None,
                reason: one_line(&vex.reason, MAX_MESSAGE_BYTES),
            });
            return true;
        }
        let covering: Vec<&Waiver> = self
            .waivers
            .iter()
            .copied()
            .filter(|waiver| waiver.speaks_of(&rule.id, finding))
            .collect();
        let in_force = covering
            .iter()
            .filter(|waiver| waiver.state(self.now) == WaiverState::InForce)
            .max_by(|left, right| left.until.cmp(&right.until).then_with(|| right.id.cmp(&left.id)));
        if let Some(waiver) = in_force {
            self.review(waiver.until);
            self.note_waived(waived(waiver, rule, finding));
            return true;
        }
        for waiver in covering {
            match waiver.state(self.now) {
                WaiverState::Coming => self.review(waiver.from),
                WaiverState::Expired if self.expired.len() < MAX_WAIVED => {
                    self.expired.push(waived(waiver, rule, finding));
                }
                _ => {}
            }
        }
        false
    }

    fn note_waived(&mut self, waived: Waived) {
        if self.waived.len() < MAX_WAIVED {
            self.waived.push(waived);
        } else {
            self.more_waived += 1;
        }
    }

    fn add(
        &mut self,
        rule: &'a Rule,
        finding: Option<&'a JudgedFinding>,
        facts: &Facts<'_>,
        error: Option<EvalError>,
    ) {
        let wanted = if error.is_some() {
            rule.on_error
        } else {
            rule.decide
        };
        let eased = (wanted == Effect::Refuse)
            .then(|| self.ease(rule, finding))
            .flatten();
        let effect = if eased.is_some() { Effect::Warn } else { wanted };
        let fix = finding
            .and_then(|finding| finding.fix.as_deref())
            .map(|fix| one_line(fix, MAX_MESSAGE_BYTES));
        let mut key: Key<'a> = (
            &rule.id,
            effect,
            eased,
            finding.map(|finding| finding.kind),
            finding.map_or(("", ""), |finding| (&finding.package, &finding.version)),
            fix,
            String::new(),
        );
        // Findings without a package have nothing in common but the rule.
        let is_apart = finding.is_some_and(|finding| finding.package.is_empty() || error.is_some());
        if is_apart {
            key.6 = message_of(rule, facts, error.as_ref());
        }
        if let Some(reason) = self.reasons.get_mut(&key) {
            // The message is that of the worst finding, which came first.
            if let Some(finding) = finding {
                name(reason, finding);
            }
            return;
        }
        if !self.has_room(&rule.id, effect) {
            self.more_reasons += 1;
            return;
        }
        let message = if is_apart {
            key.6.clone()
        } else {
            message_of(rule, facts, error.as_ref())
        };
        let mut reason = Reason {
            rule: rule.id.clone(),
            effect,
            eased,
            kind: key.3,
            findings: Vec::new(),
            more_findings: 0,
            message,
            fix: key.5.clone(),
            severity: rule
                .severity
                .or(finding.map(|finding| finding.severity))
                .unwrap_or(Severity::Unknown),
            unanswered: error.is_some(),
        };
        if let Some(finding) = finding {
            name(&mut reason, finding);
        }
        self.reasons.insert(key, reason);
    }

    fn has_room(&mut self, rule: &'a str, effect: Effect) -> bool {
        let count = self.counts.entry((rule, effect)).or_default();
        *count += 1;
        *count <= MAX_REASONS_PER_RULE
    }

    /// Why a rule that refuses only warns here.
    fn ease(&mut self, rule: &Rule, finding: Option<&JudgedFinding>) -> Option<Eased> {
        if finding.is_some_and(|finding| finding.is_example) {
            return Some(Eased::Example);
        }
        match grace::of(rule.after, finding, self.now) {
            Grace::Until(end) => {
                self.review(end);
                return Some(Eased::Grace { until: Some(end) });
            }
            Grace::NotBegun => return Some(Eased::Grace { until: None }),
            Grace::Over => {}
        }
        (self.subject.in_use && rule.running == Running::Keep).then_some(Eased::InUse)
    }

    fn review(&mut self, at: OffsetDateTime) {
        if at > self.now {
            self.review_at = Some(self.review_at.map_or(at, |earliest| earliest.min(at)));
        }
    }

    /// A signer who is trusted until a day changes `image.signed_by` although nothing else happens.
    pub(super) fn review_signers(&mut self) {
        if let Some(last) = self.subject.image.signed_until {
            self.review(last + time::Duration::SECOND);
        }
    }

    /// A release that gets no more fixes from a day on changes `image.os_eol` although nothing else happens.
    pub(super) fn review_end_of_life(&mut self) {
        let last = self.subject.image.os_ends;
        if let Some(end) = last.and_then(time::Date::next_day) {
            self.review(end.midnight().assume_utc());
        }
    }

    pub(super) fn finish(self) -> Collected {
        let mut reasons: Vec<Reason> = self.reasons.into_values().collect();
        // Stable: what is alike stays in the order of the keys.
        reasons.sort_by_key(|reason| {
            (
                Reverse(reason.effect),
                Reverse(reason.kind == Some(FindingKind::Malware)),
                Reverse(reason.severity),
                reason.unanswered,
            )
        });
        let more_reasons = self.more_reasons + cut(&mut reasons);
        Collected {
            reasons,
            more_reasons,
            waived: in_order(self.waived),
            more_waived: self.more_waived,
            expired: in_order(self.expired),
            review_at: self.review_at,
        }
    }
}

fn message_of(rule: &Rule, facts: &Facts<'_>, error: Option<&EvalError>) -> String {
    match (error, &rule.message) {
        (Some(error), _) => format!("the condition of this rule has no answer: {error}"),
        (None, Some(template)) => template.fill(facts),
        (None, None) => plain_message(rule, facts.finding),
    }
}

fn name(reason: &mut Reason, finding: &JudgedFinding) {
    let id = one_line(&finding.id, 128);
    if reason.findings.contains(&id) {
        return;
    }
    if reason.findings.len() < MAX_IDS_PER_REASON {
        reason.findings.push(id);
    } else {
        reason.more_findings += 1;
    }
}

/// What a finding says for itself.
fn plain_message(rule: &Rule, finding: Option<&JudgedFinding>) -> String {
    let Some(finding) = finding else {
        let text = rule
            .about
            .as_deref()
            .unwrap_or("the image is not as the rule wants it");
        return one_line(text, MAX_MESSAGE_BYTES);
    };
    let id = one_line(&finding.id, 64);
    let place = if finding.package.is_empty() {
        one_line(&finding.path, 128)
    } else {
        let (package, version) = (one_line(&finding.package, 96), one_line(&finding.version, 48));
        format!("{package} {version}")
    };
    let fix = match &finding.fix {
        Some(fix) => format!(": {}", one_line(fix, 128)),
        None if finding.kind == FindingKind::Vulnerability => ": no fix is known".to_owned(),
        None => String::new(),
    };
    one_line(&format!("{id} in {}{fix}", place.trim()), MAX_MESSAGE_BYTES)
}

fn waived(waiver: &Waiver, rule: &Rule, finding: Option<&JudgedFinding>) -> Waived {
    Waived {
        finding: finding.map(|finding| one_line(&finding.id, 128)),
        rule: rule.id.clone(),
        waived_as: waiver.kind.into(),
        waiver: one_line(&waiver.id, 128),
        requested_by: one_line(&waiver.requester, 128),
        by: one_line(&waiver.approver, 128),
        until: Some(waiver.until),
        reason: one_line(&waiver.reason, MAX_MESSAGE_BYTES),
    }
}

/// Keeps the worst, and all that is about the image: there are few of those, and among them is what is not known. Returns how
/// many are left out.
fn cut(reasons: &mut Vec<Reason>) -> usize {
    let all = reasons.len();
    let about_image = reasons.iter().filter(|reason| reason.kind.is_none()).count();
    let mut room = MAX_REASONS.saturating_sub(about_image);
    reasons.retain(|reason| {
        let is_kept = reason.kind.is_none() || room > 0;
        room = room.saturating_sub(usize::from(reason.kind.is_some()));
        is_kept
    });
    all - reasons.len()
}

/// One finding in two places is listed once.
fn in_order(mut waived: Vec<Waived>) -> Vec<Waived> {
    waived.sort_by(|left, right| order(left).cmp(&order(right)));
    waived.dedup();
    waived
}

fn order(waived: &Waived) -> impl Ord + use<'_> {
    (
        &waived.finding,
        &waived.rule,
        &waived.waiver,
        &waived.by,
        &waived.reason,
    )
}
