//! Applications and bases: who sees what of them.

use std::sync::Arc;

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use web::{MayPull, Survey, Surveyed, Surveying};

use super::world::{Who, World};

async fn world() -> World {
    let world = World::new().await;
    for (name, patterns) in [
        ("shop", &["team/**", "other/secret"][..]),
        ("hidden", &["other/**"]),
        ("bare", &[]),
    ] {
        let body = json!({ "name": name, "repositories": patterns, "owner": "team-shop" });
        world
            .ask(Who::Administrator, "PUT", "/applications", Some(&body))
            .await
            .expect(200);
    }
    world
}

async fn seen(world: &World, who: Who) -> Value {
    world
        .ask(who, "GET", "/applications", None)
        .await
        .expect(200)
        .json()["items"]
        .clone()
}

fn names(items: &Value) -> Vec<&str> {
    let items = items.as_array().unwrap();
    items.iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn whoever_may_pull_some_of_it_sees_no_more_of_an_application() {
    let world = world().await;
    assert_eq!(
        names(&seen(&world, Who::Administrator).await),
        ["bare", "hidden", "shop"]
    );
    let mine = seen(&world, Who::Puller).await;
    assert_eq!(names(&mine), ["shop"]);
    let repositories = mine[0]["repositories"].as_array().unwrap();
    assert_eq!(
        (repositories.len(), &repositories[0]["value"]),
        (1, &json!("team/**"))
    );
    assert!(names(&seen(&world, Who::Nobody).await).is_empty());
    world
        .ask(Who::Puller, "GET", "/application?name=hidden", None)
        .await
        .expect(404);
    let counts = world
        .ask(Who::Puller, "GET", "/catalog", None)
        .await
        .expect(200)
        .json();
    assert_eq!((&counts["owned"], &counts["unknown"]), (&json!(1), &json!(0)));
    let counts = world
        .ask(Who::Nobody, "GET", "/catalog", None)
        .await
        .expect(200)
        .json();
    assert_eq!((&counts["owned"], &counts["unknown"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn entries_that_do_not_go_together_are_refused_in_words() {
    let world = world().await;
    let tie = json!({ "name": "thief", "repositories": ["team/**"] });
    let refused = world
        .ask(Who::Administrator, "PUT", "/applications", Some(&tie))
        .await
        .expect(400);
    assert!(refused.text().contains("team/**"), "{}", refused.text());
    for (body, why) in [
        (json!({ "name": "a b" }), "is no name of an application"),
        (json!({ "name": "a", "owner": "robot:x" }), "is no owner"),
        (json!({ "name": "a", "tier": 10 }), "tier"),
        (json!({ "name": "a", "nick": "b" }), "nick"),
    ] {
        let refused = world
            .ask(Who::Administrator, "PUT", "/applications", Some(&body))
            .await
            .expect(400);
        assert!(refused.text().contains(why), "{why}: {}", refused.text());
    }
    let catalog = json!({ "applications": [
        { "application": "one", "source": "declared", "origin": "a.yaml:1", "repositories": ["x/**"] },
        { "application": "one", "source": "declared", "origin": "b.yaml:1", "repositories": ["y/**"] },
    ] });
    let refused = world
        .ask(Who::Administrator, "POST", "/catalog", Some(&catalog))
        .await
        .expect(400);
    assert!(refused.text().contains("described twice"), "{}", refused.text());
}

/// Whatever became of it since.
#[tokio::test]
async fn an_earlier_version_is_shown_as_it_was() {
    let world = World::new().await;
    let change = async |entries: Value| -> i64 {
        let base = json!({
            "name": "java17", "owner": "platform", "repository": "base/java17", "lifecycle": "supported",
            "supported_until": "2095-01-01T00:00:00Z", "patch_within": {}, "channels": {},
        });
        let body = json!({ "bases": [base], "entries": entries });
        let changed = world
            .ask(Who::Administrator, "POST", "/road?prune=true", Some(&body))
            .await
            .expect(200)
            .json();
        changed["version"].as_i64().unwrap()
    };
    let path = |until: &str| {
        json!({ "kind": "GoldenPath", "entry": {
            "id": "java@3", "owner": "platform", "bases": ["java17"], "supported_until": until,
        } })
    };
    let app = json!({ "kind": "AppRoad", "entry": { "application": "shop", "path": "java@3", "owner": "team-shop" } });
    // The first one ends in two minutes.
    let first = change(json!([path("2026-11-22T08:35:00Z"), app])).await;
    let second = change(json!([path("2094-01-01T00:00:00Z"), app])).await;
    change(json!([])).await;
    world.clock.advance(std::time::Duration::from_mins(3));
    for (version, year) in [(first, "2026"), (second, "2094")] {
        let shown = world
            .ask(
                Who::Administrator,
                "GET",
                &format!("/road?version={version}"),
                None,
            )
            .await
            .expect(200)
            .json();
        let entries = shown["entries"].as_array().unwrap();
        let app = entries.iter().find(|entry| entry["kind"] == "AppRoad").unwrap();
        assert!(
            app["ends"].as_str().unwrap().starts_with(year),
            "{version}: {app}"
        );
        assert_eq!((&app["state"], app["set_by"].is_string()), (&json!("live"), true));
    }
}

/// Finds out where nobody stands, once it may.
struct Surveyor(Semaphore);

impl Surveying for Surveyor {
    fn survey(&self, _: MayPull) -> Surveyed<'_> {
        Box::pin(async move {
            self.0.acquire().await.unwrap().forget();
            Ok(Survey::default())
        })
    }
}

#[tokio::test]
async fn adoption_takes_a_place_among_what_costs_much() {
    let surveyor = Arc::new(Surveyor(Semaphore::new(0)));
    let world = World::surveyed_by(Arc::clone(&surveyor) as Arc<dyn Surveying>).await;
    let ask = |who| world.ask(who, "GET", "/road/adoption", None);
    let many = join_all((0..3).map(|_| ask(Who::Puller)));
    let release = async {
        // Only once all have come.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        surveyor.0.add_permits(100);
    };
    let (many, ()) = tokio::join!(many, release);
    let turned_away = many.iter().filter(|answer| {
        answer.status == StatusCode::TOO_MANY_REQUESTS && answer.headers.contains_key("retry-after")
    });
    assert_eq!(turned_away.count(), 2);
    // What was taken was given back.
    ask(Who::Puller).await.expect(200);
}
