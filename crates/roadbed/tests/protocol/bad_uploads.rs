//! Bad uploads with a witness: after each of them the image that was there before is whole, and a good push works.

use anyhow::Result;

use super::witness::Witness;
use crate::harness::{
    content::{Algorithm, Blob},
    push::OCTETS,
    server::Server,
    tally::Tally,
};

/// Rows: what is wrong, the request behind `/v2/NAME/`, its `Content-Range`, the statuses and codes that it may get.
/// `{good}` is the digest of the body, `{other}` of something else, `{session}` an open session.
struct Row(
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static [u16],
    &'static [&'static str],
);

const UPLOAD_UNKNOWN: &[&str] = &["BLOB_UPLOAD_UNKNOWN"];
const DIGEST_INVALID: &[&str] = &["DIGEST_INVALID"];
const UPLOAD_INVALID: &[&str] = &["BLOB_UPLOAD_INVALID", "SIZE_INVALID"];

const ROWS: &[Row] = &[
    Row(
        "wrong digest in one request",
        "POST",
        "blobs/uploads/?digest={other}",
        None,
        &[400],
        DIGEST_INVALID,
    ),
    Row(
        "wrong digest at the end",
        "PUT",
        "{session}?digest={other}",
        None,
        &[400],
        DIGEST_INVALID,
    ),
    Row(
        "unknown algorithm in one request",
        "POST",
        "blobs/uploads/?digest=md5:d41d8cd98f00b204e9800998ecf8427e",
        None,
        &[400],
        DIGEST_INVALID,
    ),
    Row(
        "unknown algorithm at the end",
        "PUT",
        "{session}?digest=sha3-256:{hex}",
        None,
        &[400],
        DIGEST_INVALID,
    ),
    Row(
        "unknown algorithm as a hint",
        "POST",
        "blobs/uploads/?digest-algorithm=md5",
        None,
        &[400],
        DIGEST_INVALID,
    ),
    Row(
        "no digest at the end",
        "PUT",
        "{session}",
        None,
        &[400],
        DIGEST_INVALID,
    ),
    Row(
        "a chunk too far",
        "PATCH",
        "{session}",
        Some("5000-8000"),
        &[416],
        UPLOAD_INVALID,
    ),
    Row(
        "a last chunk too far",
        "PUT",
        "{session}?digest={good}",
        Some("5000-8000"),
        &[416],
        UPLOAD_INVALID,
    ),
    Row(
        "a range that is none",
        "PATCH",
        "{session}",
        Some("none"),
        &[400, 416],
        UPLOAD_INVALID,
    ),
    Row(
        "a range that is longer than the body",
        "PATCH",
        "{session}",
        Some("0-99999"),
        &[400, 416],
        UPLOAD_INVALID,
    ),
    Row(
        "an unknown session",
        "PATCH",
        "blobs/uploads/01890a5d-ac96-774b-bcce-b302099a8057",
        None,
        &[404],
        UPLOAD_UNKNOWN,
    ),
    Row(
        "an unknown session at the end",
        "PUT",
        "blobs/uploads/01890a5d-ac96-774b-bcce-b302099a8057?digest={good}",
        None,
        &[404],
        UPLOAD_UNKNOWN,
    ),
    Row(
        "a session that is a digest",
        "PUT",
        "blobs/uploads/{good}?digest={good}",
        None,
        &[404],
        UPLOAD_UNKNOWN,
    ),
];

async fn refused(witness: &Witness, row: &Row) -> Result<()> {
    let Row(name, method, target, range, statuses, codes) = row;
    let blob = Blob::noise(Algorithm::Sha256, name, 3001);
    let other = Blob::noise(Algorithm::Sha256, "something else", 3001);
    let session = witness.client.open_upload(&witness.repository).await?;
    let own = session
        .path()
        .trim_start_matches(&format!("/v2/{}/", witness.repository))
        .to_owned();
    let target = target
        .replace("{good}", &blob.digest)
        .replace("{other}", &other.digest)
        .replace("{hex}", &blob.digest["sha256:".len()..])
        .replace("{session}", &own);
    let mut request = witness
        .client
        .request(method, witness.path(&target))
        .header("content-type", OCTETS);
    if let Some(range) = range {
        request = request.header("content-range", *range);
    }
    request
        .body(blob.bytes.clone())
        .send()
        .await?
        .expect_one_error(statuses, codes)?;
    witness
        .client
        .check_no_blob(&witness.repository, &blob.digest)
        .await?;
    witness
        .client
        .check_no_blob(&witness.repository, &other.digest)
        .await?;
    witness.unharmed().await?;
    // The same bytes, pushed as they should be, are taken.
    witness.client.push_blob(&witness.repository, &blob).await?;
    witness
        .client
        .delete(witness.path(&format!("blobs/{}", blob.digest)))
        .send()
        .await?
        .expect(&[202])?;
    Ok(())
}

#[tokio::test]
async fn bad_uploads_lose_nothing() {
    let server = Server::start().await;
    let witness = Witness::push(&server, "bad/uploads").await;
    let mut tally = Tally::new("bad uploads");
    for row in ROWS {
        tally.record(row.0, refused(&witness, row).await);
    }
    tally.finish(&server);
}

/// A chunk whose length only its end tells, against its range. The message says what is known: how much was announced.
async fn chunked_against_its_range(witness: &Witness) -> Result<()> {
    let blob = Blob::noise(Algorithm::Sha256, "a chunk of unknown length", 40_000);
    for (range, said) in [
        ("0-9999", "more than the 10000 bytes that were announced"),
        ("0-49999", "has 40000 bytes where 50000 were announced"),
    ] {
        let session = witness.client.open_upload(&witness.repository).await?;
        let answer = witness
            .client
            .patch(session.path())
            .header("content-range", range)
            .streamed(blob.bytes.clone())
            .send()
            .await?
            .expect_error(400, "SIZE_INVALID")?;
        let text = String::from_utf8_lossy(&answer.body);
        anyhow::ensure!(text.contains(said), "{range}: {text}");
    }
    witness.unharmed().await
}

#[tokio::test]
async fn a_chunk_that_is_not_as_long_as_its_range_is_told_so() {
    let server = Server::start().await;
    let witness = Witness::push(&server, "bad/ranges").await;
    chunked_against_its_range(&witness).await.unwrap();
}
