//! Measures: taken, held through a restart, ended, and never against the one who could lift them.

use access::Role;

use super::*;
use crate::testing::Kit;

fn ban(who: &str, kit: &Kit) -> NewTrafficMeasure {
    NewTrafficMeasure {
        target: TrafficTarget::parse(who).unwrap(),
        measure: Measure::Ban,
        until: kit.store.now().plus(Duration::from_mins(10)),
        reason: "floods us".into(),
        own_address: Some(IpAddr::from([192, 0, 2, 1])),
    }
}

fn reason_of(refused: Result<TrafficMeasure, AdminError>) -> String {
    match refused {
        Err(AdminError::Invalid { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_measure_holds_through_a_restart_and_ends_by_itself() {
    let mut kit = Kit::new().await;
    let robot = kit.robot("ci", &[Role::Pull], "**").await;
    let name = robot.principal().unwrap().name.clone();
    let inside = IpAddr::from([198, 51, 100, 7]);
    for who in ["ci", "198.51.100.0/24"] {
        kit.store
            .set_traffic_measure(&Kit::operator(), ban(who, &kit))
            .await
            .unwrap();
    }
    kit.restart().await;
    assert_eq!(kit.store.traffic_measures().len(), 2);
    let held = kit.store.measure_of_principal(&name).unwrap();
    assert_eq!(held.measure, Measure::Ban);
    assert_eq!(kit.store.measures_of_address(inside).len(), 1);
    assert_eq!(kit.store.measures_of_address(IpAddr::from([198, 51, 101, 7])), []);
    kit.advance(Duration::from_mins(11));
    assert_eq!(kit.store.measure_of_principal(&name), None);
    assert_eq!(kit.store.traffic_measures(), []);
    let target = TrafficTarget::parse("ci").unwrap();
    let lifted = kit.store.lift_traffic_measure(&Kit::operator(), &target).await;
    assert!(matches!(lifted, Err(AdminError::NotFound { .. })), "it is over");
}

#[tokio::test]
async fn of_overlapping_measures_each_is_kept_whichever_ends_last() {
    let kit = Kit::new().await;
    let throttle = |who: &str, requests: u64, minutes: u64| NewTrafficMeasure {
        measure: Measure::Throttle {
            requests: Some(requests),
            bytes: None,
        },
        until: kit.store.now().plus(Duration::from_mins(minutes)),
        ..ban(who, &kit)
    };
    let operator = Kit::operator();
    let set = |wanted| kit.store.set_traffic_measure(&operator, wanted);
    let inside = IpAddr::from([198, 51, 100, 7]);
    let rates = || {
        let held = kit.store.measures_of_address(inside);
        held.into_iter().map(|held| held.measure).collect::<Vec<_>>()
    };
    let of = |requests: u64| Measure::Throttle {
        requests: Some(requests),
        bytes: None,
    };
    set(throttle("198.51.100.0/24", 5, 10)).await.unwrap();
    set(throttle("198.51.0.0/16", 500, 60)).await.unwrap();
    set(throttle("198.52.0.0/16", 1, 60)).await.unwrap();
    let mut held = rates();
    held.sort_by_key(|measure| *measure != of(5));
    assert_eq!(held, [of(5), of(500)]);
    set(ban("198.51.100.7", &kit)).await.unwrap();
    assert_eq!(rates(), [Measure::Ban]);
    kit.advance(Duration::from_mins(11));
    assert_eq!(rates(), [of(500)]);
}

#[tokio::test]
async fn a_network_is_the_same_however_it_is_written() {
    let kit = Kit::new().await;
    let operator = Kit::operator();
    let inside = IpAddr::from([198, 51, 100, 7]);
    let mapped = ban("::ffff:198.51.100.9/120", &kit);
    kit.store.set_traffic_measure(&operator, mapped).await.unwrap();
    assert_eq!(kit.store.measures_of_address(inside).len(), 1);
    let again = ban("198.51.100.7/24", &kit);
    kit.store.set_traffic_measure(&operator, again).await.unwrap();
    assert_eq!(
        kit.store.traffic_measures().len(),
        1,
        "it is in place of the other one"
    );
    let wide = kit
        .store
        .set_traffic_measure(&operator, ban("::ffff:0:0/96", &kit))
        .await;
    assert!(reason_of(wide).contains("too wide"));
    let own = kit
        .store
        .set_traffic_measure(&operator, ban("::ffff:192.0.2.0/120", &kit))
        .await;
    assert!(reason_of(own).contains("narrower"));
    // As an earlier version wrote it.
    let sql = "UPDATE traffic_measure SET who = '198.51.100.7/24'";
    let rewritten = kit
        .store
        .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), sql, []).await }));
    rewritten.await.unwrap();
    let target = TrafficTarget::parse("198.51.100.0/24").unwrap();
    kit.store.lift_traffic_measure(&operator, &target).await.unwrap();
    assert_eq!(kit.store.traffic_measures(), []);
}

#[tokio::test]
async fn each_step_is_in_the_audit_log_with_its_reason() {
    let kit = Kit::new().await;
    let throttle = NewTrafficMeasure {
        measure: Measure::Throttle {
            requests: Some(10),
            bytes: None,
        },
        ..ban("192.0.2.0/24", &kit)
    };
    let target = throttle.target.clone();
    kit.store
        .set_traffic_measure(&Kit::operator(), throttle)
        .await
        .unwrap();
    kit.store
        .lift_traffic_measure(&Kit::operator(), &target)
        .await
        .unwrap();
    assert_eq!(kit.store.traffic_measures(), []);
    let permit = kit.administrator("root").await;
    let filter = crate::EventFilter {
        subject: Some("192.0.2.0/24".into()),
        ..crate::EventFilter::default()
    };
    let events = kit.store.events(&permit, &filter, None, 10).await.unwrap().items;
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::TrafficThrottle, EventKind::TrafficLift]);
    assert_eq!(events[0].body["reason"], "floods us");
    assert_eq!(events[0].body["requests_per_second"], 10);
}

#[tokio::test]
async fn nobody_shuts_out_who_could_lift_it() {
    let kit = Kit::new().await;
    kit.administrator("root").await;
    for (who, says) in [
        ("root", "roadbed user demote root"),
        ("192.0.2.0/24", "narrower"),
        ("0.0.0.0/0", "too wide"),
        ("::/0", "too wide"),
    ] {
        let refused = kit
            .store
            .set_traffic_measure(&Kit::operator(), ban(who, &kit))
            .await;
        let reason = reason_of(refused);
        assert!(reason.contains(says), "{who}: {reason}");
    }
    let ghost = kit
        .store
        .set_traffic_measure(&Kit::operator(), ban("ghost", &kit))
        .await;
    assert!(matches!(ghost, Err(AdminError::NotFound { .. })));
    assert!(TrafficTarget::parse("No Such Name").is_err());
}

#[tokio::test]
async fn a_measure_has_an_end_a_reason_and_a_bound() {
    let kit = Kit::new().await;
    let wanted = |who: &str| ban(who, &kit);
    let address = "198.51.100.1";
    let nothing = Measure::Throttle {
        requests: None,
        bytes: Some(0),
    };
    for bad in [
        NewTrafficMeasure {
            until: kit.store.now(),
            ..wanted(address)
        },
        NewTrafficMeasure {
            until: kit.store.now().plus(LONGEST_MEASURE + Duration::from_secs(1)),
            ..wanted(address)
        },
        NewTrafficMeasure {
            reason: " ".into(),
            ..wanted(address)
        },
        NewTrafficMeasure {
            reason: "x".repeat(MEASURE_REASON_BYTES + 1),
            ..wanted(address)
        },
        NewTrafficMeasure {
            measure: nothing,
            ..wanted(address)
        },
    ] {
        reason_of(kit.store.set_traffic_measure(&Kit::operator(), bad).await);
    }
    let rows = (0..MAX_MEASURES).map(|number| {
        format!(
            "('198.18.{}.{}/32', '\"ban\"', 9000000000000000, 'x', 'x', 0)",
            number / 256,
            number % 256
        )
    });
    let sql = format!(
        "INSERT INTO traffic_measure (who, body, until, reason, actor, at) VALUES {}",
        rows.collect::<Vec<_>>().join(", ")
    );
    let full = kit
        .store
        .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), &sql, []).await }))
        .await;
    full.unwrap();
    let one_more = kit
        .store
        .set_traffic_measure(&Kit::operator(), wanted(address))
        .await;
    assert!(
        matches!(one_more, Err(AdminError::TooMany { .. })),
        "{one_more:?}"
    );
}
