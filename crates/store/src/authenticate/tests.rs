//! Logins: what is verified, what is remembered, what is slowed down.

use std::sync::atomic::Ordering;

use access::Role;

use super::*;
use crate::event::{EventFilter, EventKind};
use crate::testing::{Kit, PASSWORD};
use crate::{NewRobot, NewUser};

mod attack;

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

async fn ann(kit: &Kit) {
    let user = NewUser {
        name: "ann".parse().unwrap(),
        password: PASSWORD.into(),
        administrator: false,
        not_after: None,
    };
    kit.store.create_user(&Kit::operator(), user).await.unwrap();
}

fn hashes(kit: &Kit) -> u64 {
    kit.store
        .inner
        .authenticator
        .counts
        .hashes
        .load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_verified_credential_is_remembered_for_a_while() {
    let kit = Kit::new().await;
    ann(&kit).await;
    let before = hashes(&kit);
    for _ in 0..50 {
        kit.store
            .authenticate("ann", &PASSWORD.into(), FROM)
            .await
            .unwrap();
    }
    assert_eq!(hashes(&kit) - before, 1);
    kit.advance(Duration::from_secs(61));
    kit.store
        .authenticate("ann", &PASSWORD.into(), FROM)
        .await
        .unwrap();
    assert_eq!(hashes(&kit) - before, 2);
}

#[tokio::test]
async fn nodes_that_start_together_cost_one_hash() {
    let kit = Kit::with(|limits| (limits.password_workers, limits.password_queue) = (1, 1)).await;
    ann(&kit).await;
    let before = hashes(&kit);
    let logins: Vec<_> = (0..100)
        .map(|_| {
            let store = kit.store.clone();
            tokio::spawn(async move { store.authenticate("ann", &PASSWORD.into(), FROM).await.map(drop) })
        })
        .collect();
    for login in logins {
        login.await.unwrap().unwrap();
    }
    assert_eq!(hashes(&kit) - before, 1);
}

#[tokio::test]
async fn too_many_different_logins_are_told_to_come_again() {
    let kit = Kit::with(|limits| (limits.password_workers, limits.password_queue) = (1, 2)).await;
    let logins: Vec<_> = (0..20)
        .map(|number| {
            let store = kit.store.clone();
            let (user, secret) = (format!("user{number}"), SecretString::from("wrong password"));
            tokio::spawn(async move { store.authenticate(&user, &secret, FROM).await.map(drop) })
        })
        .collect();
    let mut shed = 0;
    for login in logins {
        match login.await.unwrap() {
            Err(AuthError::TooMany { retry_after }) => {
                assert!(retry_after >= Duration::from_secs(1));
                shed += 1;
            }
            other => assert!(matches!(other, Err(AuthError::Rejected)), "{other:?}"),
        }
    }
    assert!((1..20).contains(&shed), "{shed}");
    assert_eq!(kit.store.metrics().logins_shed, shed);
}

#[tokio::test]
async fn unknown_names_and_robots_take_as_long_as_users() {
    let kit = Kit::new().await;
    ann(&kit).await;
    kit.robot("bot", &[Role::Pull], "x").await;
    for name in ["ann", "bot", "nobody", "Not A Name"] {
        let before = hashes(&kit);
        let refused = kit.store.authenticate(name, &"wrong password".into(), FROM).await;
        assert!(matches!(refused, Err(AuthError::Rejected)));
        assert_eq!(hashes(&kit) - before, 1, "{name}");
    }
    // What looks like a robot's secret costs no hash, for whomever it is.
    let other = RobotSecret::generate([7; 32]);
    for name in ["ann", "bot", "nobody"] {
        let before = hashes(&kit);
        let refused = kit.store.authenticate(name, &other.expose().into(), FROM).await;
        assert!(matches!(refused, Err(AuthError::Rejected)));
        assert_eq!(hashes(&kit) - before, 0, "{name}");
    }
    let long = "x".repeat(LONGEST + 1);
    assert!(
        kit.store
            .authenticate(&long, &PASSWORD.into(), FROM)
            .await
            .is_err()
    );
    assert!(kit.store.authenticate("ann", &long.into(), FROM).await.is_err());
}

#[tokio::test]
async fn who_guesses_has_to_wait() {
    let kit = Kit::with(|limits| limits.login_failures = 2).await;
    ann(&kit).await;
    for _ in 0..2 {
        let refused = kit
            .store
            .authenticate("ann", &"wrong password".into(), FROM)
            .await;
        assert!(matches!(refused, Err(AuthError::Rejected)));
    }
    let refused = kit
        .store
        .authenticate("ann", &PASSWORD.into(), FROM)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, AuthError::TooMany { retry_after } if retry_after.as_secs() == 1),
        "{refused}"
    );
    let elsewhere = IpAddr::from([192, 0, 2, 9]);
    kit.store
        .authenticate("ann", &PASSWORD.into(), elsewhere)
        .await
        .unwrap();
    kit.advance(Duration::from_secs(2));
    kit.store
        .authenticate("ann", &PASSWORD.into(), FROM)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_disabled_or_ended_principal_is_out_at_once() {
    let kit = Kit::new().await;
    ann(&kit).await;
    kit.store
        .authenticate("ann", &PASSWORD.into(), FROM)
        .await
        .unwrap();
    kit.store
        .set_disabled(&Kit::operator(), &"ann".parse().unwrap(), true)
        .await
        .unwrap();
    let refused = kit.store.authenticate("ann", &PASSWORD.into(), FROM).await;
    assert!(matches!(refused, Err(AuthError::Rejected)));

    let end = kit.store.now().plus(Duration::from_secs(10));
    let robot = NewRobot {
        name: "bot".parse().unwrap(),
        not_after: Some(end),
        secret_not_after: None,
    };
    let issued = kit.store.create_robot(&Kit::operator(), robot).await.unwrap();
    kit.store.authenticate("bot", &issued.secret, FROM).await.unwrap();
    kit.advance(Duration::from_secs(11));
    assert!(kit.store.authenticate("bot", &issued.secret, FROM).await.is_err());
}

#[tokio::test]
async fn tokens_stand_for_callers_while_their_secret_is_good() {
    let mut kit = Kit::new().await;
    let bot = kit.robot("bot", &[Role::Pull], "x").await;
    let now = kit.store.now().seconds();
    let principal = bot.principal().unwrap();
    let claims = Claims {
        id: [1; 16],
        audience: access::token::Audience::Registry,
        subject: Some(access::token::TokenSubject {
            name: principal.name.clone(),
            principal: principal.id,
            secret: bot.secret().unwrap(),
        }),
        scopes: Vec::new(),
        issued_at: now,
        expires_at: now + 300,
    };
    let token = kit.store.signer().issue(&claims).unwrap();
    kit.restart().await;
    let read = kit
        .store
        .signer()
        .verify(&token, access::token::Audience::Registry, now)
        .unwrap();
    let before = kit.store.metrics().database_calls;
    assert_eq!(kit.store.caller_of(&read).await.unwrap().principal_name(), "bot");
    assert_eq!(kit.store.metrics().database_calls, before);
    kit.store
        .revoke_robot_secret(&Kit::operator(), &"bot".parse().unwrap(), bot.secret().unwrap())
        .await
        .unwrap();
    assert!(matches!(
        kit.store.caller_of(&read).await,
        Err(AuthError::Rejected)
    ));
}

#[tokio::test]
async fn credentials_in_memory_are_bounded() {
    let kit = Kit::with(|limits| limits.credential_cache_entries = 3).await;
    for number in 0..10 {
        let robot = NewRobot {
            name: format!("bot{number}").parse().unwrap(),
            not_after: None,
            secret_not_after: None,
        };
        let name = robot.name.clone();
        let issued = kit.store.create_robot(&Kit::operator(), robot).await.unwrap();
        kit.store
            .authenticate(name.as_str(), &issued.secret, FROM)
            .await
            .unwrap();
    }
    let verified = &kit.store.inner.authenticator.verified;
    verified.run_pending_tasks().await;
    assert!(verified.entry_count() <= 3);
}
