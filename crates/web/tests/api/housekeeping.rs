//! The audit log, collection, check and backup.

use http::header;
use serde_json::{Value, json};

use super::world::{Who, World};

const ADMIN: Who = Who::Administrator;

#[tokio::test]
async fn the_audit_log_is_filtered_and_paged() {
    let world = World::new().await;
    let grant = json!({ "subject": "nobody", "pattern": "team/x", "roles": ["pull"] });
    world
        .ask(Who::Owner, "POST", "/grants", Some(&grant))
        .await
        .expect(200);
    let all = world
        .ask(ADMIN, "GET", "/events?limit=1000", None)
        .await
        .expect(200)
        .json();
    let all = all["items"].as_array().unwrap().clone();
    assert!(all.len() > 10);

    let mine = world
        .ask(ADMIN, "GET", "/events?kind=grant.set&actor=owner", None)
        .await
        .expect(200)
        .json();
    let mine = mine["items"].as_array().unwrap();
    assert_eq!(mine.len(), 1, "{mine:?}");
    assert_eq!(
        (&mine[0]["actor"], &mine[0]["cause"]),
        (&json!("owner"), &json!("api"))
    );

    let (mut seen, mut path) = (Vec::new(), "/events?limit=3".to_owned());
    loop {
        let page = world.ask(ADMIN, "GET", &path, None).await.expect(200).json();
        seen.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => path = format!("/events?limit=3&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
    let later = world
        .ask(ADMIN, "GET", "/events?since=2999-01-01T00:00:00Z", None)
        .await
        .expect(200)
        .json();
    assert_eq!(later["items"], json!([]));
}

#[tokio::test]
async fn collection_reports_what_it_did() {
    let world = World::new().await;
    let before = world.ask(ADMIN, "GET", "/gc", None).await.expect(200).json();
    assert!(before.get("finished_at").is_none() && before["running"] == false);
    let report = world
        .ask(ADMIN, "POST", "/gc", Some(&json!({})))
        .await
        .expect(200)
        .json();
    assert_eq!(report["more"], false);
    let kept = json!({ "blobs": 0, "bytes": 0, "grace_seconds": 24 * 60 * 60 });
    assert_eq!(report["kept"], kept);
    let after = world.ask(ADMIN, "GET", "/gc", None).await.expect(200).json();
    assert_eq!(after["report"], report);
    assert!(after["finished_at"].is_string());
}

#[tokio::test]
async fn a_check_ends_with_its_report() {
    let world = World::new().await;
    let answer = world
        .ask(ADMIN, "POST", "/fsck", Some(&json!({ "quarantine": true })))
        .await
        .expect(200);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/x-ndjson");
    let lines: Vec<Value> = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let report = &lines.last().unwrap()["report"];
    assert_eq!(report["damaged"], 0, "{report}");
    assert_eq!(report["progress"]["blobs"], 2);
    assert_eq!(report["progress"]["manifests"], 1);
    assert!(
        lines[..lines.len() - 1]
            .iter()
            .all(|line| line["progress"].is_object())
    );
}

#[tokio::test]
async fn a_backup_restores_to_the_same() {
    let world = World::new().await;
    let answer = world
        .ask(ADMIN, "POST", "/backup", Some(&json!({})))
        .await
        .expect(200);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/x-tar");
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("restored");
    let report = store::restore(std::io::Cursor::new(answer.body), &target)
        .await
        .unwrap();
    assert_eq!(report.blobs, 2);
    world
        .ask(ADMIN, "GET", "/events?kind=backup.create", None)
        .await
        .expect(200);
}

#[tokio::test]
async fn the_system_says_what_it_is() {
    let world = World::new().await;
    let system = world.ask(ADMIN, "GET", "/system", None).await.expect(200).json();
    assert_eq!(
        (&system["version"], &system["instance"]),
        (&json!("1.2.3"), &json!("here"))
    );
    assert_eq!(system["read_only"], false);
    assert!(system["counters"]["database_calls"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn while_it_is_maintained_everything_is_read_and_nothing_changed() {
    let world = World::new().await;
    let grant = json!({ "subject": "nobody", "pattern": "team/new/**", "roles": ["pull"] });
    let wanted = json!({ "reason": "the disk is moved", "until": "2099-01-01T00:00:00Z" });
    world
        .ask(ADMIN, "PUT", "/maintenance", Some(&wanted))
        .await
        .expect(400);
    let wanted = json!({ "reason": "the disk is moved" });
    let begun = world
        .ask(ADMIN, "PUT", "/maintenance", Some(&wanted))
        .await
        .expect(200)
        .json();
    assert_eq!(begun["maintenance"]["reason"], "the disk is moved");
    for (method, path, body) in [
        ("POST", "/grants", Some(&grant)),
        ("POST", "/gc", Some(&json!({}))),
        ("DELETE", "/repository?name=team/app", None),
        ("POST", "/apply", Some(&json!({}))),
    ] {
        let refused = world.ask(ADMIN, method, path, body).await.expect(503);
        assert_eq!(refused.headers[header::RETRY_AFTER], "60", "{method} {path}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("the disk is moved"), "{detail}");
    }
    world.ask(ADMIN, "GET", "/grants", None).await.expect(200);
    world
        .ask(ADMIN, "POST", "/backup", Some(&json!({})))
        .await
        .expect(200);
    let system = world.ask(ADMIN, "GET", "/system", None).await.expect(200).json();
    assert_eq!(system["read_only"], true);
    world.ask(ADMIN, "DELETE", "/maintenance", None).await.expect(200);
    world
        .ask(ADMIN, "POST", "/grants", Some(&grant))
        .await
        .expect(200);
}
