//! First start and lost passwords.

use super::*;
use crate::StoreError;
use crate::testing::{Kit, PASSWORD};

const FROM: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn the_first_start_makes_an_administrator_once() {
    let kit = Kit::new().await;
    let generated = kit.store.ensure_administrator(None).await.unwrap().unwrap();
    let caller = kit.store.authenticate("admin", &generated, FROM).await.unwrap();
    assert!(kit.store.access().authorize_system(&caller).is_ok());
    assert!(kit.store.ensure_administrator(None).await.unwrap().is_none());
    let given = kit
        .store
        .ensure_administrator(Some(&PASSWORD.into()))
        .await
        .unwrap();
    assert!(given.is_none());
    assert!(
        kit.store
            .authenticate("admin", &PASSWORD.into(), FROM)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_given_password_is_taken_and_never_shown() {
    let kit = Kit::new().await;
    assert!(
        kit.store
            .ensure_administrator(Some(&PASSWORD.into()))
            .await
            .unwrap()
            .is_none()
    );
    kit.store
        .authenticate("admin", &PASSWORD.into(), FROM)
        .await
        .unwrap();
    let database = std::fs::read(kit.path().join("roadbed.db")).unwrap();
    let log = std::fs::read(kit.path().join("roadbed.db-wal")).unwrap();
    for bytes in [database, log] {
        assert!(
            !bytes
                .windows(PASSWORD.len())
                .any(|window| window == PASSWORD.as_bytes())
        );
    }
}

#[tokio::test]
async fn a_weak_first_password_is_refused() {
    let kit = Kit::new().await;
    let weak = kit.store.ensure_administrator(Some(&"short".into())).await;
    assert!(matches!(weak, Err(AdminError::WeakPassword { .. })));
}

#[tokio::test]
async fn a_password_is_reset_on_a_stopped_server_only() {
    let mut kit = Kit::new().await;
    kit.store
        .ensure_administrator(Some(&PASSWORD.into()))
        .await
        .unwrap();
    let admin: PrincipalName = FIRST_ADMINISTRATOR.parse().unwrap();
    let refused = reset_password(kit.path(), &admin).await.unwrap_err();
    assert!(
        matches!(refused, AdminError::Store(StoreError::Locked { .. })),
        "{refused}"
    );

    kit.store.clone().close().await.unwrap();
    let fresh = reset_password(kit.path(), &admin).await.unwrap();
    let nobody = reset_password(kit.path(), &"nobody".parse().unwrap()).await;
    assert!(matches!(nobody, Err(AdminError::NotFound { .. })));
    kit.reopen().await;
    let caller = kit.store.authenticate("admin", &fresh, FROM).await.unwrap();
    assert!(kit.store.access().authorize_system(&caller).is_ok());
    assert!(
        kit.store
            .authenticate("admin", &PASSWORD.into(), FROM)
            .await
            .is_err()
    );
}

#[test]
fn generated_passwords_are_strong_and_differ() {
    let (a, b) = (generate(), generate());
    assert_eq!(a.expose().len(), PASSWORD_CHARS);
    assert_ne!(a.expose(), b.expose());
    access::password::check_strength(a.expose()).unwrap();
}
