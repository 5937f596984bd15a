//! What comes, and what is not taken.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use outbound::{Answer, Client, OutboundError, Settings, Validators};

use super::world::{MOST, client, request, settings};
use crate::server::{Piece, Reply, Server};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn fails(reply: Reply) -> (OutboundError, usize) {
    let server = Server::start(move |_| reply.clone()).await;
    let error = client().get(&request(&server.url("/x"))).await.unwrap_err();
    (error, server.count())
}

#[tokio::test]
async fn what_has_not_changed_does_not_come_again() {
    let server = Server::start(|asked| match asked.header("if-none-match") {
        Some("\"v1\"") => Reply::status(304),
        _ => Reply::ok("one")
            .header("ETag", "\"v1\"")
            .header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    })
    .await;
    let first = client().get(&request(&server.url("/x"))).await.unwrap();
    let Answer::Body { bytes, validators } = first else {
        panic!("{first:?}");
    };
    assert_eq!(bytes, b"one");
    let again = request(&server.url("/x")).unless(validators);
    assert_eq!(client().get(&again).await.unwrap(), Answer::Unchanged);
    let asked = server.asked();
    assert_eq!(
        asked[1].header("if-modified-since"),
        Some("Sun, 06 Nov 1994 08:49:37 GMT")
    );
    // Whoever was not asked that question must not answer it.
    let (error, _) = fails(Reply::status(304)).await;
    assert!(matches!(error, OutboundError::Status { .. }), "{error:?}");
    assert!(Validators::default().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_cut_at_the_limit() {
    let came = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&came);
    let server =
        Server::start(|_| Reply::status(200).pieces(vec![Piece::Endless(vec![b'x'; 64 << 10])])).await;
    let asked = request(&server.url("/")).counting(Arc::new(move |bytes| {
        counted.fetch_add(bytes, Ordering::Relaxed);
    }));
    let error = client().get(&asked).await.unwrap_err();
    assert!(
        matches!(error, OutboundError::TooLarge { most: MOST, .. }),
        "{error:?}"
    );
    assert!(came.load(Ordering::Relaxed) < 2 * MOST);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn an_answer_that_says_that_it_is_too_large_is_not_read() {
    let (error, asked) = fails(Reply::ok("little").announcing(MOST + 1)).await;
    assert!(matches!(error, OutboundError::TooLarge { .. }), "{error:?}");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn what_unpacks_to_too_much_is_not_taken() {
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!((bomb.len() as u64) < MOST);
    let (error, _) = fails(Reply::ok(bomb).header("Content-Encoding", "gzip")).await;
    assert!(matches!(error, OutboundError::TooLarge { .. }), "{error:?}");
    let (error, _) = fails(Reply::ok("no gzip").header("Content-Encoding", "gzip")).await;
    assert!(matches!(error, OutboundError::Broken { .. }), "{error:?}");
    let (error, _) = fails(Reply::ok("x").header("Content-Encoding", "br")).await;
    assert!(matches!(error, OutboundError::Coding { .. }), "{error:?}");

    let server = Server::start(|_| Reply::ok(gzip(b"words")).header("Content-Encoding", "gzip")).await;
    let answer = client().get(&request(&server.url("/"))).await.unwrap();
    assert!(matches!(answer, Answer::Body { bytes, .. } if bytes == b"words"));
}

#[tokio::test]
async fn a_shorter_answer_than_it_says_is_none() {
    let (error, asked) = fails(Reply::ok("half").announcing(8)).await;
    assert!(matches!(error, OutboundError::Broken { .. }), "{error:?}");
    assert_eq!(asked, 3, "a connection that breaks is worth another try");
}

#[tokio::test]
async fn silence_and_trickles_end() {
    let silent = vec![Piece::Bytes(b"x".to_vec()), Piece::Pause(Duration::from_secs(30))];
    let (error, asked) = fails(Reply::status(200).pieces(silent)).await;
    assert!(matches!(error, OutboundError::Broken { .. }), "{error:?}");
    assert_eq!(asked, 3);

    let trickle: Vec<Piece> = (0..200)
        .flat_map(|_| {
            [
                Piece::Bytes(b"x".to_vec()),
                Piece::Pause(Duration::from_millis(50)),
            ]
        })
        .collect();
    let server = Server::start(move |_| Reply::status(200).pieces(trickle.clone())).await;
    let impatient = Client::new(Settings {
        total_timeout: Duration::from_secs(1),
        ..settings()
    })
    .unwrap();
    let started = Instant::now();
    let error = impatient.get(&request(&server.url("/"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Slow { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn whoever_asks_for_a_pause_gets_it() {
    let asked = AtomicU32::new(0);
    let server = Server::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(429).header("Retry-After", "1"),
        _ => Reply::ok("here"),
    })
    .await;
    let started = Instant::now();
    client().get(&request(&server.url("/"))).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.count(), 2);

    // A longer one than is waited for is the caller's business.
    let (error, asked) = fails(Reply::status(503).header("Retry-After", "3600")).await;
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn tries_are_counted_and_pointless_ones_are_not_made() {
    for (status, tries) in [
        (500, 3),
        (502, 3),
        (503, 3),
        (429, 3),
        (404, 1),
        (410, 1),
        (403, 1),
        (418, 1),
    ] {
        let (error, asked) = fails(Reply::status(status)).await;
        assert_eq!(asked, tries, "{status}");
        let is_missing = matches!(error, OutboundError::Missing { .. });
        assert_eq!(is_missing, matches!(status, 404 | 410), "{error:?}");
    }
}
