//! Signing in, and what ends it.

use access::token::Audience;
use axum::body::Body;
use http::{Request, header};
use serde_json::json;
use web::{PREFIX, WhoAsked};

use super::world::{Answer, PASSWORD, Who, World, token_of};

const WHOAMI: &str = "/session";

async fn with_header(world: &World, authorization: &str) -> Answer {
    let request = Request::builder()
        .uri(format!("{PREFIX}{WHOAMI}"))
        .header(header::AUTHORIZATION, authorization);
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_session_says_who_and_what() {
    let world = World::new().await;
    let me = world
        .ask(Who::Owner, "GET", WHOAMI, None)
        .await
        .expect(200)
        .json();
    assert_eq!(me["name"], "owner");
    assert_eq!(me["kind"], "user");
    assert_eq!(me["administrator"], false);
    assert_eq!(me["grants"][0]["pattern"], "team/**");
    assert_eq!(
        me["grants"][0]["roles"],
        json!(["pull", "push", "delete", "admin"])
    );
    assert!(me["expires_at"].as_str().unwrap().ends_with('Z'));
    let me = world
        .ask(Who::Robot, "GET", WHOAMI, None)
        .await
        .expect(200)
        .json();
    assert_eq!(me["kind"], "robot");
    assert_eq!(
        world.ask(Who::Administrator, "GET", WHOAMI, None).await.json()["administrator"],
        true
    );
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    let world = World::new().await;
    let asked = json!({ "user": "nobody", "password": PASSWORD, "lifetime_seconds": 60 });
    let session = world
        .ask(Who::Anonymous, "POST", "/session", Some(&asked))
        .await
        .expect(201)
        .json();
    let bearer = format!("Bearer {}", session["token"].as_str().unwrap());
    with_header(&world, &bearer).await.expect(200);
    world.later(59);
    with_header(&world, &bearer).await.expect(200);
    world.later(1);
    with_header(&world, &bearer).await.expect(401);

    // Nobody gets one for longer than the registry allows.
    let asked = json!({ "user": "nobody", "password": PASSWORD, "lifetime_seconds": u64::MAX });
    let session = world
        .ask(Who::Anonymous, "POST", "/session", Some(&asked))
        .await
        .expect(201)
        .json();
    let bearer = format!("Bearer {}", session["token"].as_str().unwrap());
    world.later(12 * 60 * 60);
    with_header(&world, &bearer).await.expect(401);
}

#[tokio::test]
async fn a_token_of_the_registry_opens_nothing_here() {
    let world = World::new().await;
    let registry = token_of(&world.store, Who::Administrator, Audience::Registry);
    with_header(&world, &format!("Bearer {registry}"))
        .await
        .expect(401);
    let api = token_of(&world.store, Who::Administrator, Audience::Api);
    with_header(&world, &format!("Bearer {api}")).await.expect(200);
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_from_none() {
    let world = World::new().await;
    for authorization in [
        "Bearer x.y.z",
        "Negotiate abc",
        "Basic !!!",
        "Basic bm9ib2R5Ondyb25n",
    ] {
        let answer = with_header(&world, authorization).await.expect(401);
        // No Basic challenge: browsers would ask for a password and send it with forged requests too.
        assert_eq!(
            answer.headers[header::WWW_AUTHENTICATE],
            "Bearer realm=\"roadbed-api\""
        );
    }
    // nobody:a long enough password
    with_header(&world, "Basic bm9ib2R5OmEgbG9uZyBlbm91Z2ggcGFzc3dvcmQ=")
        .await
        .expect(200);
}

#[tokio::test]
async fn the_server_learns_who_asked_and_no_name_that_was_only_tried() {
    let world = World::new().await;
    let ask = async |request: http::request::Builder, body: Body| {
        let asked = WhoAsked::default();
        let request = request.extension(asked.clone()).body(body).unwrap();
        let status = world.send(request).await.status.as_u16();
        (status, asked.name().map(ToString::to_string))
    };
    let whoami = || Request::builder().uri(format!("{PREFIX}{WHOAMI}"));
    let token = format!("Bearer {}", world.token(Who::Nobody).unwrap());
    let nobody = Some("nobody".to_owned());
    let signed_in = whoami().header(header::AUTHORIZATION, &token);
    assert_eq!(ask(signed_in, Body::empty()).await, (200, nobody.clone()));
    assert_eq!(ask(whoami(), Body::empty()).await, (401, None));
    // Whoever may not do something has asked for it all the same.
    let users = Request::builder().uri(format!("{PREFIX}/users"));
    let denied = users.header(header::AUTHORIZATION, &token);
    assert_eq!(ask(denied, Body::empty()).await, (403, nobody.clone()));
    // nobody:wrong
    let wrong = whoami().header(header::AUTHORIZATION, "Basic bm9ib2R5Ondyb25n");
    assert_eq!(ask(wrong, Body::empty()).await, (401, None));

    let sign_in = |password: &str| {
        let body = json!({ "user": "nobody", "password": password });
        let request = Request::post(format!("{PREFIX}{WHOAMI}"));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        (request, Body::from(body.to_string()))
    };
    let (request, body) = sign_in("wrong");
    assert_eq!(ask(request, body).await, (401, None));
    let (request, body) = sign_in(PASSWORD);
    assert_eq!(ask(request, body).await, (201, nobody));
}

#[tokio::test]
async fn many_wrong_passwords_have_to_wait() {
    let world = World::new().await;
    let wrong = json!({ "user": "puller", "password": "wrong" });
    let mut last = 401;
    for _ in 0..20 {
        let answer = world.ask(Who::Anonymous, "POST", "/session", Some(&wrong)).await;
        last = answer.status.as_u16();
        if last == 429 {
            assert!(
                answer.headers[header::RETRY_AFTER]
                    .to_str()
                    .unwrap()
                    .parse::<u64>()
                    .unwrap()
                    >= 1
            );
            break;
        }
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn disabling_and_new_passwords_end_sessions_at_once() {
    let world = World::new().await;
    let change = |disabled: bool| json!({ "disabled": disabled });
    world
        .ask(Who::Administrator, "PATCH", "/users/puller", Some(&change(true)))
        .await
        .expect(200);
    world.ask(Who::Puller, "GET", WHOAMI, None).await.expect(401);
    world
        .ask(Who::Administrator, "PATCH", "/users/puller", Some(&change(false)))
        .await
        .expect(200);
    world.ask(Who::Puller, "GET", WHOAMI, None).await.expect(200);

    let next = json!({ "old": PASSWORD, "new": "another long password" });
    world
        .ask(Who::Puller, "PUT", "/session/password", Some(&next))
        .await
        .expect(204);
    world.ask(Who::Puller, "GET", WHOAMI, None).await.expect(401);
    let asked = json!({ "user": "puller", "password": "another long password" });
    world
        .ask(Who::Anonymous, "POST", "/session", Some(&asked))
        .await
        .expect(201);

    let set = json!({ "password": "a third long password" });
    world
        .ask(Who::Administrator, "PUT", "/users/pusher/password", Some(&set))
        .await
        .expect(204);
    world.ask(Who::Pusher, "GET", WHOAMI, None).await.expect(401);
}
