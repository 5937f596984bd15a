//! One rule of a policy.

use findings::Severity;
use oci::{RepoName, RepoPattern};
use serde::{Deserialize, Serialize};

use crate::condition::{Condition, Record};
use crate::template::Template;

/// Where a decision is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Point {
    /// When it comes in: what configuration and manifest say, and what is already known.
    Push,
    /// When it is fetched.
    Pull,
    /// When a cluster is asked to run it.
    Admit,
}

/// What a rule does with what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Let it through and say so.
    Warn,
    /// Refuse it.
    Refuse,
}

/// What a rule that refuses does with an image that is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Running {
    /// Warn only: it must be possible to schedule it again.
    #[default]
    Keep,
    /// Refuse it too.
    Refuse,
}

/// A rule that was checked.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name, unique in the policy.
    pub id: String,
    /// What it is for.
    pub about: Option<String>,
    /// When it applies.
    pub when: Condition,
    /// What it does then.
    pub decide: Effect,
    /// Where; never empty, each point once.
    pub on: Vec<Point>,
    /// What it does with an image that is in use.
    pub running: Running,
    /// Days of grace, counted from the later of publication and fix known here.
    pub after: u16,
    /// What is said; without one, the finding speaks for itself.
    pub message: Option<Template>,
    /// Where it applies; never empty.
    pub repositories: Vec<RepoPattern>,
    /// How bad it is; without one, as bad as the finding.
    pub severity: Option<Severity>,
    /// What it does when the condition has no answer.
    pub on_error: Effect,
}

impl Rule {
    /// Whether it is asked there.
    pub fn applies(&self, repo: &RepoName, point: Point) -> bool {
        self.on.contains(&point) && self.repositories.iter().any(|pattern| pattern.matches(repo))
    }

    /// Whether what it says may depend on this field of an image.
    pub(crate) fn reads_of_image(&self, name: &str) -> bool {
        let message = self.message.as_ref();
        self.when.reads(Record::Image, name)
            || message.is_some_and(|message| message.reads(Record::Image, name))
    }
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Push, Self::Pull, Self::Admit];

    /// Where a rule is asked that does not say where. Not at the push: nobody has looked into what is new by then, so that one
    /// push would pass and the same again would not.
    pub const UNLESS_SAID: [Self; 2] = [Self::Pull, Self::Admit];

    /// The spelling in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Admit => "admit",
        }
    }
}

/// What a rule says, in the form that its policy's digest is made of.
#[derive(Serialize)]
pub(crate) struct CanonicalRule<'a> {
    id: &'a str,
    when: &'a str,
    decide: Effect,
    on: &'a [Point],
    running: Running,
    after: u16,
    message: Option<&'a str>,
    repositories: &'a [RepoPattern],
    severity: Option<Severity>,
    on_error: Effect,
}

impl<'a> From<&'a Rule> for CanonicalRule<'a> {
    fn from(rule: &'a Rule) -> Self {
        Self {
            id: &rule.id,
            when: rule.when.source(),
            decide: rule.decide,
            on: &rule.on,
            running: rule.running,
            after: rule.after,
            message: rule.message.as_ref().map(Template::source),
            repositories: &rule.repositories,
            severity: rule.severity,
            on_error: rule.on_error,
        }
    }
}
