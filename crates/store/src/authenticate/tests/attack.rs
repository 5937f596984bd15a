//! What strangers try with logins, and what is left of it.

use super::*;

/// The address of one of many.
fn address(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    IpAddr::from([198, 51, high, low])
}

/// Starts logins that fail, with a name of its own each, and waits until they stand in the queue.
async fn flood(kit: &Kit, count: u16, from: impl Fn(u16) -> IpAddr) -> Vec<tokio::task::JoinHandle<()>> {
    let logins = (0..count)
        .map(|number| {
            let (store, from) = (kit.store.clone(), from(number));
            let guess = async move {
                let _ = store
                    .authenticate(&format!("user{number}"), &"wrong password".into(), from)
                    .await;
            };
            tokio::spawn(guess)
        })
        .collect();
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
    logins
}

async fn login(kit: &Kit, from: IpAddr) -> Result<(), AuthError> {
    kit.store
        .authenticate("ann", &PASSWORD.into(), from)
        .await
        .map(drop)
}

async fn guess(kit: &Kit, name: &str, from: IpAddr) -> Result<(), AuthError> {
    kit.store
        .authenticate(name, &"wrong password".into(), from)
        .await
        .map(drop)
}

/// A secret that has the form of a robot's and is nobody's.
fn outdated() -> SecretString {
    RobotSecret::generate([7; 32]).expose().into()
}

#[tokio::test]
async fn one_address_does_not_take_the_whole_queue() {
    let kit = Kit::with(|limits| (limits.password_workers, limits.password_queue) = (1, 16)).await;
    ann(&kit).await;
    let logins = flood(&kit, 40, |_| address(1)).await;
    login(&kit, FROM).await.unwrap();
    for login in logins {
        login.await.unwrap();
    }
}

#[tokio::test]
async fn many_addresses_leave_places_for_whoever_signed_in_lately() {
    let kit = Kit::with(|limits| (limits.password_workers, limits.password_queue) = (1, 8)).await;
    ann(&kit).await;
    login(&kit, FROM).await.unwrap();
    kit.advance(Duration::from_secs(61));
    let logins = flood(&kit, 40, address).await;
    login(&kit, FROM).await.unwrap();
    for login in logins {
        login.await.unwrap();
    }
}

#[tokio::test]
async fn an_outdated_robot_secret_does_not_lock_out_the_good_one() {
    let kit = Kit::new().await;
    let robot = NewRobot {
        name: "bot".parse().unwrap(),
        not_after: None,
        secret_not_after: None,
    };
    let issued = kit.store.create_robot(&Kit::operator(), robot).await.unwrap();
    for _ in 0..20 {
        let refused = kit.store.authenticate("bot", &outdated(), FROM).await;
        assert!(matches!(refused, Err(AuthError::Rejected)));
    }
    kit.store.authenticate("bot", &issued.secret, FROM).await.unwrap();
}

#[tokio::test]
async fn guesses_do_not_lock_out_whoever_signed_in_lately_from_the_same_address() {
    let kit = Kit::with(|limits| limits.login_failures = 1).await;
    ann(&kit).await;
    login(&kit, FROM).await.unwrap();
    kit.advance(Duration::from_secs(61));
    for _ in 0..8 {
        kit.advance(Duration::from_secs(3));
        let refused = guess(&kit, "ann", FROM).await;
        assert!(matches!(refused, Err(AuthError::Rejected)), "{refused:?}");
    }
    let waiting = login(&kit, FROM).await;
    assert!(matches!(waiting, Err(AuthError::TooMany { .. })), "{waiting:?}");
    kit.advance(Duration::from_secs(3));
    login(&kit, FROM).await.unwrap();
}

/// Else the memory of good credentials would answer guesses without end for whoever has to wait.
#[tokio::test]
async fn who_has_to_wait_hears_nothing_about_a_remembered_credential() {
    let kit = Kit::with(|limits| limits.login_failures = 1).await;
    ann(&kit).await;
    guess(&kit, "ann", FROM).await.unwrap_err();
    login(&kit, address(1)).await.unwrap();
    let waiting = login(&kit, FROM).await;
    assert!(matches!(waiting, Err(AuthError::TooMany { .. })), "{waiting:?}");
}

#[tokio::test]
async fn guesses_at_the_same_time_are_as_few_as_one_after_the_other() {
    let kit = Kit::with(|limits| limits.password_queue = 1_000).await;
    ann(&kit).await;
    let before = hashes(&kit);
    let guesses = (0..30).map(|number| {
        let (store, secret) = (
            kit.store.clone(),
            SecretString::from(format!("wrong password {number}")),
        );
        tokio::spawn(async move { store.authenticate("ann", &secret, FROM).await.map(drop) })
    });
    let guesses: Vec<_> = guesses.collect();
    let mut rejected = 0;
    for guess in guesses {
        match guess.await.unwrap() {
            Err(AuthError::Rejected) => rejected += 1,
            other => assert!(matches!(other, Err(AuthError::TooMany { .. })), "{other:?}"),
        }
    }
    assert_eq!((rejected, hashes(&kit) - before), (5, 5));
}

async fn events(kit: &Kit, kind: EventKind) -> Vec<crate::Event> {
    let root = kit.administrator("root").await;
    let filter = EventFilter {
        kind: Some(kind),
        ..EventFilter::default()
    };
    kit.store.events(&root, &filter, None, 1_000).await.unwrap().items
}

fn times(events: &[crate::Event]) -> u64 {
    let times = |event: &crate::Event| event.body["times"].as_u64().unwrap();
    events.iter().map(times).sum()
}

#[tokio::test]
async fn failures_do_not_hide_a_success_from_the_audit_log() {
    let kit = Kit::new().await;
    ann(&kit).await;
    kit.all("bot").await;
    for number in 0..200 {
        let refused = kit.store.authenticate("bot", &outdated(), address(number)).await;
        assert!(refused.is_err());
    }
    login(&kit, FROM).await.unwrap();
    kit.store.flush_logins().await.unwrap();
    let listed = events(&kit, EventKind::Login).await;
    assert!(
        listed
            .iter()
            .any(|event| event.actor == "ann" && event.body["from"] == FROM.to_string()),
        "{listed:?}"
    );
}

/// A stolen credential is used while its owner's login is still remembered.
#[tokio::test]
async fn a_success_from_another_address_is_listed_though_the_credential_is_remembered() {
    let kit = Kit::new().await;
    ann(&kit).await;
    for _ in 0..3 {
        login(&kit, FROM).await.unwrap();
        login(&kit, address(1)).await.unwrap();
    }
    kit.store.flush_logins().await.unwrap();
    let listed = events(&kit, EventKind::Login).await;
    let mut addresses: Vec<_> = listed.iter().map(|event| event.body["from"].clone()).collect();
    addresses.sort_by_key(ToString::to_string);
    assert_eq!(addresses, [FROM.to_string(), address(1).to_string()]);
}

#[tokio::test]
async fn a_principal_with_many_addresses_does_not_hide_another() {
    let kit = Kit::new().await;
    ann(&kit).await;
    let robot = NewRobot {
        name: "bot".parse().unwrap(),
        not_after: None,
        secret_not_after: None,
    };
    let issued = kit.store.create_robot(&Kit::operator(), robot).await.unwrap();
    for number in 0..300 {
        kit.store
            .authenticate("bot", &issued.secret, address(number))
            .await
            .unwrap();
    }
    login(&kit, FROM).await.unwrap();
    kit.store.flush_logins().await.unwrap();
    let listed = events(&kit, EventKind::Login).await;
    let (bot, ann): (Vec<_>, Vec<_>) = listed.into_iter().partition(|event| event.actor == "bot");
    assert_eq!((bot.len(), times(&bot)), (log::ADDRESSES_LISTED + 1, 300));
    assert_eq!(ann.len(), 1);
}

#[tokio::test]
async fn names_that_do_not_exist_are_one_line_per_address() {
    let kit = Kit::new().await;
    for number in 0..200 {
        let user = format!("user{number}");
        assert!(
            kit.store
                .authenticate(&user, &outdated(), address(number % 2))
                .await
                .is_err()
        );
    }
    kit.store.flush_logins().await.unwrap();
    let listed = events(&kit, EventKind::LoginFailed).await;
    assert_eq!((listed.len(), times(&listed)), (2, 200));
    assert!(
        listed
            .iter()
            .all(|event| event.actor == "anonymous" && event.subject == "anonymous")
    );
}

#[tokio::test]
async fn knocking_for_hours_does_not_fill_the_audit_log() {
    let kit = Kit::new().await;
    kit.all("bot").await;
    for round in 0..20 {
        for number in 0..60 {
            for name in ["bot", "nobody"] {
                let from = address(round * 60 + number);
                assert!(kit.store.authenticate(name, &outdated(), from).await.is_err());
            }
        }
        kit.advance(Duration::from_secs(10));
        kit.store.flush_logins().await.unwrap();
    }
    let listed = events(&kit, EventKind::LoginFailed).await;
    let others = listed.iter().filter(|event| event.subject == "others").count();
    assert_eq!(listed.len() - others, 2 * log::FAILURES_PER_HOUR);
    assert_eq!(others, 1);
    // What is not listed is not forgotten.
    kit.advance(Duration::from_hours(1));
    kit.store.flush_logins().await.unwrap();
    let filter = EventFilter {
        kind: Some(EventKind::LoginFailed),
        subject: Some("others".to_owned()),
        ..EventFilter::default()
    };
    let root = kit.administrator("root2").await;
    let others = kit.store.events(&root, &filter, None, 1_000).await.unwrap().items;
    assert_eq!(times(&listed) + times(&others[1..]), 20 * 60 * 2);
}
