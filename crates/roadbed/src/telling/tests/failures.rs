//! Failures by the clock.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::http_server::{Reply, Server};
use super::*;

/// 500 for a day: it is tried less and less often, and then taken.
#[tokio::test]
async fn a_day_of_failures_ends_with_a_message() {
    let world = World::new(incident(
        "Log4Shell",
        Severity::Critical,
        vec![sighting("cart", "shop", true)],
    ))
    .await;
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let server =
        Server::start(move |_| Reply::status(if well.load(Ordering::Relaxed) { 200 } else { 500 })).await;
    let hook = json!({ "name": "hook", "kind": "webhook", "target": server.url("/") });
    world.sink(&hook, Some(SECRET)).await;
    let mut counts = Vec::new();
    for _ in 0..24 {
        for _ in 0..12 {
            world.look().await;
            world.clock.advance(Duration::from_mins(5));
        }
        counts.push(server.count());
    }
    assert!(counts[0] >= 5 && counts[0] <= 20, "{counts:?}");
    let later: Vec<usize> = counts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(later[5..].iter().all(|tries| *tries <= 2), "{later:?}");
    let ids = |server: &Server| {
        let mut ids: Vec<String> = server
            .asked()
            .iter()
            .map(|asked| asked.header("webhook-id").unwrap().to_owned())
            .collect();
        ids.dedup();
        ids
    };
    assert_eq!(ids(&server).len(), 1, "every try has the same id");
    is_well.store(true, Ordering::Relaxed);
    world.clock.advance(Duration::from_hours(1));
    world.look().await;
    assert_eq!(world.deliveries(DeliveryState::Sent).await.len(), 1);
    assert!(world.deliveries(DeliveryState::Pending).await.is_empty());
}

/// Three days of it end it, and say so.
#[tokio::test]
async fn what_never_works_is_given_up() {
    let world = World::new(incident(
        "Log4Shell",
        Severity::Low,
        vec![sighting("cart", "shop", true)],
    ))
    .await;
    let server = Server::start(|_| Reply::status(500)).await;
    let hook = json!({ "name": "hook", "kind": "webhook", "target": server.url("/") });
    world.sink(&hook, Some(SECRET)).await;
    world.look().await;
    for _ in 0..4 * 24 {
        world.clock.advance(Duration::from_hours(1));
        let sinks = world.sinks().await;
        world.service.dispatch(&sinks).await.unwrap();
        world.service.settle().await;
    }
    let dead = world.deliveries(DeliveryState::Dead).await;
    assert_eq!((dead.len(), dead[0].status), (1, Some(500)));
    let tried = server.count();
    assert!((60..=80).contains(&tried), "{tried}");
    let lines = world.service.store.log_lines(0, 100).await.unwrap();
    assert!(
        lines
            .iter()
            .any(|line| line.kind == "delivery.dead" && line.subject == "hook")
    );
}

/// Whoever asks for peace gets it.
#[tokio::test]
async fn retry_after_is_kept_to() {
    let world = World::new(incident(
        "Log4Shell",
        Severity::Critical,
        vec![sighting("cart", "shop", true)],
    ))
    .await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(429).header("Retry-After", "600"),
        _ => Reply::status(200),
    })
    .await;
    let chat = json!({ "name": "chat", "kind": "slack", "target": "http://127.0.0.1" });
    world.sink(&chat, Some(&server.url("/hook"))).await;
    world.look().await;
    world.clock.advance(Duration::from_secs(590));
    world.look().await;
    assert_eq!(server.count(), 1);
    world.clock.advance(Duration::from_secs(10));
    world.look().await;
    assert_eq!(server.count(), 2);
}
