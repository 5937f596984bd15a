//! One criterion of one subject at one moment.

use time::OffsetDateTime;

use super::condition::{Answer, look};
use super::{Check, State, Truth, earlier};
use crate::attestation::{Claim, Record};
use crate::exemption::Exemption;
use crate::facts::{Chain, Facts};
use crate::model::{Attester, Criterion, Model, Needs, ProofKind};
use crate::signal::Signal;
use crate::words::Subject;

/// A state, and the first moment at which it may be another one by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) state: State,
    pub(crate) until: Option<OffsetDateTime>,
}

/// Judges one criterion. `required` answers for what the criterion requires; where `checks` is given, the chain of proof is added
/// to it.
pub(crate) fn judge(
    model: &Model,
    facts: &Facts,
    chain: &Chain,
    place: usize,
    now: OffsetDateTime,
    required: impl Fn(usize) -> Option<Judged>,
    mut checks: Option<&mut Vec<Check>>,
) -> Judged {
    let criterion = &model.criteria()[place];
    let Some(subject) = chain.subject(criterion.scope) else {
        return without_subject(criterion, now, checks);
    };
    let judgement = Judgement {
        facts,
        criterion,
        subject,
        now,
    };
    let mut judged = judgement.proof(checks.as_deref_mut());
    if judged.state == State::Met {
        for &other in model.index().requires(place) {
            let needed = required(other);
            let state = needed.map_or(State::Unknown, |needed| needed.state);
            judged.until = earlier(judged.until, needed.and_then(|needed| needed.until));
            if !state.holds() {
                judged.state = weaker(judged.state, state);
                let id = &model.criteria()[other].id;
                note(
                    checks.as_deref_mut(),
                    &format!("requires {id}"),
                    truth_of(state),
                    state.as_str(),
                );
            }
        }
    }
    if !judged.state.holds() {
        judged = judgement.excuse(judged, checks);
    }
    if criterion.enable_from.is_some_and(|from| from > now) {
        judged.until = earlier(judged.until, criterion.enable_from);
    }
    judged
}

fn without_subject(criterion: &Criterion, now: OffsetDateTime, checks: Option<&mut Vec<Check>>) -> Judged {
    let what = format!("asked of the {}", criterion.scope);
    note(
        checks,
        &what,
        Truth::Unknown,
        "nobody: it is not known which, or it is no more",
    );
    let until = criterion.enable_from.filter(|from| *from > now);
    Judged {
        state: State::Unknown,
        until,
    }
}

/// What fails decides, then what ended, then what nobody can tell.
fn weaker(a: State, b: State) -> State {
    truth_of(a).and(truth_of(b)).state()
}

fn truth_of(state: State) -> Truth {
    match state {
        State::Met | State::Exempt | State::NotApplicable => Truth::Holds,
        State::NotMet => Truth::Fails,
        State::Unknown => Truth::Unknown,
        State::Expired => Truth::Expired,
    }
}

fn note(checks: Option<&mut Vec<Check>>, what: &str, truth: Truth, found: &str) {
    if let Some(checks) = checks {
        checks.push(Check {
            what: what.to_owned(),
            truth,
            found: found.to_owned(),
            evidence: Vec::new(),
            events: Vec::new(),
            contradicted_by: Vec::new(),
            until: None,
        });
    }
}

struct Judgement<'a> {
    facts: &'a Facts,
    criterion: &'a Criterion,
    subject: &'a Subject,
    now: OffsetDateTime,
}

impl Judgement<'_> {
    /// What evidence and people prove, before requirements and exemptions.
    fn proof(&self, mut checks: Option<&mut Vec<Check>>) -> Judged {
        let applies = self.signal(&self.criterion.applies_if, checks.as_deref_mut());
        let mut until = applies.and_then(|applies| applies.until);
        if applies.is_some_and(|applies| applies.truth == Truth::Fails) {
            return Judged {
                state: State::NotApplicable,
                until,
            };
        }
        let seen = self.signal(&self.criterion.signal, checks.as_deref_mut());
        until = earlier(until, seen.and_then(|seen| seen.until));
        let attester = self.criterion.attester.as_ref();
        let Some(attester) = attester.filter(|_| self.criterion.kind != ProofKind::Auto) else {
            let truth = seen.map_or(Truth::Unknown, |seen| seen.truth);
            return Judged {
                state: truth.state(),
                until,
            };
        };
        let (vouched, claim) = self.attestation(attester, checks);
        until = earlier(until, vouched.until);
        if claim == Some(Claim::DoesNotApply) {
            return Judged {
                state: State::NotApplicable,
                until,
            };
        }
        let truth = match seen {
            None => vouched.truth,
            Some(seen) if attester.needs == Needs::Either => seen.truth.or(vouched.truth),
            Some(seen) => seen.truth.and(vouched.truth),
        };
        Judged {
            state: truth.state(),
            until,
        }
    }

    fn signal(&self, signal: &Signal, mut checks: Option<&mut Vec<Check>>) -> Option<Answer> {
        let mut all: Option<Answer> = None;
        for clause in &signal.0 {
            let mut any: Option<Answer> = None;
            for condition in &clause.0 {
                let series = self.facts.series(self.subject, &condition.fact);
                let answer = look(condition, series, self.now, checks.as_deref_mut());
                any = Some(any.map_or(answer, |other| join(other, answer, Truth::or)));
            }
            if let Some(any) = any {
                all = Some(all.map_or(any, |other| join(other, any, Truth::and)));
            }
        }
        all
    }

    fn attestation(&self, attester: &Attester, checks: Option<&mut Vec<Check>>) -> (Answer, Option<Claim>) {
        let records = self.facts.attested(self.subject, &self.criterion.id);
        let records: Vec<&Record> = records.filter(|record| record.revoked.is_none()).collect();
        let newest = |record: &&&Record| (record.attestation.from, record.attestation.id.clone());
        let is_live = |record: &&&Record| record.ends_at(attester) > self.now;
        let confirmed = records.iter().filter(|record| !record.waits(attester));
        let live = confirmed.clone().filter(is_live).max_by_key(newest);
        let waiting = records.iter().filter(is_live).max_by_key(newest);
        let (truth, found, record) = match (live, confirmed.max_by_key(newest), waiting) {
            (Some(record), ..) => (Truth::Holds, "vouched for", Some(*record)),
            (None, Some(record), None) => (Truth::Expired, "it ended and nobody renewed it", Some(*record)),
            (None, Some(record), Some(_)) => {
                let found = "it ended, and no second person confirmed that it is renewed";
                (Truth::Expired, found, Some(*record))
            }
            (None, None, Some(record)) => {
                let found = "vouched for, but no second person confirmed it";
                (Truth::Unknown, found, Some(*record))
            }
            (None, None, None) => (Truth::Unknown, "nobody vouched for it", None),
        };
        let until = live.map(|record| record.ends_at(attester));
        if let Some(checks) = checks {
            checks.push(Check {
                what: format!("a person in the role {} vouches for it", attester.role),
                truth,
                found: found.to_owned(),
                evidence: record
                    .iter()
                    .filter_map(|record| record.attestation.id.as_str().parse().ok())
                    .collect(),
                events: record.iter().map(|record| record.event).collect(),
                contradicted_by: Vec::new(),
                until,
            });
        }
        (
            Answer { truth, until },
            live.map(|record| record.attestation.claim),
        )
    }

    /// An exemption counts until it ends; what it excuses is then as it was.
    fn excuse(&self, judged: Judged, checks: Option<&mut Vec<Check>>) -> Judged {
        let exemptions = self.facts.exemptions(self.subject, &self.criterion.id);
        let mut live: Option<(OffsetDateTime, &Exemption)> = None;
        let mut coming = None;
        for exemption in exemptions {
            if exemption.is_live(self.now) && live.is_none_or(|(until, _)| exemption.until > until) {
                live = Some((exemption.until, exemption));
            } else if exemption.from > self.now && exemption.from < exemption.until {
                coming = earlier(coming, Some(exemption.from));
            }
        }
        let Some((until, exemption)) = live else {
            let until = earlier(judged.until, coming);
            return Judged { until, ..judged };
        };
        if let Some(checks) = checks {
            checks.push(Check {
                what: format!("exempt, granted by {}", exemption.approved_by),
                truth: Truth::Holds,
                found: format!("{}; without it: {}", exemption.reason, judged.state),
                evidence: exemption.id.as_str().parse().into_iter().collect(),
                events: self.facts.granted_by(&exemption.id).into_iter().collect(),
                contradicted_by: Vec::new(),
                until: Some(until),
            });
        }
        let until = earlier(judged.until, Some(until));
        Judged {
            state: State::Exempt,
            until,
        }
    }
}

fn join(a: Answer, b: Answer, how: fn(Truth, Truth) -> Truth) -> Answer {
    Answer {
        truth: how(a.truth, b.truth),
        until: earlier(a.until, b.until),
    }
}
