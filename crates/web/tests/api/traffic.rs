//! Measures by the API: what they say, whom they hit, and that they end.

use serde_json::{Value, json};

use super::world::{Who, World};

const ADMIN: Who = Who::Administrator;
const UNTIL: &str = "2026-11-22T09:33:00Z";

fn measure(who: &str, kind: &str) -> Value {
    json!({ "who": who, "kind": kind, "until": UNTIL, "reason": "floods" })
}

#[tokio::test]
async fn a_throttle_is_listed_as_it_was_set_and_can_be_lifted() {
    let world = World::new().await;
    let mut throttle = measure("192.0.2.0/24", "throttle");
    throttle["requests_per_second"] = json!(5);
    let set = world
        .ask(ADMIN, "PUT", "/traffic/measures", Some(&throttle))
        .await;
    let set = set.expect(200).json();
    assert_eq!(set["requests_per_second"], 5);
    assert_eq!(set.get("bytes_per_second"), None);
    assert_eq!((&set["set_by"], &set["until"]), (&json!("admin"), &json!(UNTIL)));
    let all = world
        .ask(ADMIN, "GET", "/traffic/measures", None)
        .await
        .expect(200);
    assert_eq!(all.json()["measures"], json!([set]));
    let lift = "/traffic/measures?who=192.0.2.0/24";
    world.ask(ADMIN, "DELETE", lift, None).await.expect(204);
    world.ask(ADMIN, "DELETE", lift, None).await.expect(404);
}

#[tokio::test]
async fn what_shuts_out_nobody_or_the_wrong_ones_is_refused() {
    let world = World::new().await;
    let mut both = measure("pusher", "ban");
    both["bytes_per_second"] = json!(5);
    for (wrong, status) in [
        (both, 400),
        (measure("pusher", "throttle"), 400),
        (measure("admin", "ban"), 400),
        (measure("192.0.2.1", "ban"), 400),
        (measure("no such name", "ban"), 400),
        (measure("ghost", "ban"), 404),
    ] {
        let answer = world.ask(ADMIN, "PUT", "/traffic/measures", Some(&wrong)).await;
        answer.expect(status);
    }
}

#[tokio::test]
async fn who_is_banned_is_told_until_when() {
    let world = World::new().await;
    let ban = measure("pusher", "ban");
    world
        .ask(ADMIN, "PUT", "/traffic/measures", Some(&ban))
        .await
        .expect(200);
    let answer = world.ask(Who::Pusher, "GET", "/session", None).await.expect(429);
    assert_eq!(answer.headers["retry-after"], "3600");
    assert!(answer.text().contains(UNTIL), "{}", answer.text());
    world.ask(Who::Puller, "GET", "/session", None).await.expect(200);
    world.later(60 * 60);
    world.ask(Who::Pusher, "GET", "/session", None).await.expect(200);
}
