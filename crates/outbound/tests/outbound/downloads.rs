//! Files that come in parts.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use outbound::{OutboundError, Request};
use tempfile::TempDir;

use super::world::{MOST, client, request};
use crate::server::{Asked, Piece, Reply, Server};

/// What is downloaded: no two places of it are alike.
fn content() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_be_bytes).collect()
}

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: TempDir::with_prefix("roadbed-outbound-").unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("file")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }
}

/// Where the request wants to begin.
fn start_of(asked: &Asked) -> Option<usize> {
    asked
        .header("range")?
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()
}

fn part(content: &[u8], start: usize, etag: &str) -> Reply {
    let (last, total) = (content.len() - 1, content.len());
    Reply::status(206)
        .header("ETag", etag)
        .header("Content-Range", &format!("bytes {start}-{last}/{total}"))
        .body(&content[start..])
}

/// Half of it, and then the end of the connection.
fn cut(etag: &str) -> Reply {
    let content = content();
    Reply::status(200)
        .header("ETag", etag)
        .body(&content[..content.len() / 2])
        .announcing(content.len() as u64)
}

#[tokio::test]
async fn what_was_cut_off_goes_on() {
    let server = Server::start(|asked| match start_of(asked) {
        None => cut("\"v1\""),
        Some(start) => part(&content(), start, "\"v1\""),
    })
    .await;
    let place = Place::new();
    let done = client()
        .download(&request(&server.url("/f")), &place.path())
        .await
        .unwrap();
    assert_eq!(place.bytes(), content());
    assert_eq!((done.bytes, done.came), (400_000, 400_000));
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].header("if-range"), Some("\"v1\""));
    assert_eq!(asked[1].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn what_is_there_already_is_not_sent_again() {
    let server = Server::start(|asked| match start_of(asked) {
        None => Reply::ok(content()).header("ETag", "\"v1\""),
        Some(400_000) => Reply::status(416).header("Content-Range", "bytes */400000"),
        Some(_) => Reply::status(500),
    })
    .await;
    let place = Place::new();
    for came in [400_000, 0] {
        let done = client()
            .download(&request(&server.url("/f")), &place.path())
            .await
            .unwrap();
        assert_eq!((done.bytes, done.came), (400_000, came));
        assert_eq!(place.bytes(), content());
    }
}

/// Parts of two states put together would be neither.
#[tokio::test]
async fn another_state_begins_anew() {
    let tries = AtomicU32::new(0);
    let server = Server::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => cut("\"v1\""),
        _ => Reply::ok("the second state").header("ETag", "\"v2\""),
    })
    .await;
    let place = Place::new();
    client()
        .download(&request(&server.url("/f")), &place.path())
        .await
        .unwrap();
    assert_eq!(place.bytes(), b"the second state");
}

#[tokio::test]
async fn without_a_strong_tag_nothing_goes_on() {
    for etag in ["W/\"v1\"", ""] {
        let tries = AtomicU32::new(0);
        let server = Server::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
            0 => cut(etag),
            _ => Reply::ok(content()),
        })
        .await;
        let place = Place::new();
        client()
            .download(&request(&server.url("/f")), &place.path())
            .await
            .unwrap();
        assert_eq!(place.bytes(), content());
        assert!(server.asked().iter().all(|asked| asked.header("range").is_none()));
    }
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_not_taken() {
    let server = Server::start(|asked| match start_of(asked) {
        None => cut("\"v1\""),
        Some(start) => part(&content(), start - 4, "\"v1\""),
    })
    .await;
    let place = Place::new();
    let error = client()
        .download(&request(&server.url("/f")), &place.path())
        .await
        .unwrap_err();
    assert!(matches!(error, OutboundError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn a_beginning_of_something_else_is_thrown_away() {
    let server = Server::start(|_| Reply::ok("whole")).await;
    let place = Place::new();
    fs::write(place.path(), "of whom?").unwrap();
    fs::write(
        place.path().with_extension("of"),
        "http://127.0.0.1/other\n\"v1\"\n",
    )
    .unwrap();
    client()
        .download(&request(&server.url("/f")), &place.path())
        .await
        .unwrap();
    assert_eq!(place.bytes(), b"whole");
    assert_eq!(server.asked()[0].header("range"), None);
}

#[tokio::test]
async fn too_much_is_not_kept() {
    let server = Server::start(|_| Reply::status(200).pieces(vec![Piece::Endless(vec![0; 64 << 10])])).await;
    let place = Place::new();
    let error = client()
        .download(&request(&server.url("/f")), &place.path())
        .await
        .unwrap_err();
    assert!(
        matches!(error, OutboundError::TooLarge { most: MOST, .. }),
        "{error:?}"
    );
    assert!(place.bytes().is_empty());

    let server = Server::start(|asked| match start_of(asked) {
        None => cut("\"v1\""),
        Some(start) => Reply::status(206)
            .header("Content-Range", &format!("bytes {start}-9999999999/10000000000"))
            .body("x"),
    })
    .await;
    let url = server.url("/f").parse().unwrap();
    let error = client()
        .download(&Request::new(url, MOST), &place.path())
        .await
        .unwrap_err();
    assert!(matches!(error, OutboundError::TooLarge { .. }), "{error:?}");
}
