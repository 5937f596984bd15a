//! What a release of a base asks of owners: one message for each of them, whatever the number of images, and once that it is over.

use road::application::{Source, Statement};
use road::work::{Asks, Named, Problem, Task, WorkState};
use store::{ItemState, NewRebaseItem, Placed};

use super::http_server::{Reply, Server};
use super::*;

fn digest(text: &str) -> Digest {
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

fn task() -> Task {
    let named = |version: &str| Named {
        digest: digest(version),
        version: version.to_owned(),
    };
    Task {
        asks: Asks::Rebuild,
        base_repository: "base/java".parse().unwrap(),
        from: named("1"),
        to: named("2"),
        reasons: Vec::new(),
        more_reasons: 0,
        fixes: vec![Problem {
            id: "CVE-2021-44228".to_owned(),
            package: "log4j-core".to_owned(),
            version: "2.14.1".to_owned(),
            severity: Severity::High,
        }],
        more_fixes: 0,
        remains: Vec::new(),
    }
}

/// Images of these repositories cannot follow.
async fn stuck(world: &World, repositories: &[&str]) {
    let store = &world.service.store;
    let item = |repository: &&str| NewRebaseItem {
        base: "java".parse().unwrap(),
        repository: repository.parse().unwrap(),
        tag: "v1".parse().unwrap(),
        old: digest("old"),
        old_release: digest("1"),
        new_release: digest("2"),
    };
    let items = repositories.iter().map(item).collect();
    store.add_rebase_items(items).await.unwrap();
    for item in store.rebase_items_in(ItemState::New, 10).await.unwrap() {
        let placed = Placed {
            state: ItemState::Impossible,
            class: "C".to_owned(),
            reason: "why".to_owned(),
            remains: String::new(),
            task: Some(task()),
        };
        store.place_rebase_plan(item.id, placed).await.unwrap();
    }
    store.tell_of_work(store.now()).await.unwrap();
}

async fn own(world: &World, name: &str, owner: &str) {
    let statement = Statement {
        repositories: vec![format!("team/{name}").parse().unwrap()],
        owner: Some(owner.parse().unwrap()),
        ..Statement::new(name.parse().unwrap(), Source::Declared, "test")
    };
    let actor = Actor::operator("test");
    world
        .service
        .store
        .set_application(&actor, &statement)
        .await
        .unwrap();
}

async fn follow(world: &World) -> Vec<String> {
    let sinks = world.sinks().await;
    world.service.follow(&sinks, &mut 0).await.unwrap();
    let pending = world.deliveries(DeliveryState::Pending).await;
    world.service.dispatch(&sinks).await.unwrap();
    world.service.settle().await;
    pending.into_iter().map(|delivery| delivery.subject).collect()
}

#[tokio::test]
async fn each_owner_is_told_once_of_all_images_and_once_that_nothing_is_left() {
    let world = World::new(incident("Log4Shell", Severity::Critical, affected())).await;
    let server = Server::start(|_| Reply::status(204)).await;
    let sink = json!({ "name": "hooks", "kind": "webhook", "target": server.url("/") });
    world.sink(&sink, Some(SECRET)).await;
    own(&world, "cart", "shop").await;
    own(&world, "checkout", "shop").await;
    stuck(&world, &["team/cart", "team/checkout", "team/lost"]).await;
    assert_eq!(
        follow(&world).await,
        ["base java 2 nobody's", "base java 2 group:shop"]
    );
    let event: Value = serde_json::from_slice(&server.asked()[1].body).unwrap();
    assert_eq!(event["type"], "dev.roadbed.road.work.v1");
    assert_eq!(event["data"]["parts"].as_array().unwrap().len(), 2);
    let remedy = &event["data"]["parts"][0]["actions"][0]["remedy"];
    assert_eq!(remedy["from"], "FROM registry.example/base/java:1");
    assert_eq!(follow(&world).await, [""; 0], "nothing is new");
    let reminded = async || {
        let sinks = world.sinks().await;
        world.service.remind(&sinks).await.unwrap();
        let mut told = follow(&world).await;
        told.retain(|about| about.starts_with("base "));
        told
    };
    assert_eq!(reminded().await, [""; 0], "nothing is new by time alone");
    own(&world, "lost", "finders").await;
    assert_eq!(reminded().await, ["base java 2 group:finders"]);

    let store = &world.service.store;
    let of_shop = store.work(true).await.unwrap().into_iter();
    let of_shop = of_shop.filter(|work| work.work.repository.as_str() != "team/lost");
    let closed = of_shop.map(|work| (work.id, WorkState::Done)).collect();
    store.close_work(closed).await.unwrap();
    store.tell_of_work(store.now()).await.unwrap();
    assert_eq!(follow(&world).await, ["base java 2 group:shop"]);
    let event: Value = serde_json::from_slice(&server.asked().last().unwrap().body).unwrap();
    assert_eq!(event["data"]["why"], "done");
}
