//! What is sent, to servers that do what they like with it.

use std::time::Duration;

use outbound::{Authorization, Client, OutboundError, Sending, Url};

use super::world::{client, settings};
use crate::server::{Piece, Reply, Server};

const MOST: usize = 1_000;

fn post(url: &str) -> Sending {
    Sending::post(Url::parse(url).unwrap(), "a body", MOST)
        .authorized(Authorization::new("Bearer secret".to_owned()))
}

#[tokio::test]
async fn every_answer_is_one_and_only_its_beginning_is_read() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/500" => Reply::status(500).header("Retry-After", "7").body("later"),
        "/endless" => Reply::status(200).pieces(vec![Piece::Endless(vec![b'x'; 4_096])]),
        _ => Reply::status(204),
    })
    .await;
    let reply = client().send(&post(&server.url("/"))).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0));
    let reply = client().send(&post(&server.url("/500"))).await.unwrap();
    assert_eq!(
        (reply.status.as_u16(), reply.retry_after),
        (500, Some(Duration::from_secs(7)))
    );
    let reply = client().send(&post(&server.url("/endless"))).await.unwrap();
    assert_eq!((reply.body.len(), reply.is_cut), (MOST, true));
    let asked = server.asked();
    assert_eq!(asked.len(), 3, "sent once each");
    assert!(
        asked
            .iter()
            .all(|asked| asked.method == "POST" && asked.body == b"a body")
    );
}

#[tokio::test]
async fn redirects_that_keep_what_is_sent_are_followed_and_looked_at() {
    let other = Server::start(|_| Reply::status(200)).await;
    let (there, inside) = (
        other.url("/there"),
        format!("http://127.0.0.2:{}/", other.address().port()),
    );
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/307" => Reply::status(307).header("Location", &there),
        "/inside" => Reply::status(308).header("Location", &inside),
        "/loop" => Reply::status(307).header("Location", "/loop"),
        _ => Reply::redirect(&there),
    })
    .await;
    assert_eq!(
        client().send(&post(&server.url("/307"))).await.unwrap().status,
        200
    );
    let asked = other.asked();
    assert_eq!(
        (asked[0].method.as_str(), asked[0].body.as_slice()),
        ("POST", &b"a body"[..])
    );
    assert_eq!(asked[0].header("authorization"), None);
    // A redirect that would make a GET of it is an answer like any other.
    assert_eq!(
        client().send(&post(&server.url("/302"))).await.unwrap().status,
        302
    );
    let error = client().send(&post(&server.url("/inside"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Address { .. }), "{error:?}");
    let error = client().send(&post(&server.url("/loop"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Redirects { .. }), "{error:?}");
    assert_eq!(other.count(), 1);
}

#[tokio::test]
async fn silence_has_an_end() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/silent" => Reply::status(200).pieces(vec![Piece::Pause(Duration::from_secs(30))]),
        // Never silent for long, and never done.
        _ => Reply::status(200).pieces(vec![Piece::Pause(Duration::from_millis(50)); 600]),
    })
    .await;
    let error = client().send(&post(&server.url("/silent"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Broken { .. }), "{error:?}");
    let hasty = Client::new(outbound::Settings {
        total_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_secs(20),
        ..settings()
    })
    .unwrap();
    let error = hasty.send(&post(&server.url("/slow"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Slow { .. }), "{error:?}");
}
