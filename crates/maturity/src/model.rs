//! What maturity is measured by: levels, topics and criteria as data.
//!
//! A model is one YAML document, or one and a chain of extensions. Two are shipped: the Cloud Native Maturity Model in our words,
//! and the CNCF model of platform engineering. Thresholds, weights and roles are in the document; the rule is in the code
//! ([`crate::rule`]).

mod check;
mod compare;
mod error;
mod extend;
mod index;
mod library;
mod read;
mod read_criterion;

use std::collections::BTreeMap;
use std::fmt;

use oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::signal::{Fact, FactInfo, Signal, UnknownFact};
use crate::words::{
    CriterionId, RecordId, Role, RuleVersion, Slug, SubjectKind, SubjectName, did_you_mean, one_line,
};

pub use compare::{Comparison, CriterionDifference, Move, StateMove, compare};
pub use error::{MAX_ERRORS, ModelError, ModelErrors, Problem};
pub(crate) use index::Index;
pub use library::{Library, MAX_DOCUMENTS};

/// JSON schema of a model and of an extension, for editors.
pub const SCHEMA: &str = include_str!("../models/model.schema.json");

/// The Cloud Native Maturity Model, as it is shipped.
pub const CNMM: &str = include_str!("../models/cnmm-4.yaml");

/// The CNCF model of platform engineering, as it is shipped.
pub const CNCF_PLATFORM: &str = include_str!("../models/cncf-platform-1.yaml");

/// An extension that maps criteria to controls of SSDF and PCI DSS, as an example.
pub const CONTROLS: &str = include_str!("../models/controls-example.yaml");

/// Largest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// Most criteria of a model with its extensions.
pub const MAX_CRITERIA: usize = 1000;

/// Most topics of a model with its extensions.
pub const MAX_TOPICS: usize = 200;

/// Highest level that a model may have.
pub const MAX_LEVEL: u8 = 9;

/// Most criteria that one criterion requires, and most controls that it is mapped to.
pub const MAX_LINKS: usize = 50;

/// Most obligations.
pub const MAX_OBLIGATIONS: usize = 200;

/// Longest time for which something is vouched for, in days.
pub const MAX_EXPIRES_DAYS: i64 = 730;

/// A level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// From 1.
    pub level: u8,
    /// Its name.
    pub name: String,
    /// The name that it had once.
    pub former_name: Option<String>,
    /// What it stands for.
    pub about: String,
}

/// A category, such as people or technology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// Its id.
    pub id: Slug,
    /// Its name.
    pub name: String,
}

/// Which topic of which category; two categories may have topics of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicId {
    /// The category.
    pub category: Slug,
    /// The topic.
    pub topic: Slug,
}

impl std::str::FromStr for TopicId {
    type Err = crate::words::WordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (category, topic) = text.split_once('/').unwrap_or((text, ""));
        Ok(Self {
            category: category.parse()?,
            topic: topic.parse()?,
        })
    }
}

impl TryFrom<String> for TopicId {
    type Error = crate::words::WordError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TopicId> for String {
    fn from(topic: TopicId) -> Self {
        topic.to_string()
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.category, self.topic)
    }
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
}

/// What a criterion does to a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It decides levels.
    Core,
    /// It is shown as coverage only.
    Supporting,
}

/// What proves a criterion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofKind {
    /// Evidence alone.
    Auto,
    /// Evidence and a person, or either.
    Hybrid,
    /// A person alone.
    Attestation,
}

/// What a hybrid criterion needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Needs {
    /// The evidence and the person.
    #[default]
    Both,
    /// One of them.
    Either,
}

/// Who may vouch for a criterion, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attester {
    /// Who.
    pub role: Role,
    /// For at most so many days.
    pub expires_days: u32,
    /// Whether another person must confirm it.
    pub second_person: bool,
    /// Beside evidence, whether both are needed.
    pub needs: Needs,
}

/// How close a criterion is to the text of the model that it comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The text says it.
    Direct,
    /// It narrows or stretches the text.
    #[default]
    Interpreted,
    /// The text does not contain it.
    Extension,
}

/// A control of a framework: `SSDF:PS.2.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Control {
    /// The framework.
    pub framework: String,
    /// Its control.
    pub id: String,
}

/// What fulfils a criterion.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Remedy {
    /// What to do, in one sentence.
    pub text: String,
    /// The command that does it; `{app}`, `{team}` and `{criterion}` stand for the names.
    pub command: Option<String>,
    /// The page of the documentation or of the registry that does it.
    pub page: Option<String>,
}

/// One concrete goal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    /// Its id.
    pub id: CriterionId,
    /// Of which topic.
    pub topic: TopicId,
    /// Of which level, from 1.
    pub level: u8,
    /// What must hold, in one sentence.
    pub text: String,
    /// Of what it must hold.
    pub scope: SubjectKind,
    /// What it does to the level.
    pub weight: Weight,
    /// What proves it.
    pub kind: ProofKind,
    /// Which evidence.
    pub signal: Signal,
    /// It does not apply where this is false.
    pub applies_if: Signal,
    /// Which person.
    pub attester: Option<Attester>,
    /// What must hold besides, of the same subject or a larger one.
    pub requires: Vec<CriterionId>,
    /// How close it is to its source.
    pub basis: Basis,
    /// Where its source stands.
    pub reference: String,
    /// Controls of other frameworks that it supports.
    pub controls: Vec<Control>,
    /// What fulfils it.
    pub remedy: Option<Remedy>,
    /// Before this moment it is shown, but does not count.
    #[serde(with = "time::serde::rfc3339::option")]
    pub enable_from: Option<OffsetDateTime>,
}

impl Criterion {
    /// Whether it counts yet.
    pub fn counts(&self, now: OffsetDateTime) -> bool {
        self.enable_from.is_none_or(|from| from <= now)
    }

    /// Whether it can lower a level.
    pub fn is_core(&self) -> bool {
        self.weight == Weight::Core
    }
}

/// Applications that are meant, by what they are. Empty lists take all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// Of these tiers.
    pub tiers: Vec<u8>,
    /// Of these teams.
    pub teams: Vec<SubjectName>,
    /// These.
    pub apps: Vec<SubjectName>,
}

impl Scope {
    /// Whether an application is meant.
    pub fn takes(&self, app: &SubjectName, tier: Option<u8>, team: Option<&SubjectName>) -> bool {
        let of_tier = self.tiers.is_empty() || tier.is_some_and(|tier| self.tiers.contains(&tier));
        let of_team = self.teams.is_empty() || team.is_some_and(|team| self.teams.contains(team));
        of_tier && of_team && (self.apps.is_empty() || self.apps.contains(app))
    }
}

/// Criteria that applications must meet whatever their targets: how a campaign ends as a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    /// Its id.
    pub id: RecordId,
    /// Which.
    pub criteria: Vec<CriterionId>,
    /// Of whom.
    pub scope: Scope,
    /// From when on.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Why.
    pub reason: String,
}

/// What an extension changed in what it extends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// Which extension.
    pub by: Slug,
    /// Of which criterion.
    pub criterion: CriterionId,
    /// What: `retired`, or the keys that are changed.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// All that a model says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Its id; that of the last extension, if there is any.
    pub id: Slug,
    /// Which version, with those of its extensions.
    pub rule_version: RuleVersion,
    /// What it is.
    pub about: String,
    /// Where it comes from and under which licence.
    pub source: String,
    /// From 1 on.
    pub levels: Vec<Level>,
    /// In the order in which they are shown.
    pub categories: Vec<Category>,
    /// In the order in which they are shown.
    pub topics: Vec<Topic>,
    /// In the order of the document.
    pub criteria: Vec<Criterion>,
    /// Facts that it declares.
    pub facts: BTreeMap<Slug, FactInfo>,
    /// Rules beside the levels.
    pub obligations: Vec<Obligation>,
    /// What extensions changed.
    pub amendments: Vec<Amendment>,
}

/// A model that was checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Model {
    parts: Parts,
    index: Index,
}

impl PartialEq for Model {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Model {}

impl From<Model> for Parts {
    fn from(model: Model) -> Self {
        model.parts
    }
}

impl TryFrom<Parts> for Model {
    type Error = ModelErrors;

    fn try_from(parts: Parts) -> Result<Self, ModelErrors> {
        check::build(parts, &check::Places::default())
    }
}

impl Model {
    /// Reads one model that extends nothing.
    pub fn parse(file: &str, text: &str) -> Result<Self, ModelErrors> {
        if matches!(read::read_head(text), Some((_, Some(_)))) {
            let places = check::Places {
                file: file.to_owned(),
                ..check::Places::default()
            };
            return Err(places.error(1, Problem::NotAModel));
        }
        match read::read(file, text)? {
            (read::Document::Model(parts), places) => check::build(*parts, &places),
            (read::Document::Extension(extension), places) => {
                Err(places.error(extension.line, Problem::NotAModel))
            }
        }
    }

    /// This model with one extension, which must name it.
    pub fn extend(&self, file: &str, text: &str) -> Result<Self, ModelErrors> {
        match read::read_with(file, text, &self.parts.facts)? {
            (read::Document::Extension(extension), places) => extend::extend(self, *extension, places),
            (read::Document::Model(_), places) => Err(places.error(1, Problem::NotAnExtension)),
        }
    }

    /// The Cloud Native Maturity Model.
    pub fn cnmm() -> Result<Self, ModelErrors> {
        Self::parse("cnmm-4.yaml", CNMM)
    }

    /// The same version number says the same only with the same fingerprint.
    pub fn fingerprint(&self) -> Digest {
        let bytes = serde_json::to_vec(&self.parts).unwrap_or_default();
        Digest::of(Algorithm::Sha256, &bytes)
    }

    /// All that it says.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Its id.
    pub fn id(&self) -> &Slug {
        &self.parts.id
    }

    /// Its version, with those of its extensions: what each result names.
    pub fn rule_version(&self) -> &RuleVersion {
        &self.parts.rule_version
    }

    /// In the order of the document.
    pub fn criteria(&self) -> &[Criterion] {
        &self.parts.criteria
    }

    /// In the order in which they are shown.
    pub fn topics(&self) -> &[Topic] {
        &self.parts.topics
    }

    /// In the order in which they are shown.
    pub fn categories(&self) -> &[Category] {
        &self.parts.categories
    }

    /// From 1 on.
    pub fn levels(&self) -> &[Level] {
        &self.parts.levels
    }

    /// The highest level.
    pub fn top_level(&self) -> u8 {
        u8::try_from(self.parts.levels.len()).unwrap_or(MAX_LEVEL)
    }

    /// The name of a level; none of 0.
    pub fn level_name(&self, level: u8) -> Option<&str> {
        let mut levels = self.parts.levels.iter();
        levels
            .find(|known| known.level == level)
            .map(|level| level.name.as_str())
    }

    /// One criterion.
    pub fn criterion(&self, id: &CriterionId) -> Option<&Criterion> {
        self.index.place(id).map(|place| &self.parts.criteria[place])
    }

    /// The criterion that is nearest to a wrong name: `, did you mean …?`.
    pub fn nearest_criterion(&self, wrong: &str) -> String {
        did_you_mean(
            wrong,
            self.criteria().iter().map(|criterion| criterion.id.as_str()),
        )
    }

    /// The fact of a name, with its form.
    pub fn fact(&self, name: &str) -> Result<(Fact, FactInfo), UnknownFact> {
        let fact: Fact = name.parse()?;
        match self.fact_info(&fact) {
            Some(info) => Ok((fact, info)),
            None => Err(UnknownFact {
                name: one_line(name, 64),
                hint: did_you_mean(name, self.parts.facts.keys().map(Slug::as_str)),
            }),
        }
    }

    /// The form of a fact.
    pub fn fact_info(&self, fact: &Fact) -> Option<FactInfo> {
        match fact {
            Fact::Own(name) => self.parts.facts.get(name).copied(),
            known => known.built_in(),
        }
    }

    /// Obligations.
    pub fn obligations(&self) -> &[Obligation] {
        &self.parts.obligations
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }
}

#[cfg(test)]
mod tests;
