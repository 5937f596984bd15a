//! What has to be done to make what is into what should be. Pure, apart from reading the principals.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use access::{Grant, PrincipalKind, PrincipalName, Subject};
use oci::RepoPattern;
use road::application::Statement;
use road::base::BaseImage;
use sea_orm::{ConnectionTrait, FromQueryResult};
use signatures::{SignerSpec, limits::MAX_SIGNERS};

use super::{
    ApplyPlan, Becoming, Declared, DeclaredInUse, DeclaredPolicy, DeclaredRobot, DeclaredUser, End, Step,
};
use crate::db::sql;
use crate::{AdminError, Rule, StoreError, StoreLimits, StoredRoadEntry, Timestamp};

mod entries;
mod in_use;

pub(super) use entries::road_steps;

/// What is.
pub(super) struct Present {
    pub(super) generation: u64,
    pub(super) now: Timestamp,
    pub(super) principals: Vec<PresentPrincipal>,
    pub(super) grants: Vec<Grant>,
    pub(super) rules: Vec<Rule>,
    pub(super) signers: Vec<SignerSpec>,
    /// Of all sources.
    pub(super) applications: Vec<Statement>,
    pub(super) bases: Vec<BaseImage>,
    /// Exemptions that were taken back too.
    pub(super) road: Vec<StoredRoadEntry>,
    pub(super) policy: Option<DeclaredPolicy>,
    pub(super) in_use: Vec<DeclaredInUse>,
}

/// A principal as it is.
pub(super) struct PresentPrincipal {
    name: PrincipalName,
    kind: PrincipalKind,
    administrator: bool,
    disabled: bool,
    not_after: Option<Timestamp>,
    /// What its password is checked against, if it is a user who has one.
    verifier: Option<String>,
}

#[derive(FromQueryResult)]
struct Row {
    name: String,
    kind: String,
    administrator: bool,
    disabled: bool,
    not_after: Option<i64>,
    verifier: Option<String>,
}

/// All principals, by name.
pub(super) async fn principals(on: &impl ConnectionTrait) -> Result<Vec<PresentPrincipal>, StoreError> {
    let sql = "SELECT p.name, p.kind, p.administrator, p.disabled, p.not_after, \
               (SELECT MAX(s.verifier) FROM secret s WHERE s.principal_id = p.id) AS verifier \
               FROM principal p ORDER BY p.name";
    let rows: Vec<Row> = sql::all(on, sql, []).await?;
    let principal = |row: Row| {
        Ok(PresentPrincipal {
            name: row
                .name
                .parse()
                .map_err(|_| StoreError::damaged(format!("principal {:?}", row.name)))?,
            kind: crate::snapshot::kind_of(&row.kind)?,
            administrator: row.administrator,
            disabled: row.disabled,
            not_after: row.not_after.map(Timestamp),
            verifier: row.verifier,
        })
    };
    rows.into_iter().map(principal).collect()
}

/// Removals first, so that what takes the place of something does not collide with it.
pub(super) fn make(
    declared: &Declared,
    present: &Present,
    prune: bool,
    keep: Option<&PrincipalName>,
    limits: &StoreLimits,
) -> Result<ApplyPlan, AdminError> {
    let known: Known = present
        .principals
        .iter()
        .map(|principal| (&principal.name, principal))
        .collect();
    check(declared, &known)?;
    check_own_account(declared, present.now, keep)?;
    let mut steps = Vec::new();
    if prune {
        steps.extend(removals(declared, present, &known, keep));
    }
    for user in &declared.users {
        steps.extend(user_step(user, known.get(&user.name).copied()));
    }
    for robot in &declared.robots {
        steps.extend(robot_step(robot, known.get(&robot.name).copied()));
    }
    // There may be a hundred thousand of them on both sides.
    let present_grants: HashMap<_, _> = present.grants.iter().map(|grant| (place(grant), grant)).collect();
    let grants = declared.grants.iter();
    steps.extend(grants.filter_map(|grant| {
        let is = present_grants.get(&place(grant)).copied();
        becoming(grant, is).map(Step::SetGrant)
    }));
    let present_rules: HashMap<_, _> = present.rules.iter().map(|rule| (&rule.pattern, rule)).collect();
    let rules = declared.rules.iter();
    steps.extend(rules.filter_map(|rule| {
        let is = present_rules.get(&rule.pattern).copied();
        becoming(rule, is).map(Step::SetRule)
    }));
    steps.extend(signer_steps(declared, present));
    steps.extend(entries::steps(declared, present, prune)?);
    steps.extend(policy_step(declared, present)?);
    steps.extend(in_use::steps(declared, present, prune)?);
    check_counts(&steps, present, limits)?;
    Ok(ApplyPlan {
        generation: present.generation,
        steps,
    })
}

/// A plan that leads over a cap is none: all steps before the one too many would be carried out for nothing. One that
/// adds nothing is carried out also where a cap was lowered meanwhile.
fn check_counts(steps: &[Step], present: &Present, limits: &StoreLimits) -> Result<(), AdminError> {
    let before = [
        present.principals.len(),
        present.grants.len(),
        present.rules.len(),
        present.signers.len(),
    ];
    let mut after = before;
    let [principals, grants, rules, signers] = &mut after;
    for step in steps {
        match step {
            Step::CreateUser(_) | Step::CreateRobot(_) => *principals += 1,
            Step::DeletePrincipal { .. } => *principals -= 1,
            Step::SetGrant(Becoming { was: None, .. }) => *grants += 1,
            Step::RemoveGrant(_) => *grants -= 1,
            Step::SetRule(Becoming { was: None, .. }) => *rules += 1,
            Step::RemoveRule(_) => *rules -= 1,
            Step::SetSigner(signer) if signer.was.is_none() => *signers += 1,
            Step::RemoveSigner(_) => *signers -= 1,
            Step::UpdateUser(_)
            | Step::UpdateRobot(_)
            | Step::SetGrant(_)
            | Step::SetRule(_)
            | Step::SetSigner(_)
            | Step::SetApplication(_)
            | Step::RemoveApplication(_)
            | Step::SetBase(_)
            | Step::RemoveBase(_)
            | Step::SetRoad(_)
            | Step::RemoveRoad(_)
            | Step::SetPolicy(_)
            | Step::SetInUse(_)
            | Step::RemoveInUse(_) => {}
        }
    }
    let caps = [
        ("principal", limits.principals),
        ("grant", limits.grants),
        ("rule", limits.rules),
        ("signer", MAX_SIGNERS as u64),
    ];
    for ((kind, limit), (before, after)) in caps.into_iter().zip(before.into_iter().zip(after)) {
        if after > before && after as u64 > limit {
            return Err(AdminError::TooMany { kind, limit });
        }
    }
    Ok(())
}

/// Nothing where it is already so.
fn becoming<T: Clone + PartialEq>(to: &T, is: Option<&T>) -> Option<Becoming<T>> {
    (is != Some(to)).then(|| Becoming {
        to: to.clone(),
        was: is.cloned(),
    })
}

fn user_step(user: &DeclaredUser, is: Option<&PresentPrincipal>) -> Option<Step> {
    let Some(is) = is else {
        let fresh = DeclaredUser::fresh(&user.name);
        return Some(Step::CreateUser(user.filled_from(&fresh)));
    };
    let was = is.as_user();
    let mut to = user.filled_from(&was);
    to.password_hash = to.password_hash.filter(|hash| is.verifier.as_ref() != Some(hash));
    becoming(&to, Some(&was)).map(Step::UpdateUser)
}

fn robot_step(robot: &DeclaredRobot, is: Option<&PresentPrincipal>) -> Option<Step> {
    let Some(is) = is else {
        let fresh = DeclaredRobot::fresh(&robot.name);
        return Some(Step::CreateRobot(robot.filled_from(&fresh)));
    };
    let was = is.as_robot();
    becoming(&robot.filled_from(&was), Some(&was)).map(Step::UpdateRobot)
}

fn signer_steps(declared: &Declared, present: &Present) -> Vec<Step> {
    let known: HashMap<_, _> = present
        .signers
        .iter()
        .map(|signer| (&signer.name, signer))
        .collect();
    let signers = declared.signers.iter();
    let steps = signers.filter_map(|signer| becoming(signer, known.get(&signer.name).copied()));
    steps.map(|signer| Step::SetSigner(Box::new(signer))).collect()
}

fn policy_step(declared: &Declared, present: &Present) -> Result<Option<Step>, AdminError> {
    let Some(body) = &declared.policy else {
        return Ok(None);
    };
    let policy = policy::Policy::parse("policy", body).map_err(|errors| AdminError::Invalid {
        reason: errors.to_string(),
    })?;
    let to = DeclaredPolicy {
        digest: policy.digest().to_string(),
        body: body.clone(),
    };
    Ok(becoming(&to, present.policy.as_ref()).map(Step::SetPolicy))
}

impl PresentPrincipal {
    /// All of it, without the password: the hash that was is never told.
    fn as_user(&self) -> DeclaredUser {
        DeclaredUser {
            name: self.name.clone(),
            password_hash: None,
            administrator: Some(self.administrator),
            disabled: Some(self.disabled),
            not_after: Some(self.not_after.into()),
        }
    }

    fn as_robot(&self) -> DeclaredRobot {
        DeclaredRobot {
            name: self.name.clone(),
            disabled: Some(self.disabled),
            not_after: Some(self.not_after.into()),
        }
    }
}

impl DeclaredUser {
    /// A new one of whom nothing else is said.
    fn fresh(name: &PrincipalName) -> Self {
        Self {
            name: name.clone(),
            password_hash: None,
            administrator: Some(false),
            disabled: Some(false),
            not_after: Some(End::Never),
        }
    }

    /// What is not declared, taken from what is.
    fn filled_from(&self, is: &Self) -> Self {
        Self {
            name: self.name.clone(),
            password_hash: self.password_hash.clone(),
            administrator: self.administrator.or(is.administrator),
            disabled: self.disabled.or(is.disabled),
            not_after: self.not_after.or(is.not_after),
        }
    }
}

impl DeclaredRobot {
    fn fresh(name: &PrincipalName) -> Self {
        Self {
            name: name.clone(),
            disabled: Some(false),
            not_after: Some(End::Never),
        }
    }

    fn filled_from(&self, is: &Self) -> Self {
        Self {
            name: self.name.clone(),
            disabled: self.disabled.or(is.disabled),
            not_after: self.not_after.or(is.not_after),
        }
    }
}

/// Principals as they are, by name.
type Known<'a> = BTreeMap<&'a PrincipalName, &'a PresentPrincipal>;

/// What a grant is told from others by.
fn place(grant: &Grant) -> (&Subject, &RepoPattern) {
    (&grant.subject, &grant.pattern)
}

fn removals(
    declared: &Declared,
    present: &Present,
    known: &Known<'_>,
    keep: Option<&PrincipalName>,
) -> Vec<Step> {
    let kept_grants: HashSet<_> = declared.grants.iter().map(place).collect();
    let grants = present
        .grants
        .iter()
        .filter(|is| !kept_grants.contains(&place(is)));
    let kept_rules: HashSet<_> = declared.rules.iter().map(|rule| &rule.pattern).collect();
    let rules = present
        .rules
        .iter()
        .filter(|is| !kept_rules.contains(&is.pattern));
    let kept_signers: HashSet<_> = declared.signers.iter().map(|signer| &signer.name).collect();
    let signers = present
        .signers
        .iter()
        .filter(|is| !kept_signers.contains(&is.name));
    let names = names(declared);
    let keep_administrators = !has_administrator(declared, present, known, keep);
    let stays = |is: &&PresentPrincipal| {
        names.contains(&is.name) || keep == Some(&is.name) || (keep_administrators && is.administrator)
    };
    let principals = present.principals.iter().filter(|is| !stays(is));
    let grants = grants.cloned().map(Step::RemoveGrant);
    let rules = rules.cloned().map(Step::RemoveRule);
    let principals = principals.map(|is| Step::DeletePrincipal {
        kind: is.kind,
        name: is.name.clone(),
    });
    let signers = signers.cloned().map(Step::RemoveSigner);
    grants.chain(rules).chain(signers).chain(principals).collect()
}

/// Whether somebody could administer the registry if only what is declared and `keep` were left.
fn has_administrator(
    declared: &Declared,
    present: &Present,
    known: &Known<'_>,
    keep: Option<&PrincipalName>,
) -> bool {
    let can = |user: &DeclaredUser| {
        let is = known.get(&user.name);
        let was = is.map_or_else(|| DeclaredUser::fresh(&user.name), |is| is.as_user());
        let user = user.filled_from(&was);
        let active = user.administrator == Some(true)
            && user.disabled == Some(false)
            && user.not_after == Some(End::Never);
        active && (user.password_hash.is_some() || is.is_some_and(|is| is.verifier.is_some()))
    };
    let kept = |is: &PresentPrincipal| {
        let ended = is.not_after.is_some_and(|end| end <= present.now);
        keep == Some(&is.name) && is.administrator && !is.disabled && !ended && is.verifier.is_some()
    };
    declared.users.iter().any(can) || present.principals.iter().any(kept)
}

fn names(declared: &Declared) -> BTreeSet<&PrincipalName> {
    let robots = declared.robots.iter().map(|robot| &robot.name);
    declared
        .users
        .iter()
        .map(|user| &user.name)
        .chain(robots)
        .collect()
}

/// What is wrong with a declaration before anything is compared.
fn check(declared: &Declared, known: &Known<'_>) -> Result<(), AdminError> {
    check_doubles(declared)?;
    for DeclaredUser {
        name, password_hash, ..
    } in &declared.users
    {
        check_kind(known, name, PrincipalKind::User)?;
        if let Some(hash) = password_hash
            && let Err(error) = hash.parse::<access::password::PasswordHash>()
        {
            return invalid(format!("user {name}: {error}"));
        }
    }
    for DeclaredRobot { name, .. } in &declared.robots {
        check_kind(known, name, PrincipalKind::Robot)?;
    }
    declared.signers.iter().try_for_each(crate::signer::check)?;
    for Rule { pattern, rules } in &declared.rules {
        if let Some(reason) = rules.problem() {
            return invalid(format!("rule of {pattern}: {reason}"));
        }
    }
    Ok(())
}

fn check_doubles(declared: &Declared) -> Result<(), AdminError> {
    let mut names = HashSet::new();
    let users = declared.users.iter().map(|user| &user.name);
    let robots = declared.robots.iter().map(|robot| &robot.name);
    for name in users.chain(robots) {
        if !names.insert(name) {
            return invalid(format!(
                "{name} is declared twice; users and robots share their names"
            ));
        }
    }
    let mut places = HashSet::new();
    for grant in &declared.grants {
        if !places.insert(place(grant)) {
            let Grant { subject, pattern, .. } = grant;
            return invalid(format!("the grant of {subject} on {pattern} is declared twice"));
        }
    }
    let mut signers = HashSet::new();
    for signer in &declared.signers {
        if !signers.insert(&signer.name) {
            return invalid(format!("the signer {} is declared twice", signer.name));
        }
    }
    let mut patterns = HashSet::new();
    for Rule { pattern, .. } in &declared.rules {
        if !patterns.insert(pattern) {
            return invalid(format!("the rule of {pattern} is declared twice"));
        }
    }
    Ok(())
}

fn check_kind(known: &Known<'_>, name: &PrincipalName, kind: PrincipalKind) -> Result<(), AdminError> {
    match known.get(name) {
        Some(is) if is.kind != kind => {
            let (declared, present) = (kind.as_str(), is.kind.as_str());
            invalid(format!("{name} is declared as a {declared} but is a {present}"))
        }
        _ => Ok(()),
    }
}

/// Whoever applies a file that shuts them out could not apply the one that mends it.
fn check_own_account(
    declared: &Declared,
    now: Timestamp,
    own: Option<&PrincipalName>,
) -> Result<(), AdminError> {
    let user = declared.users.iter().find(|user| own == Some(&user.name));
    let Some(user) = user else {
        return Ok(());
    };
    let end = user.not_after.and_then(End::moment);
    let what = if user.administrator == Some(false) {
        "administrator: false".to_owned()
    } else if user.disabled == Some(true) {
        "disabled: true".to_owned()
    } else if let Some(end) = end.filter(|end| *end <= now) {
        format!("not_after: {end}")
    } else {
        return Ok(());
    };
    let name = &user.name;
    invalid(format!(
        "`{what}` would shut out {name}, who applies this: leave it out, or let another administrator apply it"
    ))
}

fn invalid(reason: String) -> Result<(), AdminError> {
    Err(AdminError::Invalid { reason })
}
