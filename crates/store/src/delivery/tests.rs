//! Deliveries: written with the cursor or not at all, in order, within bounds, and never told twice without being asked.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::testing::Kit;
use crate::{EventKind, SecretChange};

const ROOM: u64 = 3;

async fn kit() -> Kit {
    let kit = Kit::new().await;
    for name in ["hook", "chat"] {
        let spec =
            json!({ "name": name, "kind": "webhook", "target": "https://hooks.example", "events": ["*"] });
        let spec = serde_json::from_value(spec).unwrap();
        kit.store
            .set_sink(&Kit::operator(), &spec, SecretChange::Keep)
            .await
            .unwrap();
    }
    kit
}

fn about(kit: &Kit, subject: &str) -> NewDelivery {
    NewDelivery {
        sink: "hook".into(),
        kind: "tag.set".into(),
        subject: subject.into(),
        body: json!({ "about": subject }),
        not_before: kit.store.now(),
        message: None,
    }
}

fn message(kit: &Kit, owner: &str, fingerprint: &str) -> NewDelivery {
    let told = ToldState {
        fingerprint: fingerprint.into(),
        body: "{}".into(),
    };
    NewDelivery {
        message: Some(MessageOf {
            incident: "log4shell".into(),
            owner: owner.into(),
            told,
        }),
        ..about(kit, fingerprint)
    }
}

async fn tell(kit: &Kit, deliveries: Vec<NewDelivery>) {
    let telling = Telling {
        deliveries,
        ..Telling::default()
    };
    assert!(kit.store.tell(telling, ROOM).await.unwrap());
}

async fn pending(kit: &Kit) -> Vec<String> {
    let page = kit
        .store
        .deliveries(Some("hook"), Some(DeliveryState::Pending), None, 100)
        .await;
    let mut subjects: Vec<String> = page.unwrap().items.into_iter().map(|one| one.subject).collect();
    subjects.reverse();
    subjects
}

#[tokio::test]
async fn the_cursor_moves_with_what_is_told_or_neither_does() {
    let mut kit = kit().await;
    let telling = |from, to, kit: &Kit| Telling {
        followed: Some((from, to)),
        deliveries: vec![about(kit, "a")],
        unsaid: vec![],
    };
    assert!(kit.store.tell(telling(0, 5, &kit), ROOM).await.unwrap());
    kit.restart().await;
    assert_eq!(kit.store.telling_cursor().await.unwrap(), 5);
    assert_eq!(pending(&kit).await, ["a"]);
    // Whoever thinks that nobody has been there writes nothing.
    assert!(!kit.store.tell(telling(0, 9, &kit), ROOM).await.unwrap());
    assert_eq!(
        (
            kit.store.telling_cursor().await.unwrap(),
            pending(&kit).await.len()
        ),
        (5, 1)
    );
}

#[tokio::test]
async fn a_sink_that_is_full_is_told_no_more_and_that_is_counted() {
    let kit = kit().await;
    let all = ["a", "b", "c", "d", "e"]
        .map(|subject| about(&kit, subject))
        .to_vec();
    tell(&kit, all).await;
    assert_eq!(pending(&kit).await, ["a", "b", "c"]);
    let mut other = about(&kit, "f");
    other.sink = "chat".into();
    let mut gone = about(&kit, "g");
    gone.sink = "ghost".into();
    tell(&kit, vec![other, gone]).await;
    let counts = kit.store.delivery_counts(None).await.unwrap();
    assert_eq!((counts.pending, counts.dropped), (4, 2));
    let counts = kit.store.delivery_counts(Some("chat")).await.unwrap();
    assert_eq!((counts.pending, counts.dropped), (1, 0));
}

#[tokio::test]
async fn what_says_more_takes_the_place_of_what_is_still_to_be_said() {
    let kit = kit().await;
    tell(
        &kit,
        vec![message(&kit, "group:a", "one"), message(&kit, "group:b", "two")],
    )
    .await;
    tell(&kit, vec![message(&kit, "group:a", "three")]).await;
    assert_eq!(pending(&kit).await, ["two", "three"]);
    // Also where there is no room.
    tell(&kit, vec![about(&kit, "x"), message(&kit, "group:a", "four")]).await;
    assert_eq!(pending(&kit).await, ["two", "x", "four"]);
    let told = kit.store.told("log4shell").await.unwrap();
    let of = |owner: &str| told[&("hook".to_owned(), owner.to_owned())].fingerprint.clone();
    assert_eq!((of("group:a"), of("group:b")), ("four".into(), "two".into()));
    // What finds no room was not said: it is tried again.
    tell(&kit, vec![message(&kit, "group:c", "five")]).await;
    let told = kit.store.told("log4shell").await.unwrap();
    assert!(!told.contains_key(&("hook".to_owned(), "group:c".to_owned())));
}

#[tokio::test]
async fn deliveries_go_in_order_and_behind_one_that_fails_all_wait() {
    let kit = kit().await;
    tell(&kit, vec![about(&kit, "a"), about(&kit, "b")]).await;
    let store = &kit.store;
    let first = store.next_delivery("hook").await.unwrap().unwrap();
    assert_eq!((first.subject.as_str(), first.attempts), ("a", 0));
    let minute = Duration::from_mins(1);
    let failed = Attempt::Failed {
        status: Some(500),
        error: "answers 500".into(),
        next_at: store.now().plus(minute),
    };
    store
        .note_attempt(std::slice::from_ref(&first), failed)
        .await
        .unwrap();
    let again = store.next_delivery("hook").await.unwrap().unwrap();
    assert_eq!((again.id, again.uid, again.attempts), (first.id, first.uid, 1));
    assert_eq!(
        (again.status, again.next_at),
        (Some(500), store.now().plus(minute))
    );
    let dead = Attempt::Dead {
        status: Some(500),
        error: "answers 500".into(),
    };
    store
        .note_attempt(std::slice::from_ref(&again), dead.clone())
        .await
        .unwrap();
    assert_eq!(store.next_delivery("hook").await.unwrap().unwrap().subject, "b");
    // Only once, whoever says it how often.
    store.note_attempt(&[again], dead).await.unwrap();
    let lines = store.log_lines(0, 100).await.unwrap();
    let dead: Vec<_> = lines.iter().filter(|line| line.kind == "delivery.dead").collect();
    assert_eq!((dead.len(), dead[0].subject.as_str()), (1, "hook"));
    assert_eq!(dead[0].body["attempts"], 2);
    assert_eq!(
        EventKind::from_name("delivery.dead"),
        Some(EventKind::DeliveryDead)
    );
    // By word of a person, again.
    assert_eq!(store.retry_failed(&Kit::operator(), "hook").await.unwrap(), 1);
    let lines = store.log_lines(0, 100).await.unwrap();
    let retried = lines.iter().find(|line| line.kind == "delivery.retry").unwrap();
    assert_eq!(
        (retried.subject.as_str(), &retried.body["deliveries"]),
        ("hook", &json!(1))
    );
    let again = store.next_delivery("hook").await.unwrap().unwrap();
    assert_eq!((again.id, again.uid, again.attempts), (first.id, first.uid, 0));
    assert!(store.retry_delivery(&Kit::operator(), 999).await.is_err());
}

#[tokio::test]
async fn what_is_held_waits_for_its_time_and_for_nobody_else() {
    let kit = kit().await;
    let hour = Duration::from_hours(1);
    let held = |owner: &str, fingerprint: &str| NewDelivery {
        not_before: kit.store.now().plus(hour),
        ..message(&kit, owner, fingerprint)
    };
    let mut second = held("group:a", "two");
    second.message.as_mut().unwrap().incident = "other".into();
    tell(&kit, vec![held("group:a", "one"), second, about(&kit, "now")]).await;
    let store = &kit.store;
    assert_eq!(store.next_delivery("hook").await.unwrap().unwrap().subject, "now");
    kit.advance(hour);
    let first = store.next_delivery("hook").await.unwrap().unwrap();
    assert_eq!((first.subject.as_str(), first.is_held), ("one", true));
    let digest = store.digest_of(&first).await.unwrap();
    let subjects: Vec<&str> = digest.iter().map(|one| one.subject.as_str()).collect();
    assert_eq!(subjects, ["one", "two"]);
    let sent = Attempt::Sent {
        status: None,
        note: None,
    };
    store.note_attempt(&digest, sent).await.unwrap();
    assert_eq!(pending(&kit).await, ["now"]);
}

#[tokio::test]
async fn a_digest_has_a_bound() {
    let kit = kit().await;
    let minute = Duration::from_mins(1);
    let held = |number: usize| {
        let mut one = message(&kit, "group:a", &format!("m{number}"));
        one.not_before = kit.store.now().plus(minute);
        one.message.as_mut().unwrap().incident = format!("i{number}");
        one
    };
    let telling = Telling {
        deliveries: (0..=MAX_DIGEST).map(held).collect(),
        ..Telling::default()
    };
    kit.store.tell(telling, 1_000).await.unwrap();
    kit.advance(minute);
    let first = kit.store.next_delivery("hook").await.unwrap().unwrap();
    assert_eq!(kit.store.digest_of(&first).await.unwrap().len(), MAX_DIGEST);
}

#[tokio::test]
async fn what_is_over_is_forgotten_by_age_and_number() {
    let kit = kit().await;
    let store = &kit.store;
    let sent = Attempt::Sent {
        status: Some(200),
        note: None,
    };
    for subject in ["a", "b", "c"] {
        tell(&kit, vec![about(&kit, subject)]).await;
        let one = store.next_delivery("hook").await.unwrap().unwrap();
        store.note_attempt(&[one], sent.clone()).await.unwrap();
        kit.advance(Duration::from_mins(1));
    }
    tell(&kit, vec![about(&kit, "d")]).await;
    let left = async || {
        let page = store.deliveries(None, None, None, 100).await.unwrap();
        page.items.into_iter().map(|one| one.subject).collect::<Vec<_>>()
    };
    store.forget_deliveries(Duration::from_hours(1), 2).await.unwrap();
    assert_eq!(left().await, ["d", "c", "b"]);
    store.forget_deliveries(Duration::from_secs(90), 2).await.unwrap();
    assert_eq!(left().await, ["d", "c"]);
    store.forget_deliveries(Duration::ZERO, 0).await.unwrap();
    assert_eq!(left().await, ["d"]);
}

#[tokio::test]
async fn a_ticket_is_found_again_and_goes_with_its_sink() {
    let kit = kit().await;
    let ticket = StoredTicket {
        key: "roadbed-1".into(),
        incident: "log4shell".into(),
        application: "shop".into(),
        external: "SEC-1".into(),
        said: "x".into(),
        is_done: false,
    };
    kit.store.note_ticket("hook", ticket.clone()).await.unwrap();
    let done = StoredTicket {
        is_done: true,
        ..ticket
    };
    kit.store.note_ticket("hook", done.clone()).await.unwrap();
    assert_eq!(
        kit.store.ticket("hook", "roadbed-1").await.unwrap(),
        Some(done.clone())
    );
    assert_eq!(kit.store.ticket("chat", "roadbed-1").await.unwrap(), None);
    tell(&kit, vec![message(&kit, "group:a", "one")]).await;
    kit.store.remove_sink(&Kit::operator(), "hook").await.unwrap();
    assert_eq!(kit.store.ticket("hook", "roadbed-1").await.unwrap(), None);
    assert!(kit.store.told("log4shell").await.unwrap().is_empty());
    // A try that is under way leaves nothing of a sink that has gone.
    kit.store.note_ticket("hook", done).await.unwrap();
    assert_eq!(kit.store.ticket("hook", "roadbed-1").await.unwrap(), None);
}

/// Whoever has mended a sink need not wait for the pause of what failed last, and nobody is disturbed in quiet hours by it.
#[tokio::test]
async fn what_failed_and_is_still_pending_is_tried_again_by_word_and_what_is_held_is_not() {
    let kit = kit().await;
    let hour = Duration::from_hours(1);
    let held = NewDelivery {
        not_before: kit.store.now().plus(hour),
        ..message(&kit, "group:a", "held")
    };
    tell(&kit, vec![about(&kit, "failed"), about(&kit, "new"), held]).await;
    let store = &kit.store;
    let first = store.next_delivery("hook").await.unwrap().unwrap();
    let failed = Attempt::Failed {
        status: Some(500),
        error: "answers 500".into(),
        next_at: store.now().plus(hour),
    };
    store.note_attempt(&[first], failed).await.unwrap();
    assert_eq!(store.retry_failed(&Kit::operator(), "hook").await.unwrap(), 1);
    let first = store.next_delivery("hook").await.unwrap().unwrap();
    assert_eq!(
        (first.subject.as_str(), first.attempts, first.next_at),
        ("failed", 0, store.now())
    );
    let all = store.deliveries(Some("hook"), None, None, 10).await.unwrap();
    let held = all
        .items
        .iter()
        .find(|delivery| delivery.subject == "held")
        .unwrap();
    assert!(held.is_held && held.next_at == store.now().plus(hour));
}

/// Opens an incident about nothing, which is over at once.
async fn settle(kit: &Kit, id: &str) {
    let now = kit.store.now();
    let opened = json!({
        "at": "2026-01-01T00:00:00Z", "actor": "sec", "event": "opened", "id": id, "title": "x", "vulnerabilities": [],
        "deadlines": { "critical": 1, "high": 1, "medium": 1, "low": 1 },
        "coverage": { "images": 0, "not_scannable": 0, "without_owner": 0, "either": 0 },
    });
    let opening = crate::IncidentAppend {
        id: id.parse().unwrap(),
        after: 0,
        events: vec![serde_json::from_value(opened).unwrap()],
        settled_at: Some(now),
    };
    kit.store.open_incident(&Kit::operator(), opening).await.unwrap();
}

#[tokio::test]
async fn what_was_said_is_kept_within_a_bound_and_not_for_ever() {
    let kit = kit().await;
    for n in 0..5 {
        kit.advance(Duration::from_secs(1));
        let note = message(&kit, &format!("group:{n}"), "x").message.unwrap();
        let telling = Telling {
            unsaid: vec![("hook".to_owned(), note)],
            ..Telling::default()
        };
        assert!(kit.store.tell(telling, ROOM).await.unwrap());
        let ticket = StoredTicket {
            key: format!("key-{n}"),
            incident: "log4shell".into(),
            application: "shop".into(),
            external: "SEC-1".into(),
            said: "x".into(),
            is_done: false,
        };
        kit.store.note_ticket("hook", ticket).await.unwrap();
    }
    kit.store.forget_told(5).await.unwrap();
    assert_eq!(kit.store.told("log4shell").await.unwrap().len(), 5);
    // Those that changed last stay.
    kit.store.forget_told(2).await.unwrap();
    let told = kit.store.told("log4shell").await.unwrap();
    let mut owners: Vec<&str> = told.keys().map(|(_, owner)| owner.as_str()).collect();
    owners.sort_unstable();
    assert_eq!(owners, ["group:3", "group:4"]);
    assert!(kit.store.ticket("hook", "key-0").await.unwrap().is_none());
    assert!(kit.store.ticket("hook", "key-4").await.unwrap().is_some());
    // And nothing once the incident has been over for long.
    settle(&kit, "log4shell").await;
    kit.store.forget_told(MAX_TOLD).await.unwrap();
    assert_eq!(kit.store.told("log4shell").await.unwrap().len(), 2);
    kit.advance(TOLD_KEPT + Duration::from_hours(1));
    kit.store.forget_told(MAX_TOLD).await.unwrap();
    assert!(kit.store.told("log4shell").await.unwrap().is_empty());
    assert!(kit.store.ticket("hook", "key-4").await.unwrap().is_none());
}
