//! Caps that an operator can set, each exceeded: the answer says so, what was there stays, and what fits still works.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::join_all;

use super::{data_sets::KIND_ONE, witness::Witness};
use crate::harness::{
    answer::Answer,
    client::Client,
    content::{Algorithm, Blob},
    login::basic_header,
    manifest::{CONFIG, Document, Draft, EMPTY_JSON, IMAGE, LAYER_GZIP},
    push::OCTETS,
    raw::Connection,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
    tally::Tally,
};

const MIB: usize = 1024 * 1024;

/// As small as the configuration allows, so that exceeding them costs little.
const SMALL: [(&str, &str); 10] = [
    ("ROADBED_REGISTRY__MANIFEST_BYTES", "64KiB"),
    ("ROADBED_REGISTRY__MANIFEST_LAYERS", "3"),
    ("ROADBED_REGISTRY__MANIFEST_CHILDREN", "3"),
    ("ROADBED_REGISTRY__PAGE_ITEMS", "2"),
    ("ROADBED_STORAGE__MANIFEST_DEPTH", "1"),
    ("ROADBED_STORAGE__REFERRERS_PER_SUBJECT", "5"),
    ("ROADBED_STORAGE__TAGS_PER_PUT", "10"),
    ("ROADBED_STORAGE__BLOB_BYTES", "2MiB"),
    ("ROADBED_STORAGE__UPLOADS_PER_PRINCIPAL", "4"),
    ("ROADBED_STORAGE__UPLOAD_BYTES_PER_PRINCIPAL", "3MiB"),
];

/// Quick to give up on whoever is slow.
const IMPATIENT: [(&str, &str); 6] = [
    ("ROADBED_CONNECTIONS__HEADER_TIMEOUT", "1s"),
    ("ROADBED_CONNECTIONS__IDLE_TIMEOUT", "1s"),
    ("ROADBED_CONNECTIONS__RATE_WINDOW", "1s"),
    ("ROADBED_CONNECTIONS__MINIMUM_WRITE_RATE", "10KiB"),
    ("ROADBED_CONNECTIONS__HEADERS", "16"),
    ("ROADBED_REGISTRY__CONCURRENT_UPLOADS", "4"),
];

/// What a slow client may take at most before it is cut: the limits above with room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

async fn start(settings: &[(&str, &str)]) -> Server {
    let options = settings
        .iter()
        .fold(Options::default(), |options, (name, value)| {
            options.environment(name, value)
        });
    Server::start_with(options).await
}

/// 429 tells when to come again.
fn comes_again(answer: Answer) -> Result<()> {
    let answer = answer.expect_error(429, "TOOMANYREQUESTS")?;
    let seconds: u64 = answer.require("retry-after")?.parse()?;
    ensure!((1..=3600).contains(&seconds), "Retry-After: {seconds}");
    Ok(())
}

async fn put(witness: &Witness, document: &Document) -> Result<Answer> {
    witness
        .client
        .push_manifest(&witness.repository, &document.digest, document)
        .await
}

async fn manifests(witness: &Witness) -> Result<()> {
    let (config, layer) = (
        witness.blobs[0].descriptor(CONFIG),
        witness.blobs[1].descriptor(LAYER_GZIP),
    );
    let image = |layers: usize| Draft::image(config.clone(), vec![layer.clone(); layers]);
    let index = |children: usize| Draft::index(vec![witness.document.descriptor(); children]);
    let long = "x".repeat(70_000);
    put(witness, &image(1).annotation("fill", &long).finish())
        .await?
        .expect_error(413, "SIZE_INVALID")?;
    put(witness, &image(4).finish())
        .await?
        .expect_error(400, "MANIFEST_INVALID")?;
    put(witness, &image(3).finish()).await?.expect(&[201])?;
    put(witness, &index(4).finish())
        .await?
        .expect_error(400, "MANIFEST_INVALID")?;
    let flat = index(3).finish();
    put(witness, &flat).await?.expect(&[201])?;
    put(witness, &Draft::index(vec![flat.descriptor()]).finish())
        .await?
        .expect_error(400, "MANIFEST_INVALID")?;
    witness.unharmed().await
}

/// A flood of referrers ends at the cap; those that came first stay, and other subjects are not touched.
async fn referrers(witness: &Witness) -> Result<()> {
    witness
        .client
        .push_blob(&witness.repository, &Blob::empty_json(Algorithm::Sha256))
        .await?;
    let empty = Blob::empty_json(Algorithm::Sha256).descriptor(EMPTY_JSON);
    let referrer = |subject: &Document, number: usize| {
        let draft = Draft::image(empty.clone(), vec![empty.clone()]).artifact_type(KIND_ONE);
        draft
            .subject(subject.descriptor())
            .annotation("org.example.number", &number.to_string())
            .finish()
    };
    for number in 0..5 {
        put(witness, &referrer(&witness.document, number))
            .await?
            .expect(&[201])?;
    }
    let surplus = referrer(&witness.document, 5);
    put(witness, &surplus).await?.expect_error(403, "DENIED")?;
    witness
        .client
        .check_no_manifest(&witness.repository, &surplus.digest)
        .await?;
    put(witness, &referrer(&witness.document, 0))
        .await?
        .expect(&[201])?;
    put(witness, &referrer(&referrer(&witness.document, 0), 6))
        .await?
        .expect(&[201])?;
    let (mut next, mut listed) = (
        Some(
            witness
                .client
                .url(&witness.path(&format!("referrers/{}", witness.document.digest))),
        ),
        0,
    );
    while let Some(url) = next {
        let answer = witness.client.get(url.as_str()).send().await?.expect(&[200])?;
        let page = answer.json()?["manifests"].as_array().map_or(0, Vec::len);
        ensure!(page <= 2, "a page of {page} entries");
        listed += page;
        next = answer.next_link()?;
    }
    ensure!(listed == 5, "{listed} are listed");
    witness.unharmed().await
}

async fn tags(witness: &Witness) -> Result<()> {
    let query = |count: usize| {
        (0..count)
            .map(|number| format!("tag=cap-{number}"))
            .collect::<Vec<_>>()
            .join("&")
    };
    for (count, status) in [(11, 414), (10, 201)] {
        let path = witness.path(&format!("manifests/{}?{}", witness.document.digest, query(count)));
        let request = witness
            .client
            .put(path)
            .header("content-type", IMAGE)
            .body(witness.document.bytes.clone());
        request.send().await?.expect(&[status])?;
        let tag = if status == 201 { "cap-9" } else { "cap-0" };
        let status = if status == 201 { 200 } else { 404 };
        witness
            .client
            .head(witness.path(&format!("manifests/{tag}")))
            .send()
            .await?
            .expect(&[status])?;
    }
    for number in 0..10 {
        witness
            .client
            .delete(witness.path(&format!("manifests/cap-{number}")))
            .send()
            .await?
            .expect(&[202])?;
    }
    witness.unharmed().await
}

async fn sessions(witness: &Witness) -> Result<()> {
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(witness.client.open_upload(&witness.repository).await?);
    }
    let request = || witness.client.post(witness.path("blobs/uploads/"));
    comes_again(request().send().await?)?;
    for session in &open {
        ensure!(
            witness.client.upload_offset(session).await? == 0,
            "an open session went"
        );
    }
    witness
        .client
        .delete(open[0].as_str())
        .send()
        .await?
        .expect(&[204])?;
    open[0] = request().send().await?.expect(&[202])?.location()?;
    for session in open {
        witness
            .client
            .delete(session.as_str())
            .send()
            .await?
            .expect(&[204])?;
    }
    witness.unharmed().await
}

/// Bytes in open sessions, and bytes of one blob; both with and without a length in advance.
async fn bytes(witness: &Witness) -> Result<()> {
    let client = &witness.client;
    let fits = Blob::noise(Algorithm::Sha256, "fits", 2 * MIB);
    let large = Blob::noise(Algorithm::Sha256, "large", 2 * MIB + 1);
    for streamed in [false, true] {
        let session = client.open_upload(&witness.repository).await?;
        let request = client.patch(session.as_str()).header("content-type", OCTETS);
        let request = if streamed {
            request.streamed(large.bytes.clone())
        } else {
            request.body(large.bytes.clone())
        };
        request.send().await?.expect_error(413, "SIZE_INVALID")?;
        client.delete(session.as_str()).send().await?.expect(&[204])?;
    }
    let path = witness.path("blobs/uploads/");
    let request = client
        .post(path)
        .query("digest", &large.digest)
        .body(large.bytes.clone());
    request.send().await?.expect_error(413, "SIZE_INVALID")?;
    client.check_no_blob(&witness.repository, &large.digest).await?;
    let (first, second) = (
        client.open_upload(&witness.repository).await?,
        client.open_upload(&witness.repository).await?,
    );
    client
        .send_chunk(&first, 0, &fits.bytes)
        .send()
        .await?
        .expect(&[202])?;
    comes_again(client.send_chunk(&second, 0, &fits.bytes).send().await?)?;
    client
        .finish_upload(&first, &fits.digest)
        .send()
        .await?
        .expect(&[201])?;
    client.check_blob(&witness.repository, &fits).await?;
    // What the first held is free again.
    let offset = client.upload_offset(&second).await?;
    client
        .send_chunk(&second, offset, &fits.bytes[offset..])
        .send()
        .await?
        .expect(&[202])?;
    client
        .finish_upload(&second, &fits.digest)
        .send()
        .await?
        .expect(&[201])?;
    witness.unharmed().await
}

/// Without `n` a page is as long as the cap, and `Link` leads to the rest.
async fn pages(client: &Client, witness: &Witness) -> Result<()> {
    for tag in ["a", "b", "c"] {
        client
            .push_image("caps/pages", tag, &witness.blobs, &witness.document)
            .await?;
    }
    let answer = client
        .get("/v2/caps/pages/tags/list")
        .send()
        .await?
        .expect(&[200])?;
    ensure!(
        answer.json()?["tags"] == serde_json::json!(["a", "b"]),
        "{}",
        answer.summary()
    );
    let next = answer.next_link()?;
    ensure!(next.is_some(), "no Link: {}", answer.summary());
    let answer = client
        .get(next.map(String::from).unwrap_or_default())
        .send()
        .await?
        .expect(&[200])?;
    ensure!(
        answer.json()?["tags"] == serde_json::json!(["c"]) && answer.next_link()?.is_none(),
        "{}",
        answer.summary()
    );
    let answer = client
        .get("/v2/caps/pages/tags/list?n=100")
        .send()
        .await?
        .expect(&[200])?;
    ensure!(
        answer.next_link()?.is_some(),
        "`n` went over the cap: {}",
        answer.summary()
    );
    Ok(())
}

#[tokio::test]
async fn caps_on_content() {
    let server = start(&SMALL).await;
    let witness = Witness::push(&server, "caps/content").await;
    let mut tally = Tally::new("caps on content");
    tally.record("manifests", manifests(&witness).await);
    tally.record("tags in one PUT", tags(&witness).await);
    tally.record("upload sessions", sessions(&witness).await);
    tally.record("bytes", bytes(&witness).await);
    tally.record("pages", pages(&server.admin(), &witness).await);
    tally.record("referrers", referrers(&witness).await);
    tally.finish(&server);
}

/// A connection that sends something and then nothing: closed in good time, perhaps with a word.
async fn silence(server: &Server, sent: &str) -> Result<()> {
    let mut connection = Connection::open(server.address()).await?;
    connection.send(sent).await?;
    let answer = tokio::time::timeout(PATIENCE, connection.read_to_end()).await??;
    ensure!(
        [0, 200, 400, 401, 408].contains(&answer.status),
        "{}",
        answer.text
    );
    Ok(())
}

/// A body that trickles is cut; what arrived is kept for a client that was only unlucky.
async fn slow_sender(server: &Server, witness: &Witness) -> Result<()> {
    let blob = Blob::noise(Algorithm::Sha256, "slow", 50_000);
    let session = witness.client.open_upload(&witness.repository).await?;
    let mut connection = Connection::open(server.address()).await?;
    connection
        .send(patch_head(server, session.path(), blob.bytes.len()))
        .await?;
    connection.send(&blob.bytes[..1000]).await?;
    let answer = tokio::time::timeout(PATIENCE, connection.read_to_end()).await??;
    ensure!([0, 408].contains(&answer.status), "{}", answer.text);
    let offset = witness.client.upload_offset(&session).await?;
    ensure!(offset <= 1000, "{offset} bytes of 1000");
    witness
        .client
        .send_chunk(&session, offset, &blob.bytes[offset..])
        .send()
        .await?
        .expect(&[202])?;
    witness
        .client
        .finish_upload(&session, &blob.digest)
        .send()
        .await?
        .expect(&[201])?;
    witness.client.check_blob(&witness.repository, &blob).await
}

fn patch_head(server: &Server, path: &str, length: usize) -> String {
    let authorization = basic_header(ADMIN, ADMIN_PASSWORD);
    format!(
        "PATCH {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\nContent-Length: {length}\r\n\r\n",
        server.address()
    )
}

/// Four uploads of one user where four have room, half of it for one user: two are told at once to come again, pulls do not notice any of it.
async fn uploads_at_once(server: &Server, witness: &Witness) -> Result<()> {
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(witness.client.open_upload(&witness.repository).await?);
    }
    let mut held = Vec::new();
    for session in &sessions {
        let mut connection = Connection::open(server.address()).await?;
        connection
            .send(patch_head(server, session.path(), 500_000))
            .await?;
        connection.send(vec![0; 20_000]).await?;
        held.push(connection);
    }
    witness.unharmed().await?;
    // Nobody sends on: those that were taken are cut as too slow.
    let answers = join_all(held.iter_mut().map(Connection::read_to_end)).await;
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let count = |statuses: [u16; 2]| {
        answers
            .iter()
            .filter(|answer| statuses.contains(&answer.status))
            .count()
    };
    ensure!(count([429, 429]) == 2 && count([408, 0]) == 2, "{answers:?}");
    let told = answers
        .iter()
        .filter(|answer| answer.text.contains("\r\nretry-after: "))
        .count();
    ensure!(told == 2, "429 does not say when to come again: {answers:?}");
    Ok(())
}

async fn too_many_headers(server: &Server) -> Result<()> {
    let headers = "X-Header: y\r\n".repeat(20);
    let mut connection = Connection::open(server.address()).await?;
    connection
        .send(format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{headers}\r\n"))
        .await?;
    let answer = connection.read_to_end().await?;
    ensure!(answer.status == 431, "{}", answer.text);
    Ok(())
}

#[tokio::test]
async fn caps_on_patience() {
    let server = start(&IMPATIENT).await;
    let witness = Witness::push(&server, "caps/patience").await;
    let mut tally = Tally::new("caps on patience");
    tally.record("nothing is sent", silence(&server, "").await);
    tally.record("half a request line", silence(&server, "GET /v").await);
    tally.record(
        "half a head",
        silence(&server, "GET /v2/ HTTP/1.1\r\nHost: x\r\n").await,
    );
    tally.record(
        "a request and then nothing",
        silence(&server, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await,
    );
    tally.record("a slow sender", slow_sender(&server, &witness).await);
    tally.record("too many headers", too_many_headers(&server).await);
    tally.record("uploads at once", uploads_at_once(&server, &witness).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    tally.record("afterwards", witness.unharmed().await);
    tally.finish(&server);
}
