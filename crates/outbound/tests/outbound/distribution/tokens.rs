//! Who is told who asks, and how often.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use outbound::distribution::{Upstream, UpstreamError, UpstreamLogin, UpstreamSettings};

use super::world::{MANIFEST, made, pull, settings, signed_in, told, upstream};
use crate::server::{Asked, Reply, Server};

const BASIC: &str = "Basic YW5uOnNlY3JldA==";

/// Asks at once, all for the same.
const ASKING: usize = 20;

fn challenge(realm: &str) -> Reply {
    let challenge = format!(r#"Bearer realm="{realm}",service="registry.example""#);
    Reply::status(401).header("WWW-Authenticate", &challenge)
}

/// A registry that takes `Bearer <n>` for `n` tokens that it handed out at `/token` on the same host, each for five minutes.
async fn registry() -> Server {
    let made = AtomicUsize::new(0);
    Server::start(move |asked| {
        if asked.path.starts_with("/token?") {
            let number = made.fetch_add(1, Ordering::Relaxed) + 1;
            return Reply::ok(format!(r#"{{"token":"t{number}","expires_in":300}}"#));
        }
        let current = format!("Bearer t{}", made.load(Ordering::Relaxed));
        match asked.header("authorization") {
            Some(said) if said == current => Reply::ok(MANIFEST),
            _ => challenge("/token"),
        }
    })
    .await
}

fn asked_for_tokens(server: &Server) -> Vec<Asked> {
    let asked = server.asked();
    asked
        .into_iter()
        .filter(|asked| asked.path.starts_with("/token"))
        .collect()
}

#[tokio::test]
async fn a_token_is_got_once_and_again_when_it_ends() {
    let server = registry().await;
    let start = Instant::now();
    let time: Arc<Mutex<Duration>> = Arc::default();
    let clock = Arc::clone(&time);
    let upstream = Upstream::new(signed_in(&server.url("")), move || start + *clock.lock().unwrap()).unwrap();
    pull(&upstream).await.unwrap();
    pull(&upstream).await.unwrap();
    let tokens = asked_for_tokens(&server);
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].header("authorization"), Some(BASIC));
    assert_eq!(
        tokens[0].path,
        "/token?scope=repository%3Ateam%2Fapp%3Apull&service=registry.example"
    );
    assert_eq!(server.count(), 4, "401, token, manifest, manifest");
    *time.lock().unwrap() = Duration::from_secs(280);
    pull(&upstream).await.unwrap();
    assert_eq!(asked_for_tokens(&server).len(), 2);
    assert_eq!(server.count(), 6, "nothing is asked for with a token that ends");
    // Another repository needs another token; the registry of this test then takes no older one.
    let other = "other/app".parse().unwrap();
    upstream
        .manifest(&other, &super::world::tag(), 1_000)
        .await
        .unwrap();
    assert_eq!(asked_for_tokens(&server).len(), 3);
    pull(&upstream).await.unwrap();
    assert_eq!(asked_for_tokens(&server).len(), 4);
}

/// Registry whose token service takes its time, in which everybody is sent to it.
async fn slow_registry(status: u16) -> Server {
    Server::start(move |asked| {
        if asked.path.starts_with("/token?") {
            let answer = Reply::status(status).body(r#"{"access_token":"t"}"#);
            return answer.after(Duration::from_secs(2));
        }
        match asked.header("authorization") {
            Some("Bearer t") => Reply::ok(MANIFEST),
            _ => challenge("/token"),
        }
    })
    .await
}

async fn all_ask(server: &Server) -> Vec<Result<(), UpstreamError>> {
    let upstream = upstream(server);
    let asking: Vec<_> = (0..ASKING)
        .map(|_| {
            let upstream = upstream.clone();
            tokio::spawn(async move { pull(&upstream).await.map(drop) })
        })
        .collect();
    let mut answers = Vec::new();
    for one in asking {
        answers.push(one.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn one_token_is_got_for_all_who_wait() {
    let server = slow_registry(200).await;
    for answer in all_ask(&server).await {
        answer.unwrap();
    }
    assert_eq!(asked_for_tokens(&server).len(), 1);
    assert_eq!(asked_for_tokens(&server)[0].header("authorization"), None);
}

#[tokio::test]
async fn one_failure_is_told_to_all_who_wait() {
    let server = slow_registry(503).await;
    for answer in all_ask(&server).await {
        let error = answer.unwrap_err();
        assert!(matches!(error, UpstreamError::Unreachable(_)), "{error:?}");
    }
    assert_eq!(asked_for_tokens(&server).len(), 1);
}

#[tokio::test]
async fn a_token_service_that_nobody_listed_is_sent_nothing() {
    let elsewhere = Server::start(|_| Reply::ok(r#"{"token":"t"}"#)).await;
    let realm = elsewhere.url("/token");
    let server = Server::start(move |asked| match asked.header("authorization") {
        Some("Bearer t") => Reply::ok(MANIFEST),
        _ => challenge(&realm),
    })
    .await;
    let error = pull(&made(signed_in(&server.url("")))).await.unwrap_err();
    let host = elsewhere.address().to_string();
    assert!(
        matches!(error, UpstreamError::Broken { .. })
            && told(&error).contains(&format!("list {host} among its realm hosts")),
        "{error:?}"
    );
    assert_eq!(elsewhere.count(), 0);
    assert_eq!(server.asked()[0].header("authorization"), None);

    pull(&made(UpstreamSettings {
        realm_hosts: vec![host],
        ..signed_in(&server.url(""))
    }))
    .await
    .unwrap();
    assert_eq!(elsewhere.asked()[0].header("authorization"), Some(BASIC));
    assert_eq!(server.asked()[2].header("authorization"), Some("Bearer t"));
}

#[tokio::test]
async fn realms_that_make_no_sense_are_sent_nothing() {
    let inside = Server::start(|_| Reply::ok(r#"{"token":"t"}"#)).await;
    let port = inside.address().port();
    for realm in [
        "ftp://127.0.0.1/".to_owned(),
        "http://ann:x@127.0.0.1/token".to_owned(),
        "http://[".to_owned(),
        format!("http://127.0.0.2:{port}/token"),
        format!("http://[::1]:{port}/token"),
    ] {
        let challenged = challenge(&realm);
        let server = Server::start(move |_| challenged.clone()).await;
        let upstream = made(UpstreamSettings {
            realm_hosts: vec!["*".to_owned()],
            ..signed_in(&server.url(""))
        });
        let error = pull(&upstream).await.unwrap_err();
        assert!(
            matches!(error, UpstreamError::Broken { .. }),
            "{realm}: {error:?}"
        );
    }
    assert_eq!(inside.count(), 0);
}

#[tokio::test]
async fn a_token_service_that_redirects_or_talks_nonsense_is_told() {
    let other = Server::start(|_| Reply::ok(r#"{"token":"t"}"#)).await;
    for reply in [
        Reply::redirect(&other.url("/token")),
        Reply::ok("<html>"),
        Reply::ok("{}"),
        Reply::ok(r#"{"token":"two\r\nlines"}"#),
        Reply::ok("{").announcing(1 << 40),
    ] {
        let server = Server::start(move |asked| {
            if asked.path.starts_with("/token") {
                reply.clone()
            } else {
                challenge("/token")
            }
        })
        .await;
        let error = pull(&made(signed_in(&server.url("")))).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Broken { .. }), "{error:?}");
    }
    assert_eq!(other.count(), 0);
    let server = Server::start(|asked| {
        if asked.path.starts_with("/token") {
            Reply::status(401)
        } else {
            challenge("/token")
        }
    })
    .await;
    for (settings, said) in [
        (signed_in(&server.url("")), "does not take the login"),
        (settings(&server.url("")), "set a login"),
    ] {
        let error = pull(&made(settings)).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Denied { .. }), "{error:?}");
        assert!(told(&error).contains(said), "{error}");
    }
}

#[tokio::test]
async fn who_never_lets_us_in_is_asked_twice() {
    let server = Server::start(|asked| {
        if asked.path.starts_with("/token") {
            Reply::ok(r#"{"token":"t"}"#)
        } else {
            challenge("/token")
        }
    })
    .await;
    let upstream = upstream(&server);
    let error = pull(&upstream).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Denied { .. }), "{error:?}");
    assert_eq!(server.count(), 3);
    for odd in ["", "Negotiate abc", "Bearer"] {
        let server = Server::start(move |_| Reply::status(401).header("WWW-Authenticate", odd)).await;
        let error = pull(&super::world::upstream(&server)).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Denied { .. }), "{error:?}");
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test]
async fn a_password_is_told_to_who_asks_for_it() {
    let server = Server::start(|asked| match asked.header("authorization") {
        Some(BASIC) => Reply::ok(MANIFEST),
        _ => Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\""),
    })
    .await;
    let upstream = made(signed_in(&server.url("")));
    pull(&upstream).await.unwrap();
    pull(&upstream).await.unwrap();
    assert_eq!(server.count(), 3, "it is remembered that it wants one");
    for (login, said) in [
        (None, "set a login"),
        (Some(UpstreamLogin::new("ann", "wrong")), "401"),
    ] {
        let upstream = made(UpstreamSettings {
            login,
            ..settings(&server.url(""))
        });
        let error = pull(&upstream).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Denied { .. }), "{error:?}");
        assert!(told(&error).contains(said), "{error}");
        assert!(!told(&error).contains("wrong"), "{error}");
    }
}

/// `ann:other`.
const OTHER: &str = "Basic YW5uOm90aGVy";

/// A login whose secret is `other` when it is read again, and how often it was.
fn changing() -> (UpstreamLogin, Arc<AtomicUsize>) {
    let reads: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&reads);
    let login = UpstreamLogin::new("ann", "secret").read_again_by(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Some("other".to_owned())
    });
    (login, reads)
}

#[tokio::test]
async fn a_secret_that_a_token_service_refuses_is_read_again() {
    let server = Server::start(|asked| match asked.path.as_str() {
        path if path.starts_with("/token?") => match asked.header("authorization") {
            Some(OTHER) => Reply::ok(r#"{"token":"t","expires_in":300}"#),
            _ => Reply::status(401),
        },
        _ if asked.header("authorization") == Some("Bearer t") => Reply::ok(MANIFEST),
        _ => challenge("/token"),
    })
    .await;
    let (login, reads) = changing();
    let upstream = made(UpstreamSettings {
        login: Some(login),
        ..settings(&server.url(""))
    });
    pull(&upstream).await.unwrap();
    assert_eq!(asked_for_tokens(&server).len(), 2);
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_secret_that_a_registry_refuses_is_read_again_now_and_then() {
    let taken = Arc::new(Mutex::new(BASIC));
    let now = Arc::clone(&taken);
    let server = Server::start(move |asked| match asked.header("authorization") {
        Some(said) if said == *now.lock().unwrap() => Reply::ok(MANIFEST),
        _ => Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\""),
    })
    .await;
    let (login, reads) = changing();
    let upstream = made(UpstreamSettings {
        login: Some(login),
        ..settings(&server.url(""))
    });
    pull(&upstream).await.unwrap();
    *taken.lock().unwrap() = OTHER;
    pull(&upstream).await.unwrap();
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    *taken.lock().unwrap() = "Basic bm9ib2R5";
    for _ in 0..3 {
        let error = pull(&upstream).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Denied { .. }), "{error:?}");
    }
    assert_eq!(reads.load(Ordering::Relaxed), 1, "not with each request");
}

#[tokio::test]
async fn an_identity_token_gets_tokens() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/token" => {
            let body = String::from_utf8_lossy(&asked.body).into_owned();
            let is_right = body.contains("grant_type=refresh_token") && body.contains("refresh_token=abc");
            assert!(is_right && asked.method == "POST", "{body}");
            Reply::ok(r#"{"access_token":"t"}"#)
        }
        _ if asked.header("authorization") == Some("Bearer t") => Reply::ok(MANIFEST),
        _ => challenge("/token"),
    })
    .await;
    let upstream = made(UpstreamSettings {
        login: Some(UpstreamLogin::new("<token>", "abc")),
        ..settings(&server.url(""))
    });
    pull(&upstream).await.unwrap();
}
