//! A policy: rules that were checked, from one or more files.

mod error;
mod read;

use oci::Digest;
use serde::Serialize;

pub use error::{PolicyError, PolicyErrors, PolicyProblem};

use crate::facts::fingerprint;
use crate::rule::CanonicalRule;
use crate::{PolicyLimits, Rule};

/// Version of the language of rules: of the keys, the variables and what conditions mean. A policy names the one that it is
/// written in.
pub const LANGUAGE: u32 = 1;

/// The policy that is in force until another one is declared.
pub const DEFAULT_POLICY: &str = include_str!("../default.yaml");

/// A file of a policy.
#[derive(Debug, Clone, Copy)]
pub struct PolicySource<'a> {
    /// What errors call it.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Rules that were checked.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
    digest: Digest,
    limits: PolicyLimits,
}

impl Policy {
    /// Checks all files and takes their rules together.
    ///
    /// # Errors
    /// Everything that is wrong, each with its file and line.
    pub fn load(sources: &[PolicySource<'_>], limits: &PolicyLimits) -> Result<Self, PolicyErrors> {
        let mut rules = read::read(sources, limits)?;
        rules.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(Self {
            digest: digest(&rules),
            rules,
            limits: *limits,
        })
    }

    /// Checks one text.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyErrors> {
        Self::load(&[PolicySource { name, text }], &PolicyLimits::default())
    }

    /// What is wrong with the files; nothing if they are a policy.
    pub fn check(sources: &[PolicySource<'_>], limits: &PolicyLimits) -> Vec<PolicyError> {
        Self::load(sources, limits).map_or_else(|errors| errors.0, |_| Vec::new())
    }

    /// [`DEFAULT_POLICY`].
    pub fn default_policy() -> Self {
        Self::parse("default.yaml", DEFAULT_POLICY).expect("the default policy is checked by a test")
    }

    /// The rules, by id.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Stands for what the policy says: the same for the same rules in whatever order and files.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What it was loaded under.
    pub fn limits(&self) -> &PolicyLimits {
        &self.limits
    }
}

#[derive(Serialize)]
struct Canonical<'a> {
    language: u32,
    rules: Vec<CanonicalRule<'a>>,
}

fn digest(rules: &[Rule]) -> Digest {
    fingerprint::of(&Canonical {
        language: LANGUAGE,
        rules: rules.iter().map(CanonicalRule::from).collect(),
    })
}

#[cfg(test)]
mod tests;
