//! Everything that is known, judged, and kept up to date.
//!
//! An entry re-evaluates only what it touches: the criteria that use its fact, what requires those, and the levels of the topics
//! that they belong to. What ends by itself waits in a queue, and is recorded at the moment of its end whenever that is noticed.

mod rejudge;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use time::OffsetDateTime;

use crate::evidence::EvidenceLimits;
use crate::facts::{Chain, Facts, Touched, organisation, platform};
use crate::history::{Cause, Change, History, What};
use crate::model::{Model, TopicId};
use crate::rule::{Judged, State};
use crate::scorecard::{CriterionResult, Scorecard, evaluate, explain};
use crate::words::{CriterionId, EventId, Subject, SubjectKind, SubjectName};

pub use crate::facts::{Entry, EntryKind, Refusal};

/// What came of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// What changed, with what had ended by itself before the entry came.
    pub changes: Vec<Change>,
    /// Why the entry itself was not taken, if it was not.
    pub refusal: Option<Refusal>,
}

/// Why something is judged again.
#[derive(Debug, Clone)]
struct Why {
    event: Option<EventId>,
    cause: Cause,
}

/// Everything that is known, judged.
#[derive(Debug, Clone)]
pub struct Assessment {
    model: Arc<Model>,
    limits: EvidenceLimits,
    facts: Facts,
    history: History,
    now: OffsetDateTime,
    /// Of each subject, the criteria of its own scope.
    judged: HashMap<Subject, Vec<Option<Judged>>>,
    /// Of each application, by the place of the topic in the model.
    levels: BTreeMap<SubjectName, Vec<Option<u8>>>,
    /// What may change by itself, and when.
    due: BTreeSet<(OffsetDateTime, Subject, usize)>,
}

impl Assessment {
    /// Nothing is known yet.
    pub fn new(model: Arc<Model>, limits: EvidenceLimits) -> Self {
        let mut assessment = Self::empty(model, Facts::default(), History::default(), limits);
        let why = time_went_by();
        for subject in [platform(None), organisation()] {
            assessment.admit(&subject, &why);
        }
        assessment
    }

    /// Begins with stored facts and the stored history, at once. What changed by itself since the last stored change is recorded
    /// as of `now`; whoever wants it at its own moment feeds all entries to a new assessment.
    pub fn start(
        model: Arc<Model>,
        facts: Facts,
        history: History,
        now: OffsetDateTime,
        limits: EvidenceLimits,
    ) -> Self {
        let mut assessment = Self::empty(model, facts, history, limits);
        assessment.now = now;
        assessment.resume();
        assessment
    }

    fn empty(model: Arc<Model>, facts: Facts, history: History, limits: EvidenceLimits) -> Self {
        Self {
            model,
            limits,
            facts,
            history,
            now: OffsetDateTime::UNIX_EPOCH,
            judged: HashMap::new(),
            levels: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Takes one entry. The log's order counts: an entry whose clock is behind is taken as of the present moment.
    pub fn apply(&mut self, entry: Entry) -> Applied {
        let start = self.history.changes().len();
        let at = entry.at.max(self.now);
        self.pass(at);
        let why = Why {
            event: Some(entry.event),
            cause: cause_of(&entry.kind),
        };
        let model = Arc::clone(&self.model);
        let refusal = match self.facts.take(&model, Entry { at, ..entry }, &self.limits) {
            Ok(touched) => {
                self.touch(touched, &why);
                None
            }
            Err(refusal) => Some(refusal),
        };
        let changes = self.history.changes()[start..].to_vec();
        Applied { changes, refusal }
    }

    /// Lets time go by: everything that ends by itself is recorded at the moment of its end.
    pub fn advance(&mut self, now: OffsetDateTime) -> Vec<Change> {
        let start = self.history.changes().len();
        self.pass(now);
        self.history.changes()[start..].to_vec()
    }

    /// Judges everything anew, as is done nightly. What events kept up to date is the same, so that nothing comes back but what
    /// time brought.
    pub fn recheck(&mut self, now: OffsetDateTime) -> Vec<Change> {
        let start = self.history.changes().len();
        self.pass(now);
        let mut subjects: Vec<Subject> = self.judged.keys().cloned().collect();
        subjects.sort_unstable_by(|a, b| b.cmp(a));
        self.judge_everything(&subjects, &time_went_by());
        self.history.changes()[start..].to_vec()
    }

    fn pass(&mut self, now: OffsetDateTime) {
        let why = time_went_by();
        while let Some((at, ..)) = self.due.first().filter(|(at, ..)| *at <= now) {
            self.now = (*at).max(self.now);
            let Some((_, subject, place)) = self.due.pop_first() else {
                break;
            };
            self.rejudge(&subject, &[place], true, &why);
        }
        self.now = self.now.max(now);
    }

    fn touch(&mut self, touched: Touched, why: &Why) {
        let model = Arc::clone(&self.model);
        match touched {
            Touched::Nothing => {}
            Touched::Fact(subject, fact) => {
                let users = model.index().users_of(&fact).iter().copied();
                let places: Vec<usize> = users
                    .filter(|place| model.criteria()[*place].scope == subject.kind)
                    .collect();
                self.rejudge(&subject, &places, false, why);
            }
            Touched::Criterion(subject, criterion) => {
                let place = model.index().place(&criterion);
                self.rejudge(&subject, place.as_slice(), false, why);
            }
            Touched::Place(app) => {
                let subject = Subject::app(app);
                let chain = Chain::of(&self.facts, &subject);
                let new: Vec<&Subject> = chain.all().filter(|one| !self.knows(one)).collect();
                for one in &new {
                    self.admit(one, why);
                }
                self.settle(&subject, why);
                // Who was gone is back: others of theirs stand on them again.
                for one in new.into_iter().filter(|one| one.kind != SubjectKind::App) {
                    self.settle_all_on(one, why);
                }
            }
            Touched::Gone(subject) => self.dismiss(&subject, why),
            Touched::All(model) => self.replace(&Arc::from(model), why),
        }
    }

    /// The model that judges.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// What is known.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What changed.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The moment up to which everything is recorded.
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// Whether a subject is judged.
    pub fn knows(&self, subject: &Subject) -> bool {
        self.judged.contains_key(subject)
    }

    /// Where a subject stands now.
    pub fn scorecard(&self, subject: &Subject) -> Option<Scorecard> {
        self.knows(subject)
            .then(|| evaluate(&self.model, &self.facts, subject, self.now))
    }

    /// One criterion, with its chain of proof; also one that a subject stands on.
    pub fn why(&self, subject: &Subject, criterion: &CriterionId) -> Option<CriterionResult> {
        self.knows(subject)
            .then(|| explain(&self.model, &self.facts, subject, criterion, self.now))?
    }

    /// The state of a criterion of a subject's own scope.
    pub fn state(&self, subject: &Subject, criterion: &CriterionId) -> Option<State> {
        let place = self.model.index().place(criterion)?;
        self.judged.get(subject)?[place].map(|judged| judged.state)
    }

    /// The levels of an application, in the order of the model's topics.
    pub fn levels(&self, app: &SubjectName) -> Option<impl Iterator<Item = (&TopicId, Option<u8>)>> {
        let levels = self.levels.get(app)?.iter().copied();
        Some(self.model.topics().iter().map(|topic| &topic.id).zip(levels))
    }

    /// The level of an application in the topic at this place; none also of one that is not there.
    pub(crate) fn level_at(&self, app: &SubjectName, topic: usize) -> Option<u8> {
        self.levels
            .get(app)
            .and_then(|levels| levels.get(topic).copied().flatten())
    }

    /// The state of the criterion at this place, of whom a subject's chain asks it.
    pub(crate) fn state_in(&self, chain: &Chain, place: usize) -> Option<State> {
        self.judged_in(chain, place).map(|judged| judged.state)
    }

    fn judged_in(&self, chain: &Chain, place: usize) -> Option<Judged> {
        let Some(subject) = chain.subject(self.model.criteria()[place].scope) else {
            let (state, until) = (State::Unknown, None);
            return Some(Judged { state, until });
        };
        self.judged.get(subject).and_then(|judged| judged[place])
    }

    fn record(&mut self, what: What, why: &Why) {
        self.history.record(Change {
            at: self.now,
            event: why.event,
            cause: why.cause.clone(),
            what,
            rule_version: self.model.rule_version().clone(),
        });
    }
}

fn time_went_by() -> Why {
    let cause = Cause::Time;
    Why { event: None, cause }
}

fn cause_of(kind: &EntryKind) -> Cause {
    match kind {
        EntryKind::Seen(evidence) => Cause::Seen(evidence.fact.clone()),
        EntryKind::Attested(attestation) => Cause::Attested(attestation.id.clone()),
        EntryKind::Confirmed { attestation, .. } => Cause::Confirmed(attestation.clone()),
        EntryKind::Revoked { attestation, .. } => Cause::Revoked(attestation.clone()),
        EntryKind::Exempted(exemption) => Cause::Exempted(exemption.id.clone()),
        EntryKind::ExemptionEnded(id) => Cause::ExemptionEnded(id.clone()),
        EntryKind::Placed(_) => Cause::Placed,
        EntryKind::Gone(subject) => Cause::Gone(subject.clone()),
        EntryKind::Judged(_) => Cause::Judged,
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
