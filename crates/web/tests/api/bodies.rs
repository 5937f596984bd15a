//! Requests that are refused before anything is done, and the form of problems.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, header};
use serde_json::{Value, json};
use web::{MAX_BODY_BYTES, PREFIX, WebConfig};

use super::world::{Answer, PASSWORD, Who, World};

async fn post_raw(world: &World, path: &str, content_type: Option<&str>, body: String) -> Answer {
    let mut request = Request::builder().method("POST").uri(format!("{PREFIX}{path}"));
    request = request.header(
        header::AUTHORIZATION,
        format!("Bearer {}", world.token(Who::Administrator).unwrap()),
    );
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    world.send(request.body(Body::from(body)).unwrap()).await
}

fn assert_problem(answer: &Answer, status: u16, word: &str) {
    let problem = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{problem}");
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(problem["type"], format!("urn:roadbed:problem:{word}"));
    assert_eq!(problem["status"], status);
    for field in ["title", "detail", "remedy"] {
        assert!(
            problem[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field}: {problem}"
        );
    }
}

#[tokio::test]
async fn a_form_from_a_foreign_page_changes_nothing() {
    let world = World::new().await;
    // What a browser can send to a foreign site without asking first.
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data"),
    ] {
        for path in [
            "/users", "/gc", "/fsck", "/backup", "/session", "/grants", "/apply",
        ] {
            let answer = post_raw(&world, path, content_type, "{}".into()).await;
            assert_problem(&answer, 415, "not-json");
        }
    }
    let answer = post_raw(
        &world,
        "/gc",
        Some("Application/JSON; charset=utf-8"),
        "{}".into(),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused() {
    let world = World::new().await;
    let name = "x".repeat(MAX_BODY_BYTES);
    let answer = post_raw(
        &world,
        "/robots",
        Some("application/json"),
        json!({ "name": name }).to_string(),
    )
    .await;
    assert_problem(&answer, 413, "too-large");
    // What is declared comes in one body and may be larger.
    let declared = json!({ "users": [], "padding": name }).to_string();
    let answer = post_raw(&world, "/apply?dry_run=true", Some("application/json"), declared).await;
    assert_problem(&answer, 400, "malformed");
    let declared = " ".repeat(web::MAX_APPLY_BYTES + 1);
    assert_problem(
        &post_raw(&world, "/apply", Some("application/json"), declared).await,
        413,
        "too-large",
    );
}

#[tokio::test]
async fn a_stranger_sends_little() {
    let world = World::new().await;
    let asked = json!({ "user": "x".repeat(web::MAX_SESSION_BYTES), "password": "x" });
    assert_problem(
        &world.ask(Who::Anonymous, "POST", "/session", Some(&asked)).await,
        413,
        "too-large",
    );
}

/// The head of a request whose body never comes to its end.
fn never_ending(path: &str) -> http::request::Builder {
    Request::post(format!("{PREFIX}{path}")).header(header::CONTENT_TYPE, "application/json")
}

#[tokio::test]
async fn strangers_who_sign_in_slowly_keep_nobody_out() {
    let timeout = Duration::from_millis(300);
    let config = WebConfig {
        concurrent_requests: 1,
        concurrent_sign_ins: 1,
        sign_in_timeout: timeout,
        ..WebConfig::default()
    };
    let world = World::with(config).await;
    let stranger = || {
        let endless = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        world.send(never_ending("/session").body(endless).unwrap())
    };
    let meanwhile = async {
        tokio::time::sleep(timeout / 3).await;
        let served = world.ask(Who::Administrator, "GET", "/session", None).await;
        (served, stranger().await)
    };
    let (slow, (served, turned_away)) = tokio::join!(stranger(), meanwhile);
    served.expect(200);
    assert_problem(&turned_away, 429, "too-many");
    assert_problem(&slow, 408, "timeout");
}

#[tokio::test]
async fn slow_requests_take_their_place_for_a_while_only() {
    let timeout = Duration::from_millis(300);
    let config = WebConfig {
        concurrent_requests: 1,
        request_timeout: timeout,
        ..WebConfig::default()
    };
    let world = World::with(config).await;
    let request = never_ending("/users").header(
        header::AUTHORIZATION,
        format!("Bearer {}", world.token(Who::Administrator).unwrap()),
    );
    let request = request
        .body(Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()))
        .unwrap();
    let second = async {
        tokio::time::sleep(timeout / 3).await;
        world.ask(Who::Administrator, "GET", "/session", None).await
    };
    let (slow, turned_away) = tokio::join!(world.send(request), second);
    assert_problem(&turned_away, 429, "too-many");
    assert!(turned_away.headers.contains_key(header::RETRY_AFTER));
    assert_problem(&slow, 408, "timeout");
    world
        .ask(Who::Administrator, "GET", "/session", None)
        .await
        .expect(200);
}

#[rustfmt::skip]
fn nonsense() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    vec![
        ("POST", "/users", json!({ "name": "UPPER", "password": PASSWORD }), "UPPER"),
        ("POST", "/users", json!({ "name": "short", "password": "short" }), "12"),
        ("POST", "/users", json!({ "name": "x", "password": PASSWORD, "admin": true }), "admin"),
        ("POST", "/users", json!([]), "expected"),
        ("POST", "/grants", json!({ "subject": "x", "pattern": "team/**", "roles": [] }), "role"),
        ("POST", "/grants", json!({ "subject": "x", "pattern": "team/***", "roles": ["pull"] }), "team"),
        ("POST", "/grants", json!({ "subject": "x", "pattern": "a", "roles": ["write"] }), "write"),
        ("PUT", "/rules", json!({ "pattern": "a", "quota": 1 }), "quota"),
        ("PATCH", "/users/nobody", json!({ "not_after": "tomorrow" }), "RFC 3339"),
        ("PATCH", "/robots/robot", json!({ "administrator": true }), "robot"),
    ]
}

#[tokio::test]
async fn nonsense_is_named() {
    let world = World::new().await;
    for (method, path, body, word) in nonsense() {
        let answer = world.ask(Who::Administrator, method, path, Some(&body)).await;
        assert_problem(&answer, 400, "malformed");
        let problem = answer.json();
        assert!(
            problem["detail"].as_str().unwrap().contains(word),
            "{path}: {problem}"
        );
    }
}

#[tokio::test]
async fn nonsense_in_queries_is_refused() {
    let world = World::new().await;
    let admin = Who::Administrator;
    for path in [
        "/users?limit=0",
        "/users?limit=1001",
        "/users?limit=x",
        "/users?offset=5",
        "/events?kind=nothing",
        "/events?after=x",
        "/events?since=yesterday",
        "/pulls?digest=sha256:1",
        "/repository?repository=../etc",
        "/repository",
        "/repository/tag?repository=a&tag=-",
        "/grants?after=1&pattern=x",
        "/apply?prune=perhaps",
    ] {
        let method = if path.starts_with("/apply") { "POST" } else { "GET" };
        let body = json!({});
        let answer = world
            .ask(admin, method, path, (method == "POST").then_some(&body))
            .await;
        assert_problem(&answer, 400, "malformed");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let world = World::new().await;
    assert_problem(
        &world.ask(Who::Administrator, "GET", "/nothing", None).await,
        404,
        "not-found",
    );
    let answer = world
        .ask(Who::Administrator, "PUT", "/users", Some(&json!({})))
        .await;
    assert_problem(&answer, 405, "method-not-allowed");
    assert!(answer.headers[header::ALLOW].to_str().unwrap().contains("POST"));
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
}
