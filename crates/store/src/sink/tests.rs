//! Sinks: set, replaced, removed; their secrets are kept, changed for others, and never told.

use super::*;
use crate::testing::Kit;

fn sink(name: &str) -> SinkSpec {
    let body = serde_json::json!({
        "name": name, "kind": "webhook", "target": "https://hooks.example/T0/secret-path?key=1", "events": ["*"],
    });
    serde_json::from_value(body).unwrap()
}

fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

/// The present secret, and the one before while it counts.
async fn present(kit: &Kit) -> Vec<String> {
    let secrets = kit.store.sink_secrets("hook").await.unwrap();
    let all = secrets.present.into_iter().chain(secrets.old);
    all.map(|secret| secret.expose().to_owned()).collect()
}

#[tokio::test]
async fn a_sink_is_set_replaced_and_removed() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    let hook = sink("hook");
    let keep = SecretChange::Keep;
    assert_eq!(
        store.set_sink(&operator, &hook, keep.clone()).await.unwrap(),
        None
    );
    let stored = store.sink("hook").await.unwrap().unwrap();
    assert_eq!(
        (&stored.spec, stored.has_secret, stored.dropped),
        (&hook, false, 0)
    );
    // The same again is no change.
    let mark = store.fleet_mark().await.unwrap();
    store.set_sink(&operator, &hook, keep.clone()).await.unwrap();
    assert_eq!(store.fleet_mark().await.unwrap(), mark);
    let mut off = hook.clone();
    off.enabled = false;
    let was = store
        .set_sink(&operator, &off, keep.clone())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((was.spec, was.since), (hook, stored.since));
    let mut bad = off.clone();
    bad.target = "hooks.example".into();
    let refused = store.set_sink(&operator, &bad, keep).await;
    assert!(matches!(refused, Err(AdminError::Invalid { .. })));
    store.remove_sink(&operator, "hook").await.unwrap();
    assert!(store.sinks().await.unwrap().is_empty());
    let again = store.remove_sink(&operator, "hook").await;
    assert!(matches!(again, Err(AdminError::NotFound { kind: "sink", .. })));
    // What the log says of it has neither path nor query.
    let lines = store.log_lines(0, 100).await.unwrap();
    let of_sinks: Vec<_> = lines
        .iter()
        .filter(|line| line.kind.starts_with("sink."))
        .collect();
    assert_eq!(of_sinks.len(), 3);
    for line in of_sinks {
        assert_eq!(line.body["target"], "https://hooks.example");
        assert!(!line.body.to_string().contains("secret-path"));
    }
}

#[tokio::test]
async fn a_secret_changes_hands_for_a_while() {
    let kit = Kit::new().await;
    let (store, operator, hook) = (&kit.store, Kit::operator(), sink("hook"));
    let set = async |change| store.set_sink(&operator, &hook, change).await.unwrap();
    let hour = Duration::from_hours(1);
    set(SecretChange::Set(secret("one"), hour)).await;
    assert_eq!(present(&kit).await, ["one"]);
    set(SecretChange::Set(secret("two"), hour)).await;
    set(SecretChange::Keep).await;
    set(SecretChange::Set(secret("two"), hour)).await;
    assert_eq!(present(&kit).await, ["two", "one"]);
    kit.advance(hour);
    assert_eq!(present(&kit).await, ["two"]);
    set(SecretChange::Set(secret("three"), Duration::ZERO)).await;
    assert_eq!(present(&kit).await, ["three"]);
    for line in store.log_lines(0, 100).await.unwrap() {
        assert!(!line.body.to_string().contains("three"), "{line:?}");
    }
    set(SecretChange::Remove).await;
    assert!(present(&kit).await.is_empty());
    assert!(!format!("{:?}", store.sink_secrets("hook").await.unwrap()).contains("two"));
}

#[tokio::test]
async fn there_is_room_for_so_many() {
    let kit = Kit::new().await;
    let operator = Kit::operator();
    for number in 0..MAX_SINKS {
        let sink = sink(&format!("s{number}"));
        kit.store
            .set_sink(&operator, &sink, SecretChange::Keep)
            .await
            .unwrap();
    }
    let one_more = kit
        .store
        .set_sink(&operator, &sink("more"), SecretChange::Keep)
        .await;
    assert!(matches!(one_more, Err(AdminError::TooMany { kind: "sink", .. })));
}

/// Otherwise whoever may set sinks could have the secret of another place sent to themselves.
#[tokio::test]
async fn a_secret_goes_to_no_place_that_it_was_not_given_for() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    let sink = |kind: &str, target: &str| -> SinkSpec {
        let tickets = serde_json::json!({ "close_code": "Solved" });
        let mut body = serde_json::json!({ "name": "hook", "kind": kind, "target": target });
        if kind == "servicenow" {
            body["tickets"] = tickets;
        }
        serde_json::from_value(body).unwrap()
    };
    let first = sink("servicenow", "https://shop.service-now.com");
    let given = SecretChange::Set(secret("token"), Duration::ZERO);
    store.set_sink(&operator, &first, given.clone()).await.unwrap();
    for other in [
        sink("servicenow", "https://evil.example"),
        sink("servicenow", "http://shop.service-now.com"),
        sink("webhook", "https://shop.service-now.com"),
    ] {
        let refused = store.set_sink(&operator, &other, SecretChange::Keep).await;
        assert!(matches!(refused, Err(AdminError::Invalid { .. })), "{other:?}");
        store.set_sink(&operator, &other, given.clone()).await.unwrap();
        store.set_sink(&operator, &first, given.clone()).await.unwrap();
    }
    let path = sink("servicenow", "https://shop.service-now.com/other");
    store
        .set_sink(&operator, &path, SecretChange::Keep)
        .await
        .unwrap();
}
