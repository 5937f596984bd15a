//! Declared state: what `roadbed apply` reconciles users, robots, grants, rules and signers with.

use access::{Grant, PrincipalKind, PrincipalName};
use oci::{Reference, RepoName};
use road::application::Statement;
use road::base::BaseImage;
use road::paving::RoadEntry;
use serde::{Deserialize, Serialize};
use signatures::SignerSpec;

use crate::{Actor, AdminError, IssuedSecret, Rule, Store, StoreError, in_use, setting};

mod carry_out;
mod end;
mod plan;

pub use end::{End, EndError};
use plan::Present;

/// What should be. The same value applied twice changes nothing the second time. A property of a user or robot that is
/// not declared stays as it is: whoever was disabled in an emergency stays so until somebody says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Declared {
    /// Users that should exist.
    pub users: Vec<DeclaredUser>,
    /// Robots that should exist. A robot that is made gets a secret, which is answered once.
    pub robots: Vec<DeclaredRobot>,
    /// Grants that should exist.
    pub grants: Vec<Grant>,
    /// Rules that should exist.
    pub rules: Vec<Rule>,
    /// Signers that should be trusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<SignerSpec>,
    /// Applications that should be declared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<Statement>,
    /// Bases that should be approved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<BaseImage>,
    /// What else should be on the road.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub road: Vec<RoadEntry>,
    /// The policy that should be in force, YAML; without it the present one stays, also with `prune`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Images that are in use by the word of whoever applies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_use: Vec<DeclaredInUse>,
}

/// An image that is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredInUse {
    /// The repository.
    pub repository: RepoName,
    /// Tag or digest.
    pub reference: Reference,
    /// When that is over; never `never`. One that is over already means nothing: the file is older than that.
    pub until: End,
    /// Why it is known to be.
    pub reason: String,
}

/// A user without a password in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredUser {
    /// Login name.
    pub name: PrincipalName,
    /// An argon2id hash in PHC form. Without one a new user cannot log in until an administrator sets a password, and
    /// an existing one keeps theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Whether the user may do everything; a new one may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<bool>,
    /// Whether the user may do nothing; a new one is enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// When the account ends; a new one never does.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "end::written"
    )]
    pub not_after: Option<End>,
}

/// A robot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredRobot {
    /// Login name.
    pub name: PrincipalName,
    /// Whether the robot may do nothing; a new one is enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// When the robot ends; a new one never does.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "end::written"
    )]
    pub not_after: Option<End>,
}

/// One difference between what is and what should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Make the user.
    CreateUser(DeclaredUser),
    /// Change the user to this. A password hash is there if it is another one; the one that was is never told.
    UpdateUser(Becoming<DeclaredUser>),
    /// Make the robot and a secret for it.
    CreateRobot(DeclaredRobot),
    /// Change the robot to this.
    UpdateRobot(Becoming<DeclaredRobot>),
    /// Delete a user or robot that is not declared (only with `prune`).
    DeletePrincipal {
        /// What it is.
        kind: PrincipalKind,
        /// Which one.
        name: PrincipalName,
    },
    /// Set the grant.
    SetGrant(Becoming<Grant>),
    /// Remove a grant that is not declared (only with `prune`).
    RemoveGrant(Grant),
    /// Set the rule.
    SetRule(Becoming<Rule>),
    /// Remove a rule that is not declared (only with `prune`).
    RemoveRule(Rule),
    /// Trust the signer.
    SetSigner(Box<Becoming<SignerSpec>>),
    /// Trust a signer no more that is not declared (only with `prune`).
    RemoveSigner(SignerSpec),
    /// Declare the application.
    SetApplication(Box<Becoming<Statement>>),
    /// Take back an application that is not declared (only with `prune`).
    RemoveApplication(Box<Statement>),
    /// Approve the base.
    SetBase(Box<Becoming<BaseImage>>),
    /// Approve a base no more that is not declared (only with `prune`).
    RemoveBase(Box<BaseImage>),
    /// Set an entry of the road that is no base.
    SetRoad(Box<Becoming<RoadEntry>>),
    /// Take back such an entry that is not declared (only with `prune`).
    RemoveRoad(Box<RoadEntry>),
    /// Put the policy in force.
    SetPolicy(Becoming<DeclaredPolicy>),
    /// Take the word that an image is in use.
    SetInUse(Becoming<DeclaredInUse>),
    /// Take back that an image is in use which is not declared so (only with `prune`).
    RemoveInUse(DeclaredInUse),
}

/// A policy that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredPolicy {
    /// Digest of what it says.
    pub digest: String,
    /// YAML.
    pub body: String,
}

/// What something becomes, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Becoming<T> {
    /// Afterwards.
    #[serde(flatten)]
    pub to: T,
    /// Before; nothing where it is new.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub was: Option<T>,
}

/// What has to be done, in order. It can be printed, kept and carried out later; what has changed in between is
/// noticed by its generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyPlan {
    /// The state that the plan was made for.
    pub generation: u64,
    /// What has to be done.
    pub steps: Vec<Step>,
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// How many steps.
    pub steps: usize,
    /// Secrets of the robots that were made, to be shown once.
    pub secrets: Vec<(PrincipalName, IssuedSecret)>,
}

impl Store {
    /// Compares `declared` with what is. With `prune`, what is not declared is removed, except the one who asks
    /// (`keep`), and administrators while no other one would be left. What takes from the one who asks what they need to
    /// take it back is refused ([`AdminError::Invalid`]), and what leads over a cap ([`AdminError::TooMany`]).
    pub async fn plan_apply(
        &self,
        declared: &Declared,
        prune: bool,
        keep: Option<&PrincipalName>,
    ) -> Result<ApplyPlan, AdminError> {
        let present = self.present().await?;
        plan::make(declared, &present, prune, keep, self.limits())
    }

    /// The same for bases and what else is on the road alone: with `prune`, what else there is stays.
    pub async fn plan_road(&self, declared: &Declared, prune: bool) -> Result<ApplyPlan, AdminError> {
        let present = self.present().await?;
        Ok(ApplyPlan {
            steps: plan::road_steps(declared, &present, prune)?,
            generation: present.generation,
        })
    }

    /// Carries out a plan in one transaction: all of it or nothing. Refused when access data changed after it was
    /// made ([`AdminError::Invalid`]).
    pub async fn carry_out(&self, actor: &Actor, plan: ApplyPlan) -> Result<Applied, AdminError> {
        if plan.steps.is_empty() {
            return Ok(Applied::default());
        }
        let (actor, limits) = (actor.clone(), self.limits().clone());
        self.change_access(move |tx| Box::pin(async move { carry_out::all(tx, &actor, plan, &limits).await }))
            .await
    }

    async fn present(&self) -> Result<Present, StoreError> {
        let on = self.inner.db.read();
        // Read first: what changes after it makes the plan one for a state that is gone, which is noticed.
        let generation = setting::access_generation(on).await?;
        Ok(Present {
            generation,
            now: self.now(),
            principals: plan::principals(on).await?,
            grants: crate::grant::all(on).await?,
            rules: crate::rule::all(on).await?,
            signers: crate::signer::all(on).await?,
            applications: crate::application::all(on).await?,
            bases: crate::base::all(on).await?,
            road: crate::paving::with_removed(on).await?,
            policy: self.policy().await?.map(|stored| DeclaredPolicy {
                digest: stored.digest,
                body: stored.body,
            }),
            in_use: in_use::declared(on, self.now()).await?,
        })
    }
}

#[cfg(test)]
mod tests;
