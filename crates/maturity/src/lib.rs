//! Where each application, team and the organisation stand, by evidence, and what is worth doing next.
//!
//! A [model](model::Model) is data: levels, topics and criteria. [Evidence](evidence::Evidence),
//! [attestations](attestation::Attestation) and [exemptions](exemption::Exemption) arrive as values. From both follows, for
//! any moment, the state of each criterion and from those the level of each topic. Nobody computes a mean of levels and there
//! is no overall score.
//!
//! The crate is pure: no I/O, no clock; `now` is an argument. The same arguments give the same answer.
//!
//! # The pieces, in the order in which they are used
//!
//! ```text
//! // words: checked text, and who or what a fact is about
//! Subject { kind: SubjectKind::{App, Team, Platform, Org}, name }     "app:shop/checkout".parse()
//! CriterionId, Role, EvidenceId, ItemKey, EventId(u64: the number of the event in the log)
//!
//! // model: one YAML document or several that extend each other
//! Library::shipped() -> Result<Library, ModelErrors>                  cnmm, cncf-platform
//! Library::add(&mut self, file, text) -> Result<(), ModelErrors>      a model, or an extension of one
//! Library::model(&self, id) -> Result<Model, ModelErrors>             with all that it extends
//! Model::parse(file, text), Model::extend(&self, file, text)          the same for one document
//! Model::{rule_version, fingerprint, criteria, topics, criterion(&id), fact(name)}
//! compare(old, new, &Facts, now) -> Comparison                        what another model would move, before it is applied
//!
//! // evidence: what was seen, by whom, when, until when
//! Evidence { id, subject, fact: Fact, item, value: Value::{Flag, Number}, observed_at, valid_until, source, events }
//! evidence::read_pushed(json, &Sender, &Model, &EvidenceLimits) -> Result<Vec<Evidence>, Vec<PushError>>
//! Fact::all() with Fact::{as_str, nature, unit, origin, about}        the closed vocabulary; `evidence:NAME` is a model's own
//!
//! // attestation: what a person vouches for
//! attestation::check(&Attestation, &Criterion, &Roles, now, &limits)  who may, how long
//! attestation::check_confirmation(&Attestation, &Criterion, by, &Roles, now)
//! attestation::inbox(&Facts, &Model, now, soon) -> Vec<InboxItem>     due, unconfirmed, expiring, expired
//!
//! // assessment: everything that is known, kept up to date
//! Entry { event: EventId, at, kind: EntryKind }                       one thing that happened, as the event log holds it
//! Assessment::new(Arc<Model>, limits)                                 then `apply` every entry in the log's order, or
//! Assessment::start(Arc<Model>, Facts, History, now, limits)          begin with stored facts and the stored history
//! Assessment::apply(&mut self, Entry) -> Applied                      changes, and why the entry was refused if it was;
//!                                                                     re-evaluates only what the entry touches
//! Assessment::advance(&mut self, now) -> Vec<Change>                  what ended by itself: each at its own moment
//! Assessment::recheck(&mut self, now) -> Vec<Change>                  everything anew, nightly
//! Assessment::scorecard(&self, &Subject) -> Option<Scorecard>         topics, levels, targets, next drop, chains
//! Assessment::why(&self, &Subject, &CriterionId) -> Option<CriterionResult>
//! Assessment::{model, facts, history, now}
//! Facts::add(&mut self, Entry), Facts::{apps, teams, placement}       the same facts without an assessment
//! scorecard::evaluate(&Model, &Facts, &Subject, now)                  at any moment, also one to come
//!
//! // history: changes with their causes
//! History::{from_changes, of(&Subject), as_of(&Subject, at), regressions(from, to), movement(from, to)}
//!
//! // and what follows from it
//! next::actions(&Model, &Facts, &Subject, now) -> Vec<Action>         the three with the largest gain towards the targets
//! organisation::{team, whole, heat_map}(&Assessment, ..)              distributions, weighted by tier
//! Campaign::{progress, reminders, obligation}                         an agreed change by a date, and its end as a rule
//! kpi::{velocity, fold, lead_time, failure, remediation, window, adoption, freshness, movement}   figures, each with its coverage
//! anonymous::{export, Document, compare}                              what can be shared without names, and where one stands
//! synthetic::Organisation::new(Parameters)                            an organisation that nobody has, for tests and benchmarks
//! ```
//!
//! # How a store and a command use it
//!
//! Every change of what is known is an [`Entry`](assessment::Entry) that the store keeps as an event. One assessment lives in
//! memory; a job feeds it with new entries and writes the [`Change`](history::Change)s that come back. `advance` is called on a
//! timer and nightly; when it is called makes no difference to the history, since what ends by itself is recorded at the moment
//! of its end. Feeding all entries to a new assessment gives the stored history again. Pages and commands ask for scorecards.
//!
//! # The rule
//!
//! A criterion is met, not met, unknown, not applicable, exempt or expired. The level of a topic is the highest L for which every
//! core criterion of the levels 1 to L is met, exempt or not applicable, and at least one of them is met. A level without criteria
//! is passed through, also the last ones; [`TopicResult::defined_to`](scorecard::TopicResult::defined_to) tells to which level there are any. A
//! topic of which nothing applies has no level and holds back no category. An application answers for its own criteria and stands on those of its team, its platform and the organisation.
//!
//! # Hostile input
//!
//! Model files come from people, evidence from robots: both are read under limits that are named beside the code that keeps them.
//! What is pushed can neither state what the registry knows itself nor speak for subjects that its sender may not speak for.
//!
//! Read first: `model.rs`, then `evidence.rs`, then `scorecard.rs`, then `assessment.rs`.

pub mod anonymous;
pub mod assessment;
pub mod attestation;
pub mod campaign;
pub mod evidence;
pub mod exemption;
pub mod facts;
pub mod history;
pub mod kpi;
pub mod model;
pub mod next;
pub mod organisation;
pub mod rule;
pub mod scorecard;
pub mod signal;
pub mod synthetic;
pub mod words;
mod yaml;

#[cfg(test)]
mod testing;
