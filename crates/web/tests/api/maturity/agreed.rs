//! What people agree on: targets, models, campaigns; and what is asked of it later.

use super::*;

#[tokio::test]
async fn targets_are_set_by_who_administers_all_of_its_repositories() {
    let (world, _) = world().await;
    let targets =
        json!({ "app": "shop", "categories": { "technology": 2 }, "topics": { "process/release": 1 } });
    let path = "/maturity/targets";
    world
        .ask(Who::Pusher, "PUT", path, Some(&targets))
        .await
        .expect(403);
    world
        .ask(Who::Nobody, "PUT", path, Some(&targets))
        .await
        .expect(404);
    let wrong = json!({ "app": "shop", "topics": { "process/releases": 1 } });
    let refused = world.ask(Who::Owner, "PUT", path, Some(&wrong)).await.expect(400);
    assert!(
        refused.text().contains("process/releases: 1"),
        "{}",
        refused.text()
    );
    world
        .ask(Who::Owner, "PUT", path, Some(&targets))
        .await
        .expect(200);
    let card = get(&world, Who::Puller, "/maturity/scorecard?subject=app:shop").await;
    let topics = card["scorecard"]["topics"].as_array().unwrap();
    let release = topics
        .iter()
        .find(|topic| topic["topic"] == "process/release")
        .unwrap();
    assert_eq!(
        (&release["target"], &release["standing"]),
        (&json!(1), &json!("below"))
    );
    let next = get(&world, Who::Puller, "/maturity/next?subject=app:shop").await;
    assert_eq!(next.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn it_can_be_asked_where_somebody_stood() {
    let (world, _) = world().await;
    let before = now(&world);
    world.later(60);
    let push = fact("app:shop", "pipeline-defined", &now(&world));
    world
        .ask(Who::Robot, "POST", "/evidence", Some(&push))
        .await
        .expect(200);
    let after = now(&world);
    let then = |at: String| {
        let world = &world;
        async move {
            let path = format!("/maturity/scorecard?subject=app:shop&as_of={at}");
            get(world, Who::Puller, &path).await["then"]["states"][PIPELINE].clone()
        }
    };
    assert_eq!(then(before).await, Value::Null);
    assert_eq!(then(after).await, "met");
    let path = "/maturity/scorecard?subject=app:shop&as_of=2126-01-01T00:00:00Z";
    world.ask(Who::Puller, "GET", path, None).await.expect(400);
}

#[tokio::test]
async fn a_model_is_previewed_before_it_is_applied() {
    let (world, _) = world().await;
    let push = fact("app:shop", "pipeline-defined", &now(&world));
    world
        .ask(Who::Robot, "POST", "/evidence", Some(&push))
        .await
        .expect(200);
    let broken = json!({ "documents": [{ "file": "ours.yaml", "text": "kind: [" }] });
    let refused = world
        .ask(Who::Administrator, "POST", "/maturity/models", Some(&broken))
        .await
        .expect(400)
        .json();
    assert!(!refused["errors"].as_array().unwrap().is_empty(), "{refused}");
    let other = json!({ "model": "cncf-platform", "reason": "we measure the platform" });
    let preview = world
        .ask(
            Who::Administrator,
            "POST",
            "/maturity/models?preview=true",
            Some(&other),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(preview["applied"], false);
    assert!(!preview["comparison"]["retired"].as_array().unwrap().is_empty());
    let model = get(&world, Who::Nobody, "/maturity/model").await;
    assert_eq!(
        (&model["model"]["id"], model["applied"].as_array().unwrap().len()),
        (&json!("cnmm"), 0)
    );
    let applied = world
        .ask(Who::Administrator, "POST", "/maturity/models", Some(&other))
        .await
        .expect(200)
        .json();
    assert_eq!(applied["applied"], true);
    let model = get(&world, Who::Nobody, "/maturity/model").await;
    assert_eq!(model["model"]["id"], "cncf-platform");
    assert_eq!(model["applied"][0]["author"], Value::Null);
    world
        .ask(Who::Administrator, "POST", "/maturity/models", Some(&json!({})))
        .await
        .expect(400);
}

#[tokio::test]
async fn a_campaign_counts_the_applications_that_are_seen() {
    let (world, _) = world().await;
    let path = "/maturity/campaigns";
    let new = json!({
        "id": "pipelines", "title": "every build from a file", "criteria": [PIPELINE], "scope": { "tiers": [1] },
        "due": "2027-06-01T00:00:00Z", "remind_days_before": [14],
    });
    let mut wrong = new.clone();
    wrong["criteria"] = json!(["PR-REL-99"]);
    world
        .ask(Who::Administrator, "POST", path, Some(&wrong))
        .await
        .expect(400);
    let set = world
        .ask(Who::Administrator, "POST", path, Some(&new))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&set["campaign"]["owner"], &set["progress"]["count"]["unknown"]),
        (&json!("admin"), &json!(2))
    );
    let push = fact("app:shop", "pipeline-defined", &now(&world));
    world
        .ask(Who::Robot, "POST", "/evidence", Some(&push))
        .await
        .expect(200);
    let seen = get(&world, Who::Puller, path).await[0]["progress"].clone();
    assert_eq!(
        seen["count"],
        json!({ "done": 1, "exempt": 0, "open": 0, "unknown": 0 })
    );
    assert_eq!(seen["teams"].as_array().unwrap().len(), 1);
    let all = get(&world, Who::Administrator, path).await[0]["progress"].clone();
    assert_eq!(
        all["count"],
        json!({ "done": 1, "exempt": 0, "open": 0, "unknown": 1 })
    );
    world
        .ask(Who::Administrator, "DELETE", "/maturity/campaigns/ghost", None)
        .await
        .expect(404);
    world
        .ask(
            Who::Administrator,
            "DELETE",
            "/maturity/campaigns/pipelines",
            None,
        )
        .await
        .expect(204);
    assert_eq!(get(&world, Who::Puller, path).await, json!([]));
}

#[tokio::test]
async fn until_what_is_known_is_read_it_is_asked_for_again() {
    let world = World::assessed_by(Arc::new(Keeper::default())).await;
    for path in ["/maturity/model", "/maturity/organisation", "/maturity/inbox"] {
        let answer = world.ask(Who::Puller, "GET", path, None).await.expect(503);
        assert!(answer.headers.contains_key("retry-after"));
    }
}

#[tokio::test]
async fn figures_are_about_applications_that_are_seen() {
    let (world, _) = world().await;
    for (who, wanted) in [
        (Who::Administrator, json!([true, true])),
        (Who::Puller, json!([true, false])),
        (Who::Nobody, json!([false, false])),
    ] {
        assert_eq!(get(&world, who, "/maturity/kpis").await["figures"][0], wanted);
    }
    let frozen = world
        .ask(
            Who::Administrator,
            "PUT",
            "/maturity/baseline",
            Some(&json!({ "reason": "x" })),
        )
        .await
        .expect(200);
    assert_eq!(frozen.json()["source"], "registry-proxy");
    assert!(!frozen.text().contains("hidden"));
}
