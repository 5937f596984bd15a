//! Carrying out a plan.

use access::{PrincipalId, PrincipalKind, PrincipalName};

use super::{Applied, ApplyPlan, Becoming, DeclaredInUse, DeclaredRobot, DeclaredUser, End, Step};
use crate::db::Tx;
use crate::principal::change::{self, Change, New};
use crate::principal::issue;
use crate::{
    Actor, AdminError, MAX_IN_USE, NewInUse, StoreLimits, application, base, grant, in_use, paving, rule,
    ruling, setting, signer,
};

/// All steps, in order; whether somebody can still administer the registry is asked at the end.
pub(super) async fn all(
    tx: &Tx,
    actor: &Actor,
    plan: ApplyPlan,
    limits: &StoreLimits,
) -> Result<Applied, AdminError> {
    if setting::access_generation(tx.sql()).await? != plan.generation {
        let reason = "access data has changed since the plan was made; make a new one".to_owned();
        return Err(AdminError::Invalid { reason });
    }
    let before = change::administrators(tx).await?;
    let mut applied = Applied {
        steps: plan.steps.len(),
        ..Applied::default()
    };
    let (mut touched, mut is_road) = (None, false);
    for step in plan.steps {
        is_road |= matches!(
            step,
            Step::SetApplication(_)
                | Step::SetBase(_)
                | Step::RemoveBase(_)
                | Step::SetRoad(_)
                | Step::RemoveRoad(_)
        );
        let name = carry_out(tx, actor, step, limits, &mut applied).await?;
        touched = name.or(touched);
    }
    if is_road {
        application::check_all(tx).await?;
        base::check_road(tx).await?;
    }
    if let Some(name) = touched {
        change::check_administrators(tx, before, &name).await?;
    }
    Ok(applied)
}

/// Answers whom the step was about, if that may have taken an administrator away.
async fn carry_out(
    tx: &Tx,
    actor: &Actor,
    step: Step,
    limits: &StoreLimits,
    applied: &mut Applied,
) -> Result<Option<PrincipalName>, AdminError> {
    match step {
        Step::CreateUser(user) => {
            let new = New {
                name: &user.name,
                kind: PrincipalKind::User,
                administrator: user.administrator.unwrap_or(false),
                not_after: user.not_after.and_then(End::moment),
            };
            change::insert(tx, actor, new, limits.principals).await?;
            update_user(tx, actor, &user).await?;
            Ok(None)
        }
        Step::UpdateUser(Becoming { to: user, .. }) => {
            change::expect(tx, &user.name, PrincipalKind::User).await?;
            update_user(tx, actor, &user).await?;
            Ok(Some(user.name))
        }
        Step::CreateRobot(robot) => {
            let new = New {
                name: &robot.name,
                kind: PrincipalKind::Robot,
                administrator: false,
                not_after: robot.not_after.and_then(End::moment),
            };
            let id = change::insert(tx, actor, new, limits.principals).await?;
            update_robot(tx, actor, &robot).await?;
            applied.secrets.push((robot.name, issue(tx, id, None).await?));
            Ok(None)
        }
        Step::UpdateRobot(Becoming { to: robot, .. }) => {
            change::expect(tx, &robot.name, PrincipalKind::Robot).await?;
            update_robot(tx, actor, &robot).await?;
            Ok(None)
        }
        Step::DeletePrincipal { kind, name } => {
            change::expect(tx, &name, kind).await?;
            change::delete_unchecked(tx, actor, &name).await?;
            Ok(Some(name))
        }
        Step::SetGrant(grant) => grant::set(tx, actor, &grant.to, limits.grants)
            .await
            .map(|()| None),
        Step::RemoveGrant(grant) => grant::remove(tx, actor, &grant.subject, &grant.pattern)
            .await
            .map(|()| None),
        Step::SetRule(rule) => rule::set(tx, actor, &rule.to, limits.rules).await.map(|_| None),
        Step::RemoveRule(rule) => rule::remove(tx, actor, &rule.pattern).await.map(|()| None),
        Step::SetSigner(signer) => signer::set(tx, actor, &signer.to).await.map(|_| None),
        Step::RemoveSigner(signer) => signer::remove(tx, actor, &signer.name).await.map(|()| None),
        step @ (Step::SetApplication(_)
        | Step::RemoveApplication(_)
        | Step::SetBase(_)
        | Step::RemoveBase(_)
        | Step::SetRoad(_)
        | Step::RemoveRoad(_)
        | Step::SetPolicy(_)) => carry_out_entry(tx, actor, step).await.map(|()| None),
        Step::SetInUse(image) => set_in_use(tx, actor, image.to).await.map(|()| None),
        Step::RemoveInUse(image) => {
            in_use::remove(tx, &image.repository, &image.reference, actor).await?;
            Ok(None)
        }
    }
}

/// Of what is not about access. Whether all entries go together is asked once all steps are done: some need others.
async fn carry_out_entry(tx: &Tx, actor: &Actor, step: Step) -> Result<(), AdminError> {
    match step {
        Step::SetApplication(entry) => application::put(tx, actor, &entry.to).await.map(drop),
        Step::RemoveApplication(entry) => {
            let removed = application::remove(tx, actor, &entry.application, entry.source);
            removed.await.map(drop)
        }
        Step::SetBase(base) => base::put(tx, actor, &base.to).await.map(drop),
        Step::RemoveBase(base) => base::remove(tx, actor, &base.name).await,
        Step::SetRoad(entry) => paving::put(tx, actor, &entry.to).await,
        Step::RemoveRoad(entry) => paving::remove(tx, actor, entry.kind(), &entry.name()).await,
        Step::SetPolicy(policy) => {
            ruling::put_policy(tx, actor, &policy.to.body, &policy.to.digest).await?;
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn set_in_use(tx: &Tx, actor: &Actor, image: DeclaredInUse) -> Result<(), AdminError> {
    let wanted = NewInUse {
        repo: image.repository,
        references: vec![image.reference],
        until: image.until.moment().unwrap_or(tx.now()),
        reason: image.reason,
    };
    if in_use::set(tx, &wanted, actor).await? {
        return Ok(());
    }
    Err(AdminError::TooMany {
        kind: "image in use",
        limit: MAX_IN_USE as u64,
    })
}

async fn update_user(tx: &Tx, actor: &Actor, user: &DeclaredUser) -> Result<(), AdminError> {
    let changes = [
        user.administrator.map(Change::Administrator),
        user.disabled.map(Change::Disabled),
        user.not_after.map(|end| Change::NotAfter(end.moment())),
    ];
    for change in changes.into_iter().flatten() {
        change::update_unchecked(tx, actor, &user.name, change).await?;
    }
    let Some(hash) = &user.password_hash else {
        return Ok(());
    };
    let known = change::expect(tx, &user.name, PrincipalKind::User).await?;
    // The same hash again must not sign anybody out.
    if change::verifier(tx, PrincipalId(known.id)).await?.as_deref() != Some(hash) {
        change::replace_password(tx, actor, &user.name, hash).await?;
    }
    Ok(())
}

async fn update_robot(tx: &Tx, actor: &Actor, robot: &DeclaredRobot) -> Result<(), AdminError> {
    let changes = [
        robot.disabled.map(Change::Disabled),
        robot.not_after.map(|end| Change::NotAfter(end.moment())),
    ];
    for change in changes.into_iter().flatten() {
        change::update_unchecked(tx, actor, &robot.name, change).await?;
    }
    Ok(())
}
