//! Users, robots and grants.

use std::time::Duration;

use access::{Caller, Role, Subject};

use super::*;
use crate::testing::{Kit, PASSWORD};

fn user(name: &str, administrator: bool) -> NewUser {
    NewUser {
        name: name.parse().unwrap(),
        password: PASSWORD.into(),
        administrator,
        not_after: None,
    }
}

fn robot(name: &str) -> NewRobot {
    NewRobot {
        name: name.parse().unwrap(),
        not_after: None,
        secret_not_after: None,
    }
}

#[tokio::test]
async fn a_user_is_made_changed_and_deleted() {
    let kit = Kit::new().await;
    let (store, actor) = (&kit.store, Kit::operator());
    let id = store.create_user(&actor, user("ann", false)).await.unwrap();
    let name: PrincipalName = "ann".parse().unwrap();
    let again = store.create_user(&actor, user("ann", false)).await.unwrap_err();
    assert!(
        matches!(again, AdminError::Exists { kind: "user", .. }),
        "{again}"
    );
    assert!(matches!(
        store.create_robot(&actor, robot("ann")).await,
        Err(AdminError::Exists { .. })
    ));
    let info = store.principal(&name).await.unwrap().unwrap();
    assert_eq!(
        (info.id, info.kind, info.administrator, info.secrets.len()),
        (id, PrincipalKind::User, false, 1)
    );

    store.set_disabled(&actor, &name, true).await.unwrap();
    assert!(
        store.access().principal(&name).unwrap().disabled,
        "the book follows at once"
    );
    store.set_disabled(&actor, &name, false).await.unwrap();
    kit.grant("ann", &[Role::Pull], "a").await;
    store.delete_principal(&actor, &name).await.unwrap();
    assert!(store.access().principal(&name).is_none());
    assert!(
        store.grants().await.unwrap().is_empty(),
        "grants to the name go with it"
    );
    let gone = store.delete_principal(&actor, &name).await.unwrap_err();
    assert!(matches!(gone, AdminError::NotFound { .. }), "{gone}");
    let next = store.create_user(&actor, user("ann", false)).await.unwrap();
    assert!(next.0 > id.0, "numbers are not given twice");
}

#[tokio::test]
async fn weak_passwords_and_past_ends_are_refused() {
    let kit = Kit::new().await;
    let weak = NewUser {
        password: "short".into(),
        ..user("ann", false)
    };
    let refused = kit.store.create_user(&Kit::operator(), weak).await.unwrap_err();
    assert!(matches!(refused, AdminError::WeakPassword { .. }), "{refused}");
    let past = NewUser {
        not_after: Some(kit.store.now()),
        ..user("ann", false)
    };
    let refused = kit.store.create_user(&Kit::operator(), past).await.unwrap_err();
    assert!(matches!(refused, AdminError::Invalid { .. }), "{refused}");
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let kit = Kit::new().await;
    let actor = Kit::operator();
    kit.store.create_user(&actor, user("root", true)).await.unwrap();
    let root: PrincipalName = "root".parse().unwrap();
    let last = |result: Result<(), AdminError>| {
        assert!(
            matches!(result, Err(AdminError::LastAdministrator { .. })),
            "{result:?}"
        );
    };
    last(kit.store.delete_principal(&actor, &root).await);
    last(kit.store.set_disabled(&actor, &root, true).await);
    last(kit.store.set_administrator(&actor, &root, false).await);
    kit.store.create_user(&actor, user("other", true)).await.unwrap();
    kit.store.delete_principal(&actor, &root).await.unwrap();
    kit.store.create_robot(&actor, robot("bot")).await.unwrap();
    let refused = kit
        .store
        .set_administrator(&actor, &"bot".parse().unwrap(), true)
        .await;
    assert!(matches!(refused, Err(AdminError::Invalid { .. })));
}

#[tokio::test]
async fn a_robot_holds_two_secrets_and_revocation_is_at_once() {
    let kit = Kit::new().await;
    let (store, actor) = (&kit.store, Kit::operator());
    let name: PrincipalName = "bot".parse().unwrap();
    let first = store.create_robot(&actor, robot("bot")).await.unwrap();
    let soon = store.now().plus(Duration::from_secs(10));
    let second = store.add_robot_secret(&actor, &name, Some(soon)).await.unwrap();
    let third = store.add_robot_secret(&actor, &name, None).await.unwrap_err();
    assert!(
        matches!(third, AdminError::TooManySecrets { limit: 2, .. }),
        "{third}"
    );

    let from = "192.0.2.1".parse().unwrap();
    for secret in [&first.secret, &second.secret] {
        store.authenticate("bot", secret, from).await.unwrap();
    }
    store.revoke_robot_secret(&actor, &name, first.id).await.unwrap();
    assert!(
        store.authenticate("bot", &first.secret, from).await.is_err(),
        "not even from memory"
    );
    store.authenticate("bot", &second.secret, from).await.unwrap();
    kit.advance(Duration::from_secs(11));
    assert!(
        store.authenticate("bot", &second.secret, from).await.is_err(),
        "its time is over"
    );
    store.add_robot_secret(&actor, &name, None).await.unwrap();
    store.add_robot_secret(&actor, &name, None).await.unwrap();
    let unknown = store
        .revoke_robot_secret(&actor, &name, first.id)
        .await
        .unwrap_err();
    assert!(
        matches!(unknown, AdminError::NotFound { kind: "secret", .. }),
        "{unknown}"
    );
}

#[tokio::test]
async fn a_new_password_signs_everybody_out() {
    let kit = Kit::new().await;
    let from = "192.0.2.1".parse().unwrap();
    kit.store
        .create_user(&Kit::operator(), user("ann", false))
        .await
        .unwrap();
    let caller = kit
        .store
        .authenticate("ann", &PASSWORD.into(), from)
        .await
        .unwrap();
    let wrong = kit
        .store
        .set_own_password(&caller, &"wrong password".into(), &"another password".into())
        .await;
    assert!(matches!(wrong, Err(AdminError::WrongPassword)));
    assert!(
        kit.store
            .set_own_password(&Caller::anonymous(), &PASSWORD.into(), &PASSWORD.into())
            .await
            .is_err()
    );
    kit.store
        .set_own_password(&caller, &PASSWORD.into(), &"another password".into())
        .await
        .unwrap();
    assert!(!kit.store.access().is_current(&caller, kit.store.now().micros()));
    assert!(
        kit.store
            .authenticate("ann", &PASSWORD.into(), from)
            .await
            .is_err()
    );
    kit.store
        .authenticate("ann", &"another password".into(), from)
        .await
        .unwrap();
}

#[tokio::test]
async fn principals_are_listed_in_pages_and_capped() {
    let kit = Kit::with(|limits| limits.principals = 4).await;
    for name in ["d", "a", "c"] {
        kit.store
            .create_robot(&Kit::operator(), robot(name))
            .await
            .unwrap();
    }
    kit.store
        .create_user(&Kit::operator(), user("b", false))
        .await
        .unwrap();
    let over = kit
        .store
        .create_robot(&Kit::operator(), robot("e"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            over,
            AdminError::TooMany {
                kind: "principal",
                limit: 4
            }
        ),
        "{over}"
    );
    let names = |page: &Page<PrincipalInfo>| -> Vec<String> {
        page.items.iter().map(|info| info.name.to_string()).collect()
    };
    let page = kit.store.principals(None, Some("a"), 2).await.unwrap();
    assert_eq!(
        (names(&page), page.more),
        (vec!["b".to_owned(), "c".to_owned()], true)
    );
    let page = kit
        .store
        .principals(Some(PrincipalKind::Robot), None, 10)
        .await
        .unwrap();
    assert_eq!((names(&page).join(","), page.more), ("a,c,d".to_owned(), false));
}

#[tokio::test]
async fn grants_are_set_replaced_removed_and_capped() {
    let kit = Kit::with(|limits| limits.grants = 2).await;
    kit.grant("anonymous", &[Role::Pull], "public/**").await;
    assert!(
        kit.store
            .access()
            .may::<access::permit::Pull>(&Caller::anonymous(), &"public/app".parse().unwrap())
    );
    kit.grant("anonymous", &[Role::Push], "public/**").await;
    assert_eq!(kit.store.grants().await.unwrap().len(), 1);
    kit.grant("authenticated", &[Role::Pull], "**").await;
    let third = access::Grant {
        subject: Subject::Anonymous,
        pattern: "x".parse().unwrap(),
        roles: Role::Pull.into(),
    };
    let over = kit.store.set_grant(&Kit::operator(), &third).await.unwrap_err();
    assert!(
        matches!(
            over,
            AdminError::TooMany {
                kind: "grant",
                limit: 2
            }
        ),
        "{over}"
    );
    kit.grant("anonymous", &[Role::Pull], "public/**").await;
    let pattern = "public/**".parse().unwrap();
    kit.store
        .remove_grant(&Kit::operator(), &Subject::Anonymous, &pattern)
        .await
        .unwrap();
    assert!(!kit.store.access().has_any_grant_for_anonymous());
    let gone = kit
        .store
        .remove_grant(&Kit::operator(), &Subject::Anonymous, &pattern)
        .await;
    assert!(matches!(gone, Err(AdminError::NotFound { kind: "grant", .. })));
}
