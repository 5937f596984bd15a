//! What has to be done to make what is into what should be. Pure, apart from reading the principals.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use access::{Grant, PrincipalKind, PrincipalName, Subject};
use oci::RepoPattern;
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{ApplyPlan, Becoming, Declared, DeclaredRobot, DeclaredUser, Step};
use crate::db::sql;
use crate::{AdminError, Rule, StoreError, Timestamp};

/// What is.
pub(super) struct Present {
    pub(super) generation: u64,
    pub(super) now: Timestamp,
    pub(super) principals: Vec<PresentPrincipal>,
    pub(super) grants: Vec<Grant>,
    pub(super) rules: Vec<Rule>,
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
) -> Result<ApplyPlan, AdminError> {
    let known: Known = present
        .principals
        .iter()
        .map(|principal| (&principal.name, principal))
        .collect();
    check(declared, &known)?;
    let mut steps = Vec::new();
    if prune {
        steps.extend(removals(declared, present, keep));
    }
    for user in &declared.users {
        steps.extend(user_step(user, known.get(&user.name).copied())?);
    }
    for robot in &declared.robots {
        steps.extend(robot_step(robot, known.get(&robot.name).copied())?);
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
    Ok(ApplyPlan {
        generation: present.generation,
        steps,
    })
}

/// Nothing where it is already so.
fn becoming<T: Clone + PartialEq>(to: &T, is: Option<&T>) -> Option<Becoming<T>> {
    (is != Some(to)).then(|| Becoming {
        to: to.clone(),
        was: is.cloned(),
    })
}

fn user_step(user: &DeclaredUser, is: Option<&PresentPrincipal>) -> Result<Option<Step>, AdminError> {
    let Some(is) = is else {
        return Ok(Some(Step::CreateUser(user.clone())));
    };
    if !differs(user, is)? {
        return Ok(None);
    }
    let mut to = user.clone();
    to.password_hash = to.password_hash.filter(|hash| is.verifier.as_ref() != Some(hash));
    let was = DeclaredUser {
        name: is.name.clone(),
        password_hash: None,
        administrator: is.administrator,
        disabled: is.disabled,
        not_after: is.not_after.map(Timestamp::to_rfc3339),
    };
    Ok(Some(Step::UpdateUser(Becoming { to, was: Some(was) })))
}

fn robot_step(robot: &DeclaredRobot, is: Option<&PresentPrincipal>) -> Result<Option<Step>, AdminError> {
    let Some(is) = is else {
        return Ok(Some(Step::CreateRobot(robot.clone())));
    };
    if robot.disabled == is.disabled && moment(robot.not_after.as_deref())? == is.not_after {
        return Ok(None);
    }
    let was = DeclaredRobot {
        name: is.name.clone(),
        disabled: is.disabled,
        not_after: is.not_after.map(Timestamp::to_rfc3339),
    };
    Ok(Some(Step::UpdateRobot(Becoming {
        to: robot.clone(),
        was: Some(was),
    })))
}

/// Principals as they are, by name.
type Known<'a> = BTreeMap<&'a PrincipalName, &'a PresentPrincipal>;

/// What a grant is told from others by.
fn place(grant: &Grant) -> (&Subject, &RepoPattern) {
    (&grant.subject, &grant.pattern)
}

fn differs(user: &DeclaredUser, is: &PresentPrincipal) -> Result<bool, AdminError> {
    let password = user.password_hash.is_some() && user.password_hash != is.verifier;
    let end = moment(user.not_after.as_deref())? != is.not_after;
    Ok(password || end || user.administrator != is.administrator || user.disabled != is.disabled)
}

fn removals(declared: &Declared, present: &Present, keep: Option<&PrincipalName>) -> Vec<Step> {
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
    let names = names(declared);
    let keep_administrators = !has_administrator(declared, present, keep);
    let stays = |is: &&PresentPrincipal| {
        names.contains(&is.name) || keep == Some(&is.name) || (keep_administrators && is.administrator)
    };
    let principals = present.principals.iter().filter(|is| !stays(is));
    let grants = grants.cloned().map(Step::RemoveGrant);
    let rules = rules.cloned().map(Step::RemoveRule);
    let principals = principals.map(|is| Step::DeletePrincipal {
        name: is.name.clone(),
    });
    grants.chain(rules).chain(principals).collect()
}

/// Whether somebody could administer the registry if only what is declared and `keep` were left.
fn has_administrator(declared: &Declared, present: &Present, keep: Option<&PrincipalName>) -> bool {
    let has_password = |name: &PrincipalName| {
        present
            .principals
            .iter()
            .any(|is| is.name == *name && is.verifier.is_some())
    };
    let can = |user: &DeclaredUser| {
        let active = user.administrator && !user.disabled && user.not_after.is_none();
        active && (user.password_hash.is_some() || has_password(&user.name))
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
    let invalid = |reason: String| Err(AdminError::Invalid { reason });
    if names(declared).len() < declared.users.len() + declared.robots.len() {
        return invalid("a name is declared twice; users and robots share their names".to_owned());
    }
    let mut places = HashSet::new();
    for grant in &declared.grants {
        if !places.insert(place(grant)) {
            return invalid(format!(
                "the grant of {} on {} is declared twice",
                grant.subject, grant.pattern
            ));
        }
    }
    let patterns: BTreeSet<_> = declared.rules.iter().map(|rule| &rule.pattern).collect();
    if patterns.len() < declared.rules.len() {
        return invalid("the rule of a pattern is declared twice".to_owned());
    }
    for DeclaredUser {
        name,
        password_hash,
        not_after,
        ..
    } in &declared.users
    {
        check_principal(known, name, PrincipalKind::User, not_after.as_deref())?;
        if let Some(hash) = password_hash
            && let Err(error) = hash.parse::<access::password::PasswordHash>()
        {
            return invalid(format!("user {name}: {error}"));
        }
    }
    for DeclaredRobot { name, not_after, .. } in &declared.robots {
        check_principal(known, name, PrincipalKind::Robot, not_after.as_deref())?;
    }
    Ok(())
}

fn check_principal(
    known: &Known<'_>,
    name: &PrincipalName,
    kind: PrincipalKind,
    not_after: Option<&str>,
) -> Result<(), AdminError> {
    moment(not_after)?;
    match known.get(name) {
        Some(is) if is.kind != kind => {
            let reason = format!(
                "{name} is declared as a {} but is a {}",
                kind.as_str(),
                is.kind.as_str()
            );
            Err(AdminError::Invalid { reason })
        }
        _ => Ok(()),
    }
}

/// Reads an end date.
pub(super) fn moment(text: Option<&str>) -> Result<Option<Timestamp>, AdminError> {
    let parse = |text: &str| {
        Timestamp::from_rfc3339(text).ok_or_else(|| AdminError::Invalid {
            reason: format!("{text:?} is no end date; write it like 2027-01-31T00:00:00Z"),
        })
    };
    text.map(parse).transpose()
}
