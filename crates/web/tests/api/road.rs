//! Applications and bases: who sees what of them.

use serde_json::{Value, json};

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
