//! One message per owner and incident, when people want it, and nothing twice.

use std::collections::HashMap;

use super::http_server::{Reply, Server};
use super::*;

fn chat() -> Value {
    json!({ "name": "chat", "kind": "slack", "target": "http://127.0.0.1" })
}

fn with(mut body: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// The `text` of every payload that came.
fn texts(server: &Server) -> Vec<String> {
    let asked = server.asked();
    let payloads = asked
        .iter()
        .map(|asked| serde_json::from_slice::<Value>(&asked.body).unwrap());
    payloads
        .map(|payload| payload["text"].as_str().unwrap().to_owned())
        .collect()
}

async fn world(more: &Value, severity: Severity) -> (World, Server) {
    let world = World::new(incident("Log4Shell", severity, affected())).await;
    let server = Server::start(|_| Reply::status(200)).await;
    world.sink(&with(chat(), more), Some(&server.url("/hook"))).await;
    (world, server)
}

#[tokio::test]
async fn each_owner_is_told_once_with_the_action_and_again_when_there_is_news() {
    let (world, server) = world(&json!({}), Severity::Critical).await;
    world.look().await;
    world.look().await;
    assert_eq!(
        texts(&server),
        [
            "[log4shell] Log4Shell: 1 affected",
            "[log4shell] Log4Shell: 2 affected"
        ]
    );
    let body = String::from_utf8(server.asked()[1].body.clone()).unwrap();
    for text in ["group:shop", "cart", "checkout", "update log4j-core to 2.15.0"] {
        assert!(body.contains(text), "{text}: {body}");
    }
    // Less to do is no news, nothing to do is.
    world.clock.advance(Duration::from_mins(5));
    world.see(vec![sighting("cart", "shop", false)]);
    world.look().await;
    assert_eq!(texts(&server).len(), 2);
    world.see(vec![sighting("checkout", "shop", false)]);
    world.look().await;
    assert!(texts(&server)[2].contains("nothing of yours is open"));
    // Time alone brings what is due soon, and overdue, once each.
    world.clock.advance(Duration::from_hours(49));
    world.look().await;
    world.look().await;
    assert!(texts(&server)[3].contains("due soon"), "{:?}", texts(&server));
    world.clock.advance(Duration::from_hours(48));
    world.look().await;
    assert!(texts(&server)[4].contains("overdue") && texts(&server).len() == 5);
    // And what comes back.
    world.see(vec![sighting("cart", "shop", true)]);
    world.look().await;
    assert_eq!(texts(&server).len(), 6);
}

#[tokio::test]
async fn quiet_hours_hold_what_is_not_pressing_and_the_newest_word_goes() {
    // Quiet from 9 to 18, and it is 10.
    let quiet = json!({ "schedule": { "quiet": { "from_minute": 540, "until_minute": 1_080 } } });
    let (world, server) = world(&quiet, Severity::High).await;
    world.look().await;
    assert_eq!(server.count(), 0);
    let held = world.deliveries(DeliveryState::Pending).await;
    assert_eq!((held.len(), held[0].is_held), (2, true));
    world.clock.advance(Duration::from_hours(1));
    world.see(vec![
        sighting("cart", "shop", false),
        sighting("checkout", "shop", false),
    ]);
    world.look().await;
    assert_eq!(world.deliveries(DeliveryState::Pending).await.len(), 2);
    world.clock.advance(Duration::from_hours(7));
    world.look().await;
    let told = texts(&server);
    assert_eq!(told.len(), 2);
    assert!(
        told.iter().any(|text| text.contains("nothing of yours is open")),
        "{told:?}"
    );
    // What is critical does not wait.
    let (world, server) = self::world(&quiet, Severity::Critical).await;
    world.look().await;
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_digest_is_one_message_per_owner_a_day() {
    let digest = json!({ "schedule": { "digest_minute": 720 }, "owners": ["shop"] });
    let (world, server) = world(&digest, Severity::High).await;
    world.look().await;
    // Another incident of the same owner.
    let mut other = world.deliveries(DeliveryState::Pending).await.remove(0);
    let mut message: Message = serde_json::from_value(other.body.take()).unwrap();
    message.incident = "spring4shell".parse().unwrap();
    let mut telling = store::Telling::default();
    let before = HashMap::new();
    let now = world.service.store.now();
    super::super::plan::of_messages(&world.sinks().await, &[message], &before, now, &mut telling);
    assert!(world.service.store.tell(telling, 10).await.unwrap());
    world.look().await;
    assert_eq!(server.count(), 0);
    world.clock.advance(Duration::from_hours(2));
    world.look().await;
    assert_eq!(texts(&server), ["2 incidents that touch what is yours"]);
    let body = String::from_utf8(server.asked()[0].body.clone()).unwrap();
    assert!(
        body.contains("spring4shell") && body.contains("log4shell"),
        "{body}"
    );
    assert_eq!(world.deliveries(DeliveryState::Sent).await.len(), 2);
}

#[tokio::test]
async fn only_what_a_sink_asks_for_is_told_and_names_stay_names() {
    let only = json!({ "owners": ["media"], "at_least": "high" });
    let world = World::new(incident(EVIL, Severity::Critical, affected())).await;
    let server = Server::start(|_| Reply::status(200)).await;
    world.sink(&with(chat(), &only), Some(&server.url("/hook"))).await;
    let mild = json!({ "name": "mild", "owners": ["media"] });
    let hook = with(
        json!({ "kind": "webhook", "target": server.url("/events") }),
        &mild,
    );
    world.sink(&hook, Some(SECRET)).await;
    world.look().await;
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    for asked in &asked {
        let payload: Value = serde_json::from_slice(&asked.body).unwrap();
        if asked.path == "/hook" {
            let text = payload.to_string();
            for bad in ["<!here>", "@channel", "\u{202e}", "<b>"] {
                assert!(!text.contains(bad), "{bad}: {text}");
            }
        } else {
            assert_eq!(payload["type"], "dev.roadbed.incident.action.v1");
            assert_eq!(payload["subject"], "log4shell/group:media");
            assert_eq!(payload["source"], "https://registry.example");
            assert_eq!(payload["data"]["parts"][0]["subject"], "video");
            assert!(asked.header("webhook-signature").unwrap().starts_with("v1,"));
        }
    }
}
