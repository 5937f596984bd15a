//! Where the client goes, and where not.

use outbound::{AddressGuard, Answer, Authorization, Client, OutboundError, Settings};

use super::world::{client, request, settings};
use crate::server::{Reply, Server};

async fn fails(client: &Client, url: &str) -> OutboundError {
    client.get(&request(url)).await.unwrap_err()
}

#[tokio::test]
async fn an_address_that_is_not_listed_is_not_asked() {
    let server = Server::start(|_| Reply::ok("secret")).await;
    let client = Client::new(Settings::default()).unwrap();
    let port = server.address().port();
    for url in [
        server.url("/"),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://0:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let error = fails(&client, &url).await;
        assert!(matches!(error, OutboundError::Address { .. }), "{url}: {error:?}");
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_redirect_to_such_an_address_is_not_followed() {
    let inside = Server::start(|_| Reply::ok("secret")).await;
    let port = inside.address().port();
    for target in [
        format!("http://127.0.0.2:{port}/"),
        format!("http://[::1]:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("//127.0.0.3:{port}/"),
    ] {
        let to = target.clone();
        let server = Server::start(move |_| Reply::redirect(&to)).await;
        let error = fails(&client(), &server.url("/")).await;
        assert!(
            matches!(error, OutboundError::Address { .. }),
            "{target}: {error:?}"
        );
        assert_eq!(server.count(), 1, "it is not worth trying again");
    }
    assert_eq!(inside.count(), 0);
}

#[tokio::test]
async fn redirects_are_followed_up_to_a_number() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/3" => Reply::ok("here"),
        "/loop" => Reply::redirect("/loop"),
        path => {
            let next = path.trim_start_matches('/').parse::<u32>().unwrap_or_default() + 1;
            Reply::redirect(&format!("/{next}"))
        }
    })
    .await;
    let answer = client().get(&request(&server.url("/0"))).await.unwrap();
    assert!(matches!(answer, Answer::Body { bytes, .. } if bytes == b"here"));
    server.take_asked();
    let error = fails(&client(), &server.url("/loop")).await;
    assert!(
        matches!(error, OutboundError::Redirects { most: 5, .. }),
        "{error:?}"
    );
    assert_eq!(server.count(), 6);
}

#[tokio::test]
async fn https_does_not_become_http() {
    let plain = Server::start(|_| Reply::ok("changed on the way")).await;
    let target = plain.url("/");
    let server = Server::start_tls(move |_| Reply::redirect(&target)).await;
    let client = Client::new(Settings {
        authorities: vec![server.authority().as_bytes().to_vec()],
        ..settings()
    })
    .unwrap();
    let error = fails(&client, &server.url("/")).await;
    assert!(matches!(error, OutboundError::Downgrade { .. }), "{error:?}");
    assert_eq!(plain.count(), 0);
}

#[tokio::test]
async fn only_known_authorities_are_believed() {
    let server = Server::start_tls(|_| Reply::ok("here")).await;
    let error = fails(&client(), &server.url("/")).await;
    assert!(matches!(error, OutboundError::Unreachable { .. }), "{error:?}");
    assert_eq!(server.count(), 0);
    let knowing = Client::new(Settings {
        authorities: vec![server.authority().as_bytes().to_vec()],
        ..settings()
    })
    .unwrap();
    let answer = knowing.get(&request(&server.url("/"))).await.unwrap();
    assert!(matches!(answer, Answer::Body { bytes, .. } if bytes == b"here"));
    let error = Client::new(Settings {
        authorities: vec![b"no certificate".to_vec()],
        ..settings()
    });
    assert!(matches!(error, Err(OutboundError::Authority(_))));
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = Server::start(|_| Reply::ok("here")).await;
    let target = other.url("/elsewhere");
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/away" => Reply::redirect(&target),
        "/near" => Reply::redirect("/"),
        _ => Reply::ok("here"),
    })
    .await;
    let with =
        |path: &str| request(&server.url(path)).authorized(Authorization::new("Bearer secret".to_owned()));
    client().get(&with("/near")).await.unwrap();
    client().get(&with("/away")).await.unwrap();
    let sent: Vec<_> = server.asked();
    assert_eq!(sent.len(), 3);
    assert!(
        sent.iter()
            .all(|asked| asked.header("authorization") == Some("Bearer secret"))
    );
    let seen = other.asked();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
}

/// Whoever got the request may send it back, to a path of their choice.
#[tokio::test]
async fn credentials_do_not_come_back_from_elsewhere() {
    let home = Server::start(|asked| match asked.path.strip_prefix("/away/") {
        Some(port) => Reply::redirect(&format!("http://127.0.0.1:{port}/")),
        None => Reply::ok("here"),
    })
    .await;
    let back = home.url("/chosen-by-a-stranger");
    let stranger = Server::start(move |_| Reply::redirect(&back)).await;
    let away = home.url(&format!("/away/{}", stranger.address().port()));
    let asked = request(&away).authorized(Authorization::new("Bearer secret".to_owned()));
    client().get(&asked).await.unwrap();
    let sent = home.asked();
    assert_eq!(sent[0].header("authorization"), Some("Bearer secret"));
    assert_eq!(sent[1].path, "/chosen-by-a-stranger");
    assert_eq!(sent[1].header("authorization"), None);
}

#[tokio::test]
async fn urls_that_say_too_much_are_refused() {
    let server = Server::start(|_| Reply::redirect("http://ann:secret@127.0.0.1/")).await;
    for url in [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://ann:secret@127.0.0.1/",
        &server.url("/"),
    ] {
        let error = fails(&client(), url).await;
        assert!(matches!(error, OutboundError::Url { .. }), "{url}: {error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn everything_goes_through_the_proxy_but_what_is_inside() {
    let proxy = Server::start(|_| Reply::ok("by the proxy")).await;
    let through = Client::new(Settings {
        // The proxy's own address is not listed: the operator has named it.
        guard: AddressGuard::public_only(),
        proxy: Some(
            format!("http://localhost:{}", proxy.address().port())
                .parse()
                .unwrap(),
        ),
        ..settings()
    })
    .unwrap();
    let answer = through.get(&request("http://feeds.invalid/x")).await.unwrap();
    assert!(matches!(answer, Answer::Body { bytes, .. } if bytes == b"by the proxy"));
    assert_eq!(proxy.take_asked(), ["http://feeds.invalid/x"]);
    for url in [
        "http://169.254.169.254/",
        "http://localhost/",
        "http://[fe80::1]/",
    ] {
        let error = fails(&through, url).await;
        assert!(matches!(error, OutboundError::Address { .. }), "{url}: {error:?}");
    }
    assert_eq!(proxy.count(), 0);
}
