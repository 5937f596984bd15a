//! Incidents: kept in order, once each, and never changed.

use road::incident::{Coverage, Deadlines, Incident, Opening, Sighting, Vulnerability};
use serde_json::json;

use super::*;
use crate::EventFilter;
use crate::testing::Kit;

const CVE: &str = "CVE-2021-44228";

fn sighting(tag: &str, is_affected: bool) -> Sighting {
    let affected_by = if is_affected { vec![CVE] } else { vec![] };
    let sighting = json!({
        "line": { "repository": "team/app", "reference": tag },
        "digest": format!("sha256:{}", "0".repeat(64)), "affected_by": affected_by, "cohort": "own-road", "owner": null,
    });
    serde_json::from_value(sighting).unwrap()
}

fn opened(id: &str, lines: usize, now: Timestamp) -> (Incident, IncidentAppend) {
    let opening = Opening {
        id: id.parse().unwrap(),
        title: "Log4Shell".to_owned(),
        vulnerabilities: vec![Vulnerability {
            id: CVE.parse().unwrap(),
            severity: findings::Severity::Critical,
            by_source: std::collections::BTreeMap::new(),
            fixed_in: vec!["2.15.0".to_owned()],
            advisories: Vec::new(),
        }],
        deadlines: Deadlines::default(),
        coverage: Coverage::default(),
        affected: (0..lines).map(|n| sighting(&format!("v{n}"), true)).collect(),
        targets: Vec::new(),
    };
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now.micros()) * 1_000).unwrap();
    let (incident, events) = Incident::open(opening, "test", at).unwrap();
    let id = incident.id().clone();
    let append = IncidentAppend {
        id,
        after: 0,
        events,
        settled_at: None,
    };
    (incident, append)
}

#[tokio::test]
async fn events_give_the_same_incident_after_a_restart() {
    let mut kit = Kit::new().await;
    let (mut incident, append) = opened("log4shell", 1_200, kit.store.now());
    let id = append.id.clone();
    let count = append.events.len() as u64;
    assert_eq!(count, 4);
    kit.store.open_incident(&Kit::operator(), append).await.unwrap();
    let fixed = vec![sighting("v7", false)];
    let at = incident.opened_at() + time::Duration::HOUR;
    let news = IncidentAppend {
        id: id.clone(),
        after: count,
        events: incident.see(fixed, "test", at).unwrap(),
        settled_at: None,
    };
    assert!(
        kit.store
            .append_incident(&Kit::operator(), news.clone())
            .await
            .unwrap()
    );
    // Whoever did not know of that is refused.
    assert!(!kit.store.append_incident(&Kit::operator(), news).await.unwrap());
    kit.restart().await;
    let events = kit.store.incident_events(&id, 0, 100).await.unwrap();
    assert_eq!(Incident::replay(&events).unwrap(), incident);
    let stored = kit.store.incident(&id).await.unwrap().unwrap();
    assert_eq!((stored.events, stored.settled_at), (count + 1, None));
    assert_eq!(kit.store.incident_events(&id, 4, 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_id_is_one_incident() {
    let kit = Kit::new().await;
    let (_, append) = opened("log4shell", 1, kit.store.now());
    let operator = Kit::operator();
    let both = tokio::join!(
        kit.store.open_incident(&operator, append.clone()),
        kit.store.open_incident(&operator, append)
    );
    let refused = both.0.and(both.1).unwrap_err();
    assert_eq!(refused.to_string(), "incident log4shell exists already");
    assert_eq!(kit.store.incidents().await.unwrap().len(), 1);
    assert!(
        kit.store
            .incident(&"other".parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn each_event_is_in_the_audit_log_and_none_can_be_changed() {
    let kit = Kit::new().await;
    let (mut incident, append) = opened("log4shell", 1, kit.store.now());
    let (id, after) = (append.id.clone(), append.events.len() as u64);
    kit.store.open_incident(&Kit::operator(), append).await.unwrap();
    let at = incident.opened_at();
    let mut events = incident.see(vec![sighting("v0", false)], "test", at).unwrap();
    let note = "over".to_owned();
    events.push(incident.record(Happened::Closed { note }, "test", at).unwrap());
    let settled_at = Some(kit.store.now());
    let news = IncidentAppend {
        id,
        after,
        events,
        settled_at,
    };
    kit.store.append_incident(&Kit::operator(), news).await.unwrap();
    let permit = kit.administrator("root2").await;
    let subject = Some("log4shell".to_owned());
    let filter = EventFilter {
        subject,
        ..EventFilter::default()
    };
    let told = kit.store.events(&permit, &filter, None, 100).await.unwrap().items;
    let told: Vec<_> = told
        .iter()
        .map(|event| (event.kind.name(), event.body["event"].clone()))
        .collect();
    let wanted = [
        ("incident.open", "opened"),
        ("incident.change", "seen"),
        ("incident.change", "seen"),
        ("incident.close", "closed"),
    ];
    assert_eq!(told, wanted.map(|(kind, event)| (kind.to_owned(), json!(event))));
    for sql in ["UPDATE incident_event SET seq = 9", "DELETE FROM incident_event"] {
        let changed = kit
            .store
            .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), sql, []).await }));
        let refused: StoreError = changed.await.unwrap_err();
        let StoreError::Database(source) = refused else {
            panic!("{refused}")
        };
        assert!(source.to_string().contains("append-only"), "{source}");
    }
}

#[tokio::test]
async fn one_incident_too_many_is_refused() {
    let kit = Kit::new().await;
    let filled = kit.store.write(move |tx| {
        Box::pin(async move {
            let sql = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < $1) \
                       INSERT INTO incident (name, opened_at, settled_at, events) SELECT 'i' || n, n, n, 1 FROM number";
            sql::execute(tx.sql(), sql, [sql::to_db(MAX_INCIDENTS).into()]).await
        })
    });
    let filled: Result<u64, StoreError> = filled.await;
    assert_eq!(filled.unwrap(), MAX_INCIDENTS);
    let (_, append) = opened("log4shell", 1, kit.store.now());
    let refused = kit
        .store
        .open_incident(&Kit::operator(), append)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().starts_with("there may be 10000 incidents"),
        "{refused}"
    );
    assert_eq!(kit.store.incidents().await.unwrap().len() as u64, MAX_INCIDENTS);
}
