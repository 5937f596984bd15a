//! Blobs, and registries that send others than they say.

use std::time::Duration;

use outbound::OutboundError;
use outbound::distribution::{UpstreamBlob, UpstreamError};

use super::world::{IDLE, all, digest, repo, upstream};
use crate::server::{Piece, Reply, Server};

const BLOB: &[u8] = b"0123456789";

async fn blob(reply: Reply, from: u64) -> Result<UpstreamBlob, UpstreamError> {
    let server = Server::start(move |_| reply.clone()).await;
    let answered = upstream(&server).blob(&repo(), &digest(BLOB), from).await;
    let asked = server.asked().remove(0);
    assert_eq!(asked.path, format!("/v2/team/app/blobs/{}", digest(BLOB)));
    let range = (from > 0).then(|| format!("bytes={from}-"));
    assert_eq!(asked.header("range"), range.as_deref());
    answered
}

fn part(range: &str, body: &[u8]) -> Reply {
    Reply::status(206).body(body).header("Content-Range", range)
}

fn is_broken<T>(answered: Result<T, UpstreamError>, offence: &str) -> bool {
    match answered {
        Err(UpstreamError::Broken { offence: said, .. }) => said.contains(offence),
        _ => false,
    }
}

#[tokio::test]
async fn a_blob_comes_as_it_is() {
    let packed = Reply::ok(BLOB)
        .header("Content-Encoding", "gzip")
        .header("Content-Type", "text/html");
    for (reply, size) in [
        (Reply::ok(BLOB), Some(10)),
        (packed, Some(10)),
        (Reply::status(200).pieces(vec![Piece::Bytes(BLOB.to_vec())]), None),
        (Reply::ok(""), Some(0)),
    ] {
        let blob = blob(reply, 0).await.unwrap();
        assert_eq!((blob.size, blob.from), (size, 0));
        let bytes = all(blob.body).await.unwrap();
        assert!(bytes == BLOB || bytes.is_empty() && size == Some(0));
    }
}

#[tokio::test]
async fn a_part_begins_where_it_was_asked_for_or_at_the_start() {
    let rest = blob(part("bytes 4-9/10", &BLOB[4..]), 4).await.unwrap();
    assert_eq!((rest.size, rest.from), (Some(10), 4));
    assert_eq!(all(rest.body).await.unwrap(), &BLOB[4..]);

    let whole = blob(Reply::ok(BLOB), 4).await.unwrap();
    assert_eq!((whole.size, whole.from), (Some(10), 0));
    assert_eq!(all(whole.body).await.unwrap(), BLOB);

    let nothing = Reply::status(416).header("Content-Range", "bytes */10");
    let end = blob(nothing.clone(), 10).await.unwrap();
    assert_eq!((end.size, end.from), (Some(10), 10));
    assert!(all(end.body).await.unwrap().is_empty());
    assert!(is_broken(blob(nothing, 11).await, "fewer than 11 bytes"));
    assert!(is_broken(blob(Reply::status(416), 4).await, "fewer than"));

    for range in ["bytes 3-9/10", "bytes 0-9/10", "bytes 4-9/*", "4-9/10", ""] {
        let reply = part(range, &BLOB[4..]);
        assert!(is_broken(blob(reply, 4).await, "another part"), "{range}");
    }
    let short = part("bytes 4-9/10", &BLOB[4..8]);
    assert!(is_broken(blob(short, 4).await, "less of the blob"));
    // Who was not asked for a part must not send one.
    assert!(is_broken(blob(part("bytes 0-9/10", BLOB), 0).await, "206"));
}

#[tokio::test]
async fn who_lies_about_the_length_ends_in_an_error() {
    let short = blob(Reply::ok(BLOB).announcing(11), 0).await.unwrap();
    assert_eq!(short.size, Some(11));
    assert!(is_broken(all(short.body).await, "before it is whole"));

    let pieces = |bytes: &[u8]| {
        Reply::status(206)
            .header("Content-Range", "bytes 4-9/10")
            .pieces(vec![Piece::Bytes(bytes.to_vec())])
    };
    let short = blob(pieces(&BLOB[4..8]), 4).await.unwrap();
    assert!(is_broken(all(short.body).await, "2 bytes less than it said"));
    let long = blob(pieces(BLOB), 4).await.unwrap();
    assert!(is_broken(all(long.body).await, "more bytes than it said"));
}

#[tokio::test]
async fn silence_ends_it_and_a_slow_reader_does_not() {
    let pieces = vec![Piece::Bytes(BLOB.to_vec()), Piece::Pause(Duration::from_secs(30))];
    let mut mute = blob(Reply::status(200).pieces(pieces), 0).await.unwrap().body;
    assert_eq!(mute.chunk().await.unwrap().unwrap(), BLOB);
    let error = mute.chunk().await.unwrap().unwrap_err();
    let UpstreamError::Unreachable(source) = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**source, OutboundError::Slow { .. }));
    assert!(mute.chunk().await.is_none());

    let pieces = vec![
        Piece::Bytes(BLOB.to_vec()),
        Piece::Pause(IDLE / 2),
        Piece::Bytes(BLOB.to_vec()),
        Piece::Pause(IDLE * 2 + IDLE / 2),
        Piece::Bytes(BLOB.to_vec()),
    ];
    let mut body = blob(Reply::status(200).pieces(pieces), 0).await.unwrap().body;
    body.chunk().await.unwrap().unwrap();
    // Nobody asks while the upstream is silent for longer than it may be.
    body.chunk().await.unwrap().unwrap();
    tokio::time::sleep(IDLE * 3).await;
    assert_eq!(body.chunk().await.unwrap().unwrap(), BLOB);
    assert!(body.chunk().await.is_none());
}
