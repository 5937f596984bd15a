//! Users, robots, grants, rules, repositories and declared state, from the first request to the last.

use serde_json::{Value, json};

use super::world::{PASSWORD, Who, World};

const ADMIN: Who = Who::Administrator;

async fn names(world: &World, path: &str) -> Vec<String> {
    let page = world.ask(ADMIN, "GET", path, None).await.expect(200).json();
    let text = |item: &Value| item["name"].as_str().or(item.as_str()).unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn users_are_made_changed_and_deleted() {
    let world = World::new().await;
    let new = json!({ "name": "ann", "password": PASSWORD, "not_after": "2100-01-01T00:00:00Z" });
    let made = world
        .ask(ADMIN, "POST", "/users", Some(&new))
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&made["name"], &made["kind"], &made["administrator"]),
        (&json!("ann"), &json!("user"), &json!(false))
    );
    assert_eq!(made["not_after"], "2100-01-01T00:00:00Z");
    world.ask(ADMIN, "POST", "/users", Some(&new)).await.expect(409);
    let change = json!({ "administrator": true, "not_after": null });
    let changed = world
        .ask(ADMIN, "PATCH", "/users/ann", Some(&change))
        .await
        .expect(200)
        .json();
    assert_eq!(changed["administrator"], true);
    assert!(changed.get("not_after").is_none());
    assert!(names(&world, "/users").await.contains(&"ann".to_owned()));
    world.ask(ADMIN, "DELETE", "/robots/ann", None).await.expect(404);
    world.ask(ADMIN, "DELETE", "/users/ann", None).await.expect(204);
    world.ask(ADMIN, "GET", "/users/ann", None).await.expect(404);
    world.ask(ADMIN, "DELETE", "/users/admin", None).await.expect(409);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new().await;
    let (mut seen, mut path) = (Vec::new(), "/users?limit=2".to_owned());
    loop {
        let page = world.ask(ADMIN, "GET", &path, None).await.expect(200).json();
        assert!(page["items"].as_array().unwrap().len() <= 2);
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => path = format!("/users?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["admin", "deleter", "nobody", "owner", "puller", "pusher"]);
}

#[tokio::test]
async fn a_robot_changes_its_secret_without_a_gap() {
    let world = World::new().await;
    let first = world.robot_secret.clone();
    let sign_in = |secret: String| json!({ "user": "robot", "password": secret });
    let second = world
        .ask(ADMIN, "POST", "/robots/robot/secrets", Some(&json!({})))
        .await
        .expect(201)
        .json();
    let secret = second["secret"].as_str().unwrap().to_owned();
    world
        .ask(ADMIN, "POST", "/robots/robot/secrets", Some(&json!({})))
        .await
        .expect(409);
    for valid in [&first, &secret] {
        world
            .ask(Who::Anonymous, "POST", "/session", Some(&sign_in(valid.clone())))
            .await
            .expect(201);
    }
    let listed = world
        .ask(ADMIN, "GET", "/robots/robot/secrets", None)
        .await
        .expect(200);
    assert!(!listed.text().contains(&secret) && !listed.text().contains("rbr_"));
    let oldest = listed.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_i64().unwrap())
        .min()
        .unwrap();
    world
        .ask(ADMIN, "DELETE", &format!("/robots/robot/secrets/{oldest}"), None)
        .await
        .expect(204);
    world
        .ask(Who::Anonymous, "POST", "/session", Some(&sign_in(first)))
        .await
        .expect(401);
    world.ask(Who::Robot, "GET", "/session", None).await.expect(401);
    world
        .ask(Who::Anonymous, "POST", "/session", Some(&sign_in(secret)))
        .await
        .expect(201);
}

#[tokio::test]
async fn owners_manage_what_is_theirs_and_see_nothing_else() {
    let world = World::new().await;
    let other = json!({ "subject": "nobody", "pattern": "other/**", "roles": ["pull"] });
    world
        .ask(Who::Owner, "POST", "/grants", Some(&other))
        .await
        .expect(403);
    world
        .ask(ADMIN, "POST", "/grants", Some(&other))
        .await
        .expect(200);
    let own = json!({ "subject": "nobody", "pattern": "team/app", "roles": ["push"] });
    let set = world
        .ask(Who::Owner, "POST", "/grants", Some(&own))
        .await
        .expect(200)
        .json();
    assert_eq!(set["roles"], json!(["pull", "push"]));

    let seen = world
        .ask(Who::Owner, "GET", "/grants", None)
        .await
        .expect(200)
        .json();
    let patterns: Vec<&str> = seen["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| grant["pattern"].as_str().unwrap())
        .collect();
    assert!(
        patterns.contains(&"team/app") && !patterns.contains(&"other/**"),
        "{patterns:?}"
    );
    world
        .ask(Who::Nobody, "GET", "/repository?repository=team/app", None)
        .await
        .expect(200);
    world
        .ask(
            Who::Owner,
            "DELETE",
            "/grants?subject=nobody&pattern=team/app",
            None,
        )
        .await
        .expect(204);
    world
        .ask(Who::Nobody, "GET", "/repository?repository=team/app", None)
        .await
        .expect(403);
}

#[tokio::test]
async fn anonymous_callers_see_what_is_opened_for_them() {
    let world = World::new().await;
    world
        .ask(Who::Anonymous, "GET", "/repositories", None)
        .await
        .expect(401);
    let open = json!({ "subject": "anonymous", "pattern": "team/app", "roles": ["pull"] });
    world
        .ask(Who::Owner, "POST", "/grants", Some(&open))
        .await
        .expect(200);
    let listed = world
        .ask(Who::Anonymous, "GET", "/repositories", None)
        .await
        .expect(200)
        .json();
    assert_eq!(listed["items"], json!(["team/app"]));
    world
        .ask(
            Who::Anonymous,
            "GET",
            "/repository/tags?repository=team/app",
            None,
        )
        .await
        .expect(200);
    world
        .ask(
            Who::Anonymous,
            "DELETE",
            "/repository/tag?repository=team/app&tag=v1",
            None,
        )
        .await
        .expect(401);
}

#[tokio::test]
async fn a_rule_has_so_many_patterns_of_immutable_tags_and_no_more() {
    let world = World::new().await;
    let rule = |count| json!({ "pattern": "team/*", "immutable_tags": vec!["v*"; count] });
    let most = store::IMMUTABLE_TAG_PATTERNS;
    world
        .ask(Who::Owner, "PUT", "/rules", Some(&rule(most)))
        .await
        .expect(200);
    for dry_run in ["", "?dry_run=true"] {
        let declared = json!({ "rules": [rule(most + 1)] });
        let path = format!("/apply{dry_run}");
        let refused = world.ask(ADMIN, "POST", &path, Some(&declared)).await.expect(400);
        assert!(refused.text().contains("use at most 32"), "{}", refused.text());
    }
    let refused = world
        .ask(Who::Owner, "PUT", "/rules", Some(&rule(most + 1)))
        .await
        .expect(400);
    assert!(refused.text().contains("use at most 32"), "{}", refused.text());
}

#[tokio::test]
async fn rules_hold_for_repositories() {
    let world = World::new().await;
    let rule = json!({ "pattern": "team/*", "immutable_tags": ["v*"], "quota_bytes": 1_000_000 });
    world
        .ask(Who::Owner, "PUT", "/rules", Some(&rule))
        .await
        .expect(200);
    let repository = world
        .ask(Who::Puller, "GET", "/repository?repository=team/app", None)
        .await
        .expect(200)
        .json();
    assert_eq!(repository["rule"]["immutable_tags"], json!(["v*"]));
    assert_eq!(repository["rule"]["deletion"], true);
    assert_eq!(
        (
            &repository["tags"],
            &repository["manifests"],
            &repository["blobs"]
        ),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(repository["roles"], json!(["pull"]));
    world
        .ask(
            Who::Deleter,
            "DELETE",
            "/repository/tag?repository=team/app&tag=v1",
            None,
        )
        .await
        .expect(409);
    world
        .ask(Who::Owner, "DELETE", "/rules?pattern=team/*", None)
        .await
        .expect(204);
    let tag = world
        .ask(
            Who::Puller,
            "GET",
            "/repository/tag?repository=team/app&tag=v1",
            None,
        )
        .await
        .expect(200)
        .json();
    assert!(tag["digest"].as_str().unwrap().starts_with("sha256:"));
    world
        .ask(
            Who::Deleter,
            "DELETE",
            "/repository/tag?repository=team/app&tag=v1",
            None,
        )
        .await
        .expect(204);
    assert!(
        names(&world, "/repository/tags?repository=team/app")
            .await
            .is_empty()
    );
    world
        .ask(Who::Owner, "DELETE", "/repository?repository=team/app", None)
        .await
        .expect(204);
    world
        .ask(Who::Owner, "GET", "/repository?repository=team/app", None)
        .await
        .expect(404);
}

#[tokio::test]
async fn manifests_are_listed_and_deleted() {
    let world = World::new().await;
    let ask = async |who, method, path: &str| world.ask(who, method, path, None).await;
    let tags = ask(Who::Puller, "GET", "/repository/tags?repository=team/app").await;
    let tag = tags.expect(200).json()["items"][0].clone();
    assert_eq!(tag["tag"], "v1");
    let list = "/repository/manifests?repository=team/app";
    let listed = ask(Who::Puller, "GET", list).await.expect(200).json();
    let manifest = &listed["items"][0];
    for same in ["digest", "media_type", "size", "pushed_at"] {
        assert!(!tag[same].is_null());
        assert_eq!(manifest[same], tag[same], "{same}");
    }
    assert_eq!(manifest["tags"], json!(["v1"]));
    let untagged = format!("{list}&untagged=true");
    assert_eq!(
        ask(Who::Puller, "GET", &untagged).await.expect(200).json()["items"],
        json!([])
    );
    ask(
        Who::Deleter,
        "DELETE",
        "/repository/tag?repository=team/app&tag=v1",
    )
    .await
    .expect(204);
    let left = ask(Who::Puller, "GET", &untagged).await.expect(200).json();
    assert_eq!(left["items"][0]["digest"], tag["digest"]);

    let digest = tag["digest"].as_str().unwrap();
    let delete = format!("/repository/manifest?repository=team/app&digest={digest}");
    ask(Who::Deleter, "DELETE", &delete).await.expect(204);
    let gone = ask(Who::Deleter, "DELETE", &delete).await.expect(404);
    assert!(
        gone.text().contains(&format!("team/app@{digest}")),
        "{}",
        gone.text()
    );
    let repository = ask(Who::Puller, "GET", "/repository?repository=team/app").await;
    let repository = repository.expect(200).json();
    assert_eq!(
        (&repository["bytes"], &repository["released_bytes"]),
        (&json!(0), &json!(7))
    );
    assert!(repository["released_until"].is_string());
}

#[tokio::test]
async fn declared_state_is_applied_once() {
    let world = World::new().await;
    let declared = json!({
        "users": [{ "name": "admin", "administrator": true }, { "name": "ann" }],
        "robots": [{ "name": "deploy" }],
        "grants": [{ "subject": "deploy", "pattern": "team/**", "roles": ["pull"] }],
        "rules": [{ "pattern": "team/**", "quota_tags": 100 }],
    });
    let plan = world
        .ask(ADMIN, "POST", "/apply?dry_run=true", Some(&declared))
        .await
        .expect(200)
        .json();
    assert_eq!(plan["applied"], false);
    assert_eq!(plan["steps"].as_array().unwrap().len(), 4, "{plan}");
    world.ask(ADMIN, "GET", "/users/ann", None).await.expect(404);

    let done = world
        .ask(ADMIN, "POST", "/apply", Some(&declared))
        .await
        .expect(200)
        .json();
    assert_eq!(done["applied"], true);
    assert_eq!(done["steps"], plan["steps"]);
    assert_eq!(done["secrets"][0]["robot"], "deploy");
    assert!(done["secrets"][0]["secret"].as_str().unwrap().starts_with("rbr_"));

    let again = world
        .ask(ADMIN, "POST", "/apply", Some(&declared))
        .await
        .expect(200)
        .json();
    assert_eq!(again["steps"], json!([]));
    let pruned = world
        .ask(ADMIN, "POST", "/apply?prune=true", Some(&declared))
        .await
        .expect(200)
        .json();
    assert!(pruned["steps"].as_array().unwrap().len() >= 6, "{pruned}");
    assert_eq!(names(&world, "/users").await, ["admin", "ann"]);
    assert_eq!(names(&world, "/robots").await, ["deploy"]);
}
