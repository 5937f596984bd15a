use super::*;
use crate::EventFilter;
use crate::testing::Kit;

const HOUR: Duration = Duration::from_hours(1);

async fn kinds(kit: &Kit) -> Vec<EventKind> {
    let root = kit.administrator("root").await;
    let page = kit.store.events(&root, &EventFilter::default(), None, 100).await;
    let events = page.unwrap().items;
    let wanted = [EventKind::MaintenanceBegin, EventKind::MaintenanceEnd];
    let kinds = events.into_iter().map(|event| event.kind);
    kinds.filter(|kind| wanted.contains(kind)).collect()
}

#[tokio::test]
async fn it_survives_a_restart_and_ends_on_a_word() {
    let mut kit = Kit::new().await;
    let operator = Kit::operator();
    assert_eq!(kit.store.maintenance(), None);
    let begun = kit
        .store
        .begin_maintenance(&operator, " disk is moved ", None)
        .await
        .unwrap();
    assert_eq!(begun.reason, "disk is moved");
    kit.restart().await;
    assert_eq!(kit.store.maintenance(), Some(begun));
    assert!(kit.store.end_maintenance(&operator).await.unwrap());
    assert!(!kit.store.end_maintenance(&operator).await.unwrap(), "no news");
    kit.restart().await;
    assert_eq!(kit.store.maintenance(), None);
    let told = [EventKind::MaintenanceBegin, EventKind::MaintenanceEnd];
    assert_eq!(kinds(&kit).await, told);
}

#[tokio::test]
async fn it_ends_by_itself_and_that_is_noted_once() {
    let kit = Kit::new().await;
    let until = kit.store.now().plus(HOUR);
    kit.store
        .begin_maintenance(&Kit::operator(), "short", Some(until))
        .await
        .unwrap();
    kit.store.end_maintenance_in_time().await;
    assert!(kit.store.maintenance().is_some());
    kit.advance(HOUR);
    assert_eq!(kit.store.maintenance(), None);
    kit.store.end_maintenance_in_time().await;
    kit.store.end_maintenance_in_time().await;
    let told = [EventKind::MaintenanceBegin, EventKind::MaintenanceEnd];
    assert_eq!(kinds(&kit).await, told);
}

#[tokio::test]
async fn nobody_is_left_to_guess_why_and_how_long() {
    let kit = Kit::new().await;
    let long = "x".repeat(MAINTENANCE_REASON_BYTES + 1);
    for reason in ["", "  ", "two\nlines", &long] {
        let refused = kit.store.begin_maintenance(&Kit::operator(), reason, None).await;
        assert!(
            matches!(refused, Err(MaintenanceError::Reason { .. })),
            "{refused:?}"
        );
    }
    let now = kit.store.now();
    for until in [now, now.minus(HOUR), now.plus(LONGEST_MAINTENANCE + HOUR)] {
        let refused = kit
            .store
            .begin_maintenance(&Kit::operator(), "why", Some(until))
            .await;
        assert!(matches!(refused, Err(MaintenanceError::End)), "{refused:?}");
    }
    assert_eq!(kit.store.maintenance(), None);
}

#[tokio::test]
async fn collection_waits_and_goes_on() {
    let kit = Kit::new().await;
    let operator = Kit::operator();
    kit.store.begin_maintenance(&operator, "why", None).await.unwrap();
    assert!(kit.store.gc_step(10).await.unwrap().paused);
    let stopped_by = kit.store.rebases_stopped_by().await.unwrap();
    assert!(stopped_by.is_some_and(|by| by.contains("maintenance")));
    kit.store.end_maintenance(&operator).await.unwrap();
    assert!(!kit.store.gc_step(10).await.unwrap().paused);
    assert_eq!(kit.store.rebases_stopped_by().await.unwrap(), None);
}

#[test]
fn whoever_is_refused_is_told_when_to_come_again() {
    let now = Timestamp(1_000_000_000);
    let until = |until| Maintenance {
        reason: "why".to_owned(),
        by: "ann".to_owned(),
        since: now,
        until,
    };
    for (end, seconds) in [
        (None, 60),
        (Some(now.plus(Duration::from_mins(5))), 300),
        (Some(now.plus(10 * HOUR)), 3_600),
        (Some(now), 1),
    ] {
        assert_eq!(until(end).retry_after(now).as_secs(), seconds, "{end:?}");
    }
}
