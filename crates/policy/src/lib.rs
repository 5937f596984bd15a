//! From findings and rules to a decision: allow, warn or refuse, each with its reasons.
//!
//! A [`Policy`] is a list of rules, read from YAML and checked once. Each has a [`Condition`] in a typed part of CEL over the
//! facts of one image, a [`Subject`]. [`decide()`] asks the rules about the facts, lets [`Waiver`]s take away what a named
//! person answers for, and returns a [`Decision`] that says why, by which policy and advisories, and when it must be looked at
//! again. What is not known is a value: it is told and warned about, and never counts as clean.
//!
//! The crate is pure: no I/O, no clock; the moment of judgement is an argument. The same arguments give the same decision.
//!
//! # What is here
//!
//! - [`Subject`], [`JudgedFinding`]: what is judged, as plain values that the binary fills.
//! - [`Policy`], [`Rule`], [`Condition`]: what is asked. `fields` in `condition.rs` is the table of all variables.
//! - [`Waiver`]: what does not count, by whose word, until when. [`WaiverRequest`]: what nobody has approved yet.
//! - [`decide()`], [`Decision`], [`Reason`]: the judgement, and its lines for the clients of a registry.
//! - [`classify`], [`decide_index`], [`blob_outcome`]: which manifests are judged, and what follows for what is around them.
//! - [`yaml`]: the bounded reader, which `road` shares.
//! - [`brake()`], [`preview()`]: what a change would do to a fleet. [`CaseFile`]: tests of policies.
//!
//! # Hostile input
//!
//! Facts come from images of strangers. Conditions look at the beginning of texts and lists only (and say so as an unknown),
//! their work is bounded before they run, and whatever goes into a message is made fit for one line. Policies and waivers
//! come from operators, who make mistakes: everything that can be checked is checked when they are loaded.
//!
//! Read first: `default.yaml`, then `decide.rs`, then `condition.rs`.

mod applicability;
mod brake;
mod cases;
mod condition;
mod decide;
mod decision;
mod document;
mod facts;
mod index;
mod lift;
mod limits;
mod nearest;
mod policy;
mod preview;
mod rule;
mod template;
mod text;
mod waiver;
pub mod yaml;

pub use applicability::{Applicability, ArtifactKind, ConfigShape, Peek, classify, is_cache_index};
pub use brake::{Brake, BrakeVerdict, Judged, Share, brake};
pub use cases::{Case, CaseError, CaseFile, CaseReport, CaseResult, Expectation, MAX_CASES_BYTES};
pub use condition::{
    Condition, ConditionError, ConditionProblem, EvalError, Facts, Record, Type, Words, fields,
};
pub use decide::{Alike, decide, decide_at, decide_unjudged};
pub use decision::{Decision, Eased, Outcome, Reason, Waived, WaivedAs};
pub use facts::{
    Attached, FindingsFingerprint, ImageFacts, JudgedFinding, RepoFacts, Subject, Suppression, Unknown,
    UnknownKind, WorkloadFacts,
};
pub use index::{ChildDecision, Combined, blob_outcome, decide_index};
pub use lift::LiftGuard;
pub use limits::*;
pub use nearest::did_you_mean;
pub use policy::{DEFAULT_POLICY, LANGUAGE, Policy, PolicyError, PolicyErrors, PolicyProblem, PolicySource};
pub use preview::{Change, judge_all, preview};
pub use rule::{Effect, Point, Rule, Running};
pub use template::{Template, TemplateError};
pub use waiver::{KeptWaiver, KeptWaiverError, Waiver, WaiverError, WaiverKind, WaiverRequest, WaiverState};
