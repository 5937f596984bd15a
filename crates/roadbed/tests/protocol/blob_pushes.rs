//! Every way to push a blob, with both algorithms: in one request, in two, in chunks, as a stream, out of order, and
//! with bytes that are not what the digest says.

use anyhow::{Result, ensure};

use super::data_sets::Edition;
use crate::harness::{
    client::Client,
    content::{Algorithm, Blob},
    login::Login,
    push::{OCTETS, says_offset},
    server::{ADMIN, ADMIN_PASSWORD, Server},
    tally::Tally,
};

/// Bytes of a chunk; the last one of a blob is shorter.
const CHUNK: usize = 1024;

/// A blob that takes three chunks.
const THREE_CHUNKS: usize = 3 * CHUNK - 5;

const REPOSITORY: &str = "blobs/pushed";

/// A blob on its way, by one of the ways.
struct Push<'a> {
    client: &'a Client,
    blob: Blob,
}

impl Push<'_> {
    /// end-4b.
    async fn in_one_request(&self) -> Result<()> {
        let request = self
            .client
            .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
            .query("digest", &self.blob.digest);
        let answer = request
            .header("content-type", OCTETS)
            .body(self.blob.bytes.clone())
            .send()
            .await?;
        self.settled(&answer.expect(&[201])?).await
    }

    /// end-4b with a body of unknown length.
    async fn in_one_stream(&self) -> Result<()> {
        let request = self
            .client
            .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
            .query("digest", &self.blob.digest);
        let answer = request.streamed(self.blob.bytes.clone()).send().await?;
        self.settled(&answer.expect(&[201])?).await
    }

    /// end-4a, end-6.
    async fn in_two_requests(&self) -> Result<()> {
        let session = self.client.open_upload(REPOSITORY).await?;
        let request = self
            .client
            .finish_upload(&session, &self.blob.digest)
            .body(self.blob.bytes.clone());
        self.settled(&request.send().await?.expect(&[201])?).await
    }

    /// end-4a, end-5 without a range and without a length, end-6: Docker and containerd.
    async fn as_a_stream(&self) -> Result<()> {
        let session = self.client.open_upload(REPOSITORY).await?;
        let request = self.client.patch(session.as_str()).header("content-type", OCTETS);
        let answer = request
            .streamed(self.blob.bytes.clone())
            .send()
            .await?
            .expect(&[202])?;
        says_offset(&answer, self.blob.bytes.len())?;
        let answer = self
            .client
            .finish_upload(&answer.location()?, &self.blob.digest)
            .send()
            .await?;
        self.settled(&answer.expect(&[201])?).await
    }

    /// end-5 for each chunk, or end-6 for the last one; before each good chunk perhaps one that is out of order.
    async fn in_chunks(&self, last_by_put: bool, disorder: bool) -> Result<()> {
        let mut session = self.client.open_upload(REPOSITORY).await?;
        let bytes = &self.blob.bytes;
        for start in (0..bytes.len()).step_by(CHUNK) {
            if disorder {
                self.out_of_order(&session, start, last_by_put).await?;
            }
            let end = bytes.len().min(start + CHUNK);
            let chunk = self.client.send_chunk(&session, start, &bytes[start..end]);
            if last_by_put && end == bytes.len() {
                let range = format!("{start}-{}", end - 1);
                let request = self
                    .client
                    .finish_upload(&session, &self.blob.digest)
                    .header("content-range", range);
                let answer = request.body(bytes.slice(start..end)).send().await?;
                return self.settled(&answer.expect(&[201])?).await;
            }
            let answer = chunk.send().await?.expect(&[202])?;
            says_offset(&answer, end)?;
            session = answer.location()?;
        }
        let answer = self
            .client
            .finish_upload(&session, &self.blob.digest)
            .send()
            .await?;
        self.settled(&answer.expect(&[201])?).await
    }

    /// Skips a chunk, or goes back to the first: 416, and the session stays where it was.
    async fn out_of_order(&self, session: &reqwest::Url, start: usize, last_by_put: bool) -> Result<()> {
        let bytes = &self.blob.bytes;
        let wrong = if start + CHUNK < bytes.len() {
            start + CHUNK
        } else {
            0
        };
        let end = bytes.len().min(wrong + CHUNK);
        let request = if last_by_put && end == bytes.len() {
            let range = format!("{wrong}-{}", end - 1);
            let request = self
                .client
                .finish_upload(session, &self.blob.digest)
                .header("content-range", range);
            request.body(bytes.slice(wrong..end))
        } else {
            self.client.send_chunk(session, wrong, &bytes[wrong..end])
        };
        let refused = request.send().await?.expect_error(416, "BLOB_UPLOAD_INVALID")?;
        // The specification leaves it to a GET to tell where the session is; what is said at once must be right.
        if refused.header("range").is_some() {
            says_offset(&refused, start)?;
        }
        // The conformance program asks the URL that it used last, with the digest still on it.
        let mut asked = session.clone();
        asked.query_pairs_mut().append_pair("digest", &self.blob.digest);
        ensure!(
            self.client.upload_offset(&asked).await? == start,
            "the session moved"
        );
        Ok(())
    }

    /// 201 with a URL that serves it; then present, pulled, deleted, gone.
    async fn settled(&self, answer: &crate::harness::answer::Answer) -> Result<()> {
        self.client.check_blob_location(answer, &self.blob).await?;
        ensure!(
            answer.require("docker-content-digest")? == self.blob.digest,
            "{}",
            answer.summary()
        );
        self.client.check_blob(REPOSITORY, &self.blob).await?;
        let path = crate::harness::push::blob_path(REPOSITORY, &self.blob.digest);
        self.client.delete(path).send().await?.expect(&[202])?;
        self.client.check_no_blob(REPOSITORY, &self.blob.digest).await
    }
}

/// Sizes that meet borders: nothing, one byte, one chunk, a chunk and a byte, three chunks.
const SIZES: [usize; 6] = [0, 1, 512, CHUNK, CHUNK + 1, THREE_CHUNKS];

async fn good_pushes(client: &Client, algorithm: Algorithm, tally: &mut Tally) {
    for size in SIZES {
        let push = |way: &str| {
            let seed = format!("{way} {size}");
            Push {
                client,
                blob: Blob::noise(algorithm, &seed, size),
            }
        };
        let name = |way: &str| format!("{} {size} bytes {way}", algorithm.name());
        tally.record(name("in one request"), push("one").in_one_request().await);
        tally.record(name("in one stream"), push("one stream").in_one_stream().await);
        tally.record(name("in two requests"), push("two").in_two_requests().await);
        tally.record(name("as a stream"), push("stream").as_a_stream().await);
        tally.record(name("in chunks"), push("chunks").in_chunks(false, false).await);
        if size > 1 {
            tally.record(
                name("in chunks, the last by PUT"),
                push("put").in_chunks(true, false).await,
            );
        }
        if size == THREE_CHUNKS {
            tally.record(
                name("in chunks out of order"),
                push("disorder").in_chunks(false, true).await,
            );
            tally.record(
                name("in chunks out of order, the last by PUT"),
                push("both").in_chunks(true, true).await,
            );
        }
    }
    let empty = Push {
        client,
        blob: Blob::empty_json(algorithm),
    };
    tally.record(
        format!("{} empty object", algorithm.name()),
        empty.in_two_requests().await,
    );
}

/// end-6 and end-4b: 400 `DIGEST_INVALID`, and neither the promised nor the real digest is there.
async fn wrong_digest(client: &Client, algorithm: Algorithm, way: &str) -> Result<()> {
    let promised = Blob::noise(algorithm, &format!("promised {way}"), THREE_CHUNKS);
    let mut sent = promised.bytes.to_vec();
    sent.extend_from_slice(b"oh no");
    let sent = Blob::new(algorithm, sent);
    let answer = match way {
        "one request" => {
            let request = client
                .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
                .query("digest", &promised.digest);
            request.body(sent.bytes.clone()).send().await?
        }
        "two requests" => {
            let session = client.open_upload(REPOSITORY).await?;
            client
                .finish_upload(&session, &promised.digest)
                .body(sent.bytes.clone())
                .send()
                .await?
        }
        "chunks" => {
            let session = client.open_upload(REPOSITORY).await?;
            let (first, second) = sent.bytes.split_at(CHUNK);
            client
                .send_chunk(&session, 0, first)
                .send()
                .await?
                .expect(&[202])?;
            client
                .send_chunk(&session, CHUNK, second)
                .send()
                .await?
                .expect(&[202])?;
            client.finish_upload(&session, &promised.digest).send().await?
        }
        _ => {
            let session = client.open_upload(REPOSITORY).await?;
            client
                .patch(session.as_str())
                .streamed(sent.bytes.clone())
                .send()
                .await?
                .expect(&[202])?;
            client.finish_upload(&session, &promised.digest).send().await?
        }
    };
    answer.expect_error(400, "DIGEST_INVALID")?;
    client.check_no_blob(REPOSITORY, &promised.digest).await?;
    client.check_no_blob(REPOSITORY, &sent.digest).await
}

async fn pushes(edition: Edition, login: Login) {
    let server = Server::start().await;
    let client = server.client(login);
    let mut tally = Tally::new(format!("blob pushes, {}", edition.name()));
    for algorithm in Algorithm::ALL {
        good_pushes(&client, algorithm, &mut tally).await;
        for way in ["one request", "two requests", "chunks", "stream"] {
            let outcome = wrong_digest(&client, algorithm, way).await;
            tally.record(format!("{} wrong digest, {way}", algorithm.name()), outcome);
        }
    }
    if edition == Edition::Main {
        hinted_pushes(&client, &mut tally).await;
    }
    tally.finish(&server);
}

/// end-4c: `digest-algorithm` is a hint; an unknown one is refused before a byte is sent.
async fn hinted_pushes(client: &Client, tally: &mut Tally) {
    for hint in Algorithm::ALL {
        for used in Algorithm::ALL {
            let outcome = hinted(client, hint, used).await;
            tally.record(format!("hint {}, digest {}", hint.name(), used.name()), outcome);
        }
    }
    for unknown in ["md5", "sha1", "SHA256", "", "sha256,sha512", "sha3-512"] {
        let request = client
            .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
            .query("digest-algorithm", unknown);
        let outcome = match request.send().await {
            Ok(answer) => answer.expect_error(400, "DIGEST_INVALID").map(drop),
            Err(error) => Err(error),
        };
        tally.record(format!("hint {unknown:?}"), outcome);
    }
}

async fn hinted(client: &Client, hint: Algorithm, used: Algorithm) -> Result<()> {
    let blob = Blob::noise(used, &format!("{} {}", hint.name(), used.name()), THREE_CHUNKS);
    let request = client
        .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
        .query("digest-algorithm", hint.name());
    let session = request.send().await?.expect(&[202])?.location()?;
    let session = client
        .patch(session.as_str())
        .streamed(blob.bytes.clone())
        .send()
        .await?
        .expect(&[202])?
        .location()?;
    client
        .finish_upload(&session, &blob.digest)
        .send()
        .await?
        .expect(&[201])?;
    client.check_blob(REPOSITORY, &blob).await
}

#[tokio::test]
async fn every_way_to_push_a_blob_of_1_1() {
    pushes(Edition::V1_1, Login::basic(ADMIN, ADMIN_PASSWORD)).await;
}

#[tokio::test]
async fn every_way_to_push_a_blob_of_main() {
    pushes(Edition::Main, Login::token(ADMIN, ADMIN_PASSWORD)).await;
}
