//! Manifests, and registries that do not answer as such.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use outbound::distribution::{Budget, Spending, Upstream, UpstreamError, UpstreamSettings};
use outbound::{AddressGuard, OutboundError, Settings};

use super::super::world;
use super::world::{IDLE, MANIFEST, MOST, digest, made, pull, repo, settings, tag, told, upstream};
use crate::server::{Piece, Reply, Server};

async fn fails(reply: Reply) -> UpstreamError {
    let server = Server::start(move |_| reply.clone()).await;
    let error = pull(&upstream(&server)).await.unwrap_err();
    assert_eq!(server.count(), 1, "it is asked once");
    error
}

fn is_broken(error: &UpstreamError, offence: &str) -> bool {
    matches!(error, UpstreamError::Broken { .. }) && told(error).contains(offence)
}

#[tokio::test]
async fn a_manifest_comes_as_it_is() {
    let server = Server::start(|asked| {
        let length = MANIFEST.len() as u64;
        let reply = match asked.method.as_str() {
            "HEAD" => Reply::status(200).announcing(length),
            _ => Reply::ok(MANIFEST),
        };
        reply
            .header(
                "Content-Type",
                "application/vnd.oci.image.manifest.v1+json; charset=x",
            )
            .header("Docker-Content-Digest", &digest(MANIFEST).to_string())
    })
    .await;
    let upstream = upstream(&server);
    let manifest = pull(&upstream).await.unwrap();
    assert_eq!(manifest.bytes, MANIFEST);
    assert_eq!(manifest.digest, digest(MANIFEST));
    let media_type = Some("application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest.media_type.as_deref(), media_type);
    let head = upstream.head_manifest(&repo(), &tag()).await.unwrap();
    assert_eq!(head.digest, Some(digest(MANIFEST)));
    assert_eq!(head.media_type.as_deref(), media_type);
    assert_eq!(head.size, Some(MANIFEST.len() as u64));

    let by_digest = digest(MANIFEST).into();
    upstream.manifest(&repo(), &by_digest, MOST).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].path, "/v2/team/app/manifests/v1");
    assert_eq!(asked[1].method, "HEAD");
    assert_eq!(
        asked[2].path,
        format!("/v2/team/app/manifests/{}", digest(MANIFEST))
    );
    let accept = asked[0].header("accept").unwrap();
    assert!(
        accept.contains("image.index.v1+json") && accept.contains("manifest.list.v2+json"),
        "{accept}"
    );
    assert_eq!(asked[0].header("accept-encoding"), Some("identity"));
    assert_eq!(asked[0].header("authorization"), None);
}

#[tokio::test]
async fn another_digest_than_it_says_is_a_lie() {
    let lie = Reply::ok(MANIFEST).header("Docker-Content-Digest", &digest("other").to_string());
    let error = fails(lie.clone()).await;
    assert!(is_broken(&error, "it says that the manifest is"), "{error:?}");
    let server = Server::start(move |_| lie.clone()).await;
    let wanted = digest("wanted").into();
    let upstream = upstream(&server);
    let error = upstream.manifest(&repo(), &wanted, MOST).await.unwrap_err();
    assert!(is_broken(&error, "asked for the manifest"), "{error:?}");
    // What was asked for by its digest is it, whatever else is said.
    let right = digest(MANIFEST).into();
    upstream.manifest(&repo(), &right, MOST).await.unwrap();
    // What makes no sense is as if it were not there.
    let server =
        Server::start(|_| Reply::ok(MANIFEST).header("Docker-Content-Digest", "sha256:../../x")).await;
    let manifest = pull(&super::world::upstream(&server)).await.unwrap();
    assert_eq!(manifest.digest, digest(MANIFEST));
}

#[tokio::test]
async fn what_is_no_manifest_is_told() {
    for (reply, offence) in [
        (
            Reply::ok("<html>sign in</html>").header("Content-Type", "text/html; charset=utf-8"),
            "HTML",
        ),
        (Reply::ok("<html>sign in</html>"), "no JSON"),
        (Reply::ok("[]"), "no JSON"),
        (Reply::ok("{\"schemaVersion\":2"), "no JSON"),
        (Reply::ok(""), "no JSON"),
        (Reply::ok(MANIFEST).announcing(1_000), "before it is whole"),
        (Reply::status(204), "204"),
        (Reply::status(206).body(MANIFEST), "206"),
        (Reply::status(418), "418"),
    ] {
        let error = fails(reply).await;
        assert!(is_broken(&error, offence), "{offence}: {error:?}");
    }
}

#[tokio::test]
async fn no_more_is_read_than_a_manifest_may_have() {
    for reply in [
        Reply::ok("{}").announcing(10 << 30),
        Reply::status(200).pieces(vec![Piece::Endless(vec![b' '; 4_096])]),
    ] {
        let error = fails(reply).await;
        assert!(
            matches!(error, UpstreamError::TooLarge { most } if most == MOST as u64),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn every_refusal_has_its_name() {
    for status in [404, 410] {
        assert!(matches!(
            fails(Reply::status(status)).await,
            UpstreamError::NotFound
        ));
    }
    let refusal = r#"{"errors":[{"code":"DENIED","message":"not\nyours"}]}"#;
    let error = fails(Reply::status(403).body(refusal)).await;
    assert!(
        matches!(&error, UpstreamError::Denied { reason, .. } if reason == "not\\nyours"),
        "{error:?}"
    );
    for status in [500, 502, 503, 504] {
        let error = fails(Reply::status(status).header("Retry-After", "7")).await;
        let UpstreamError::Unreachable(source) = &error else {
            panic!("{error:?}");
        };
        assert!(matches!(**source, OutboundError::Busy { .. }));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
    let why = r#"{"errors":[{"code":"UNAVAILABLE","message":"closed\nuntil noon"}]}"#;
    let error = fails(Reply::status(503).body(why)).await;
    let UpstreamError::Unreachable(source) = &error else {
        panic!("{error:?}");
    };
    let told = source.to_string();
    assert!(
        told.ends_with(r"503 Service Unavailable: closed\nuntil noon"),
        "{told}"
    );
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is_for_that_kind_of_request() {
    let server = Server::start(|asked| match asked.method.as_str() {
        "HEAD" => Reply::status(200),
        _ => Reply::status(429).header("Retry-After", "60"),
    })
    .await;
    let start = Instant::now();
    let time: Arc<Mutex<Duration>> = Arc::default();
    let clock = Arc::clone(&time);
    let upstream = Upstream::new(settings(&server.url("")), move || start + *clock.lock().unwrap()).unwrap();
    for _ in 0..2 {
        let error = pull(&upstream).await.unwrap_err();
        assert!(
            matches!(error, UpstreamError::Throttled { retry_after: Some(left) } if left == Duration::from_mins(1)),
            "{error:?}"
        );
    }
    assert_eq!(server.count(), 1);
    upstream.head_manifest(&repo(), &tag()).await.unwrap();
    *time.lock().unwrap() = Duration::from_secs(61);
    pull(&upstream).await.unwrap_err();
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn who_does_not_say_for_how_long_is_left_alone_for_a_few_seconds() {
    let server = Server::start(|_| Reply::status(429)).await;
    let start = Instant::now();
    let time: Arc<Mutex<Duration>> = Arc::default();
    let clock = Arc::clone(&time);
    let upstream = Upstream::new(settings(&server.url("")), move || start + *clock.lock().unwrap()).unwrap();
    for _ in 0..3 {
        let error = pull(&upstream).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Throttled { .. }), "{error:?}");
    }
    assert_eq!(server.count(), 1);
    *time.lock().unwrap() = Duration::from_secs(6);
    pull(&upstream).await.unwrap_err();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn no_more_is_asked_than_the_budget_allows() {
    let server = Server::start(|_| Reply::ok(MANIFEST)).await;
    let budget = Budget {
        requests_per_hour: NonZeroU32::new(2),
        bytes_per_hour: None,
    };
    let upstream = made(UpstreamSettings {
        budget,
        ..settings(&server.url(""))
    });
    pull(&upstream).await.unwrap();
    assert_eq!(upstream.budget_left().requests, Some(1));
    pull(&upstream).await.unwrap();
    let error = pull(&upstream).await.unwrap_err();
    assert!(
        matches!(error, UpstreamError::OverBudget { what: Spending::Requests, retry_after } if !retry_after.is_zero()),
        "{error:?}"
    );
    assert_eq!(server.count(), 2);

    let budget = Budget {
        requests_per_hour: None,
        bytes_per_hour: NonZeroU64::new(10),
    };
    let upstream = made(UpstreamSettings {
        budget,
        ..settings(&server.url(""))
    });
    pull(&upstream).await.unwrap();
    let error = pull(&upstream).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the bytes per hour that are set for this upstream are used up"
    );
    assert_eq!(upstream.budget_left().bytes, Some(0));
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let error = fails(Reply::status(200).pieces(vec![
        Piece::Bytes(b"{".to_vec()),
        Piece::Pause(Duration::from_secs(30)),
    ]))
    .await;
    let is_slow = |error: &UpstreamError| matches!(error, UpstreamError::Unreachable(source) if matches!(**source, OutboundError::Slow { .. }));
    assert!(is_slow(&error), "{error:?}");

    // It takes connections and answers nothing.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", mute.local_addr().unwrap());
    let upstream = made(UpstreamSettings {
        first_byte: IDLE,
        ..settings(&url)
    });
    let started = Instant::now();
    let error = pull(&upstream).await.unwrap_err();
    assert!(is_slow(&error), "{error:?}");
    assert!(started.elapsed() < IDLE * 4);

    // Little by little is too late, too.
    let trickle: Vec<Piece> = (0..100)
        .flat_map(|_| [Piece::Bytes(b" ".to_vec()), Piece::Pause(IDLE / 4)])
        .collect();
    let server = Server::start(move |_| Reply::status(200).pieces(trickle.clone())).await;
    let upstream = made(UpstreamSettings {
        client: Settings {
            total_timeout: IDLE * 2,
            ..world::settings()
        },
        ..settings(&server.url(""))
    });
    let error = pull(&upstream).await.unwrap_err();
    assert!(is_slow(&error), "{error:?}");
}

#[tokio::test]
async fn bad_tls_and_nobody_there_are_unreachable() {
    let plain = Server::start(|_| Reply::ok(MANIFEST)).await;
    let tls = Server::start_tls(|_| Reply::ok(MANIFEST)).await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    for url in [plain.url("").replace("http:", "https:"), tls.url(""), nobody] {
        let error = pull(&made(settings(&url))).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Unreachable(_)), "{url}: {error:?}");
    }
    let error = pull(&made(settings(&tls.url("").replace("https:", "http:"))))
        .await
        .unwrap_err();
    assert!(matches!(error, UpstreamError::Broken { .. }), "{error:?}");
    let knowing = made(UpstreamSettings {
        client: Settings {
            authorities: vec![tls.authority().as_bytes().to_vec()],
            ..world::settings()
        },
        ..settings(&tls.url(""))
    });
    pull(&knowing).await.unwrap();
}

#[tokio::test]
async fn an_address_inside_is_not_asked_and_a_proxy_is() {
    let server = Server::start(|_| Reply::ok(MANIFEST)).await;
    let closed = Settings {
        guard: AddressGuard::public_only(),
        ..world::settings()
    };
    let upstream = made(UpstreamSettings {
        client: closed.clone(),
        ..settings(&server.url(""))
    });
    let error = pull(&upstream).await.unwrap_err();
    assert!(told(&error).ends_with("is not a public address"), "{error:?}");
    assert_eq!(server.count(), 0);

    let upstream = made(UpstreamSettings {
        client: Settings {
            proxy: Some(server.url("").parse().unwrap()),
            ..closed
        },
        ..settings("http://registry.invalid")
    });
    pull(&upstream).await.unwrap();
    assert_eq!(
        server.take_asked(),
        ["http://registry.invalid/v2/team/app/manifests/v1"]
    );
}
