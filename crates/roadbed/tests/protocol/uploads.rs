//! Upload sessions: end-4 to end-6, end-13 and end-14. Their state, their end, and how they survive.

use std::{future::Future, time::Duration};

use anyhow::{Result, ensure};
use reqwest::Url;

use crate::harness::{
    client::Client,
    content::{Algorithm, Blob},
    push::offset_of,
    server::Server,
    tally::Tally,
};

const REPOSITORY: &str = "uploads/one";
const OTHER: &str = "uploads/other";

fn blob(seed: &str) -> Blob {
    Blob::noise(Algorithm::Sha256, seed, 3000)
}

/// What is left of a session that is over: 404 for everything.
async fn is_over(client: &Client, session: &Url, blob: &Blob) -> Result<()> {
    client
        .get(session.as_str())
        .send()
        .await?
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    client
        .send_chunk(session, 0, b"late")
        .send()
        .await?
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    client
        .finish_upload(session, &blob.digest)
        .body(blob.bytes.clone())
        .send()
        .await?
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    client
        .delete(session.as_str())
        .send()
        .await?
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    Ok(())
}

/// What every session must still be able to do after something went wrong with it.
async fn goes_on(client: &Client, session: &Url, repository: &str, blob: &Blob) -> Result<()> {
    let offset = client.upload_offset(session).await?;
    ensure!(
        offset <= blob.bytes.len(),
        "the session holds {offset} bytes, {} were sent",
        blob.bytes.len()
    );
    let rest = &blob.bytes[offset..];
    if !rest.is_empty() {
        client
            .send_chunk(session, offset, rest)
            .send()
            .await?
            .expect(&[202])?;
    }
    client
        .finish_upload(session, &blob.digest)
        .send()
        .await?
        .expect(&[201])?;
    client.check_blob(repository, blob).await
}

async fn fresh(client: Client) -> Result<()> {
    let answer = client
        .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
        .send()
        .await?
        .expect(&[202])?;
    ensure!(
        offset_of(&answer)? == 0 && answer.body.is_empty(),
        "{}",
        answer.summary()
    );
    let other = client
        .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
        .send()
        .await?
        .expect(&[202])?;
    ensure!(
        answer.location()? != other.location()?,
        "two sessions share a URL"
    );
    ensure!(
        client.upload_offset(&answer.location()?).await? == 0,
        "a fresh session is not empty"
    );
    Ok(())
}

async fn counts(client: Client) -> Result<()> {
    let blob = blob("counts");
    let session = client.open_upload(REPOSITORY).await?;
    let answer = client
        .send_chunk(&session, 0, &blob.bytes[..10])
        .send()
        .await?
        .expect(&[202])?;
    ensure!(answer.require("range")? == "0-9", "{}", answer.summary());
    ensure!(client.upload_offset(&session).await? == 10, "not 10 bytes");
    goes_on(&client, &session, REPOSITORY, &blob).await
}

/// Without a range a PATCH goes on where the session ends.
async fn appends(client: Client) -> Result<()> {
    let blob = blob("appends");
    let session = client.open_upload(REPOSITORY).await?;
    for part in [&blob.bytes[..1000], &blob.bytes[1000..2500]] {
        client
            .patch(session.as_str())
            .streamed(part.to_vec())
            .send()
            .await?
            .expect(&[202])?;
    }
    client
        .patch(session.as_str())
        .body("")
        .send()
        .await?
        .expect(&[202])?;
    ensure!(client.upload_offset(&session).await? == 2500, "not 2500 bytes");
    let answer = client
        .finish_upload(&session, &blob.digest)
        .body(blob.bytes.slice(2500..))
        .send()
        .await?;
    client.check_blob_location(&answer.expect(&[201])?, &blob).await
}

async fn finished_is_over(client: Client) -> Result<()> {
    let blob = blob("finished");
    let session = client.open_upload(REPOSITORY).await?;
    client
        .finish_upload(&session, &blob.digest)
        .body(blob.bytes.clone())
        .send()
        .await?
        .expect(&[201])?;
    is_over(&client, &session, &blob).await
}

async fn cancelled_is_over(client: Client) -> Result<()> {
    let blob = blob("cancelled");
    let session = client.open_upload(REPOSITORY).await?;
    client
        .send_chunk(&session, 0, &blob.bytes[..100])
        .send()
        .await?
        .expect(&[202])?;
    client.delete(session.as_str()).send().await?.expect(&[204])?;
    is_over(&client, &session, &blob).await?;
    client.check_no_blob(REPOSITORY, &blob.digest).await
}

/// A session belongs to its repository.
async fn not_of_another_repository(client: Client) -> Result<()> {
    let blob = blob("foreign");
    let session = client.open_upload(REPOSITORY).await?;
    let foreign = Url::parse(&session.as_str().replace(REPOSITORY, OTHER))?;
    is_over(&client, &foreign, &blob).await?;
    goes_on(&client, &session, REPOSITORY, &blob).await
}

async fn unknown_ids(client: Client) -> Result<()> {
    let ids = [
        "00000000-0000-4000-8000-000000000000",
        "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000",
        "nonsense",
        "1",
        "_",
    ];
    for id in ids {
        let session = client.url(&format!("/v2/{REPOSITORY}/blobs/uploads/{id}"));
        is_over(&client, &session, &blob(id)).await?;
    }
    Ok(())
}

async fn repeated_chunk(client: Client) -> Result<()> {
    let blob = blob("repeated");
    let session = client.open_upload(REPOSITORY).await?;
    client
        .send_chunk(&session, 0, &blob.bytes[..1000])
        .send()
        .await?
        .expect(&[202])?;
    let refused = client.send_chunk(&session, 0, &blob.bytes[..1000]).send().await?;
    refused.expect_error(416, "BLOB_UPLOAD_INVALID")?;
    ensure!(client.upload_offset(&session).await? == 1000, "the session moved");
    goes_on(&client, &session, REPOSITORY, &blob).await
}

/// Specification, "Pushing a blob in chunks": the range is `^[0-9]+-[0-9]+$`.
async fn bad_ranges(client: Client) -> Result<()> {
    for range in [
        "abc",
        "5-1",
        "0-",
        "-9",
        "0-9-9",
        "bytes=0-9",
        "0 - 9",
        "0-99999999999999999999999999",
        "9-0",
    ] {
        let blob = blob(range);
        let session = client.open_upload(REPOSITORY).await?;
        let request = client
            .patch(session.as_str())
            .header("content-range", range)
            .body(blob.bytes.slice(..10));
        request
            .send()
            .await?
            .expect_one_error(&[400, 416], &["BLOB_UPLOAD_INVALID", "SIZE_INVALID"])?;
        ensure!(
            client.upload_offset(&session).await? == 0,
            "{range}: bytes were taken"
        );
        goes_on(&client, &session, REPOSITORY, &blob).await?;
    }
    Ok(())
}

/// The range says ten bytes, other many come: refused, and whatever was kept is a true beginning of the blob.
async fn range_and_length_differ(client: Client) -> Result<()> {
    let blob = blob("differ");
    for sent in [5, 15] {
        let session = client.open_upload(REPOSITORY).await?;
        let request = client
            .patch(session.as_str())
            .header("content-range", "0-9")
            .body(blob.bytes.slice(..sent));
        request
            .send()
            .await?
            .expect_one_error(&[400, 416], &["BLOB_UPLOAD_INVALID", "SIZE_INVALID"])?;
        goes_on(&client, &session, REPOSITORY, &blob).await?;
    }
    Ok(())
}

async fn bad_digests_at_the_end(client: Client) -> Result<()> {
    let blob = blob("no digest");
    let session = client.open_upload(REPOSITORY).await?;
    client
        .send_chunk(&session, 0, &blob.bytes[..1000])
        .send()
        .await?
        .expect(&[202])?;
    client
        .put(session.as_str())
        .body("")
        .send()
        .await?
        .expect_error(400, "DIGEST_INVALID")?;
    let hex = &blob.digest["sha256:".len()..];
    let bad = [
        "sha256:abc".to_owned(),
        format!("md5:{}", &hex[..32]),
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha512:{hex}"),
        format!("sha256-{hex}"),
        hex.to_owned(),
        String::new(),
        format!("sha256:{hex} "),
    ];
    for digest in bad {
        client
            .finish_upload(&session, &digest)
            .send()
            .await?
            .expect_error(400, "DIGEST_INVALID")?;
    }
    ensure!(
        client.upload_offset(&session).await? == 1000,
        "the session lost what it had"
    );
    goes_on(&client, &session, REPOSITORY, &blob).await
}

/// Two chunks at once for the same place: one is taken, the other is told so, nothing is mixed.
async fn two_at_once(client: Client) -> Result<()> {
    let blob = Blob::noise(Algorithm::Sha256, "at once", 2 * 1024 * 1024);
    let session = client.open_upload(REPOSITORY).await?;
    let half = &blob.bytes[..1024 * 1024];
    let (first, second) = tokio::join!(
        client.send_chunk(&session, 0, half).send(),
        client.send_chunk(&session, 0, half).send()
    );
    let statuses = [
        first?.expect(&[202, 416, 429, 409])?.status,
        second?.expect(&[202, 416, 429, 409])?.status,
    ];
    ensure!(
        statuses.iter().filter(|status| **status == 202).count() == 1,
        "{statuses:?}"
    );
    goes_on(&client, &session, REPOSITORY, &blob).await
}

/// The same blob pushed by many at once is stored once and acknowledged to all.
async fn same_blob_at_once(client: Client) -> Result<()> {
    let blob = Blob::noise(Algorithm::Sha256, "same", 300_000);
    let pushes = (0..8).map(|number| {
        let (client, blob) = (client.clone(), blob.clone());
        tokio::spawn(async move {
            client
                .push_blob(&format!("uploads/same-{}", number % 3), &blob)
                .await
                .map(drop)
        })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await??;
    }
    for number in 0..3 {
        client
            .check_blob(&format!("uploads/same-{number}"), &blob)
            .await?;
    }
    Ok(())
}

async fn checked(tally: &mut Tally, name: &str, check: impl Future<Output = Result<()>>) {
    tally.record(name, check.await);
}

#[tokio::test]
async fn upload_sessions() {
    let server = Server::start().await;
    let client = || server.admin();
    let mut tally = Tally::new("upload sessions");
    let t = &mut tally;
    checked(t, "a fresh session", fresh(client())).await;
    checked(t, "a session counts its bytes", counts(client())).await;
    checked(t, "PATCH without a range appends", appends(client())).await;
    checked(t, "a finished session is over", finished_is_over(client())).await;
    checked(t, "a cancelled session is over", cancelled_is_over(client())).await;
    checked(
        t,
        "a session of another repository",
        not_of_another_repository(client()),
    )
    .await;
    checked(t, "unknown ids", unknown_ids(client())).await;
    checked(t, "a chunk sent twice", repeated_chunk(client())).await;
    checked(t, "ranges out of grammar", bad_ranges(client())).await;
    checked(t, "range and length differ", range_and_length_differ(client())).await;
    checked(t, "bad digests at the end", bad_digests_at_the_end(client())).await;
    checked(t, "two chunks at once", two_at_once(client())).await;
    checked(t, "the same blob at once", same_blob_at_once(client())).await;
    tally.finish(&server);
}

/// The URL of a session on the port where the server listens now.
fn moved(session: &Url, server: &Server) -> Url {
    let mut session = session.clone();
    session
        .set_port(Some(server.address().port()))
        .expect("an address has a port");
    session
}

#[tokio::test]
async fn upload_sessions_survive_a_restart() {
    let mut server = Server::start().await;
    let mut tally = Tally::new("upload sessions over restarts");
    for way in ["SIGTERM", "SIGKILL"] {
        let client = server.admin();
        let blob = blob(way);
        let session = client.open_upload(REPOSITORY).await.unwrap();
        client
            .send_chunk(&session, 0, &blob.bytes[..2000])
            .send()
            .await
            .unwrap()
            .expect(&[202])
            .unwrap();
        if way == "SIGTERM" {
            tally.check("ends well on SIGTERM", server.terminate().await.success());
        } else {
            server.kill();
        }
        server.start_again().await;
        let client = server.admin();
        let session = moved(&session, &server);
        let offset = client.upload_offset(&session).await;
        tally.check(
            format!("{way}: acknowledged bytes are there: {offset:?}"),
            offset.is_ok_and(|offset| offset == 2000),
        );
        tally.record(
            format!("{way}: the session goes on"),
            goes_on(&client, &session, REPOSITORY, &blob).await,
        );
    }
    tally.finish(&server);
}

/// A stream that stops without an end: what arrived is kept, and the client goes on from there.
#[tokio::test]
async fn a_client_that_comes_back_resumes() {
    let server = Server::start().await;
    let client = server.admin();
    let mut tally = Tally::new("resumed uploads");
    for (name, reset) in [("goes away", false), ("is cut off", true)] {
        let blob = Blob::noise(Algorithm::Sha256, name, 1_000_000);
        let outcome = super::bad_clients::abandon_and_resume(&server, &client, &blob, reset).await;
        tally.record(format!("a client that {name} in the middle of a stream"), outcome);
    }
    tally.finish(&server);
}

/// How long the server may take to notice that a client is gone.
pub(crate) const NOTICE: Duration = Duration::from_secs(10);
